"""The same work on a Ray cluster: cells of a benchmark, products, batches of images, trials of settings, and
the cycles of one training side by side.

What the verbs do on one machine enters, with an address; the same rows, runs and tables leave. Nothing is
scheduled here: Ray says where a task runs, and this wing what a task is, what it needs, and what is done
already. Needs the extra `cluster`.
"""

from flawtrace.cluster.actors import Actors
from flawtrace.cluster.cells import Cells
from flawtrace.cluster.connecting import connected
from flawtrace.cluster.errors import (
    ElsewhereError,
    InterruptedPredictionError,
    LostCycleError,
    ManifestError,
    NoRoomError,
    NothingToTuneError,
    OtherSearchError,
    TooFewProcessorsError,
    UnreachableError,
)
from flawtrace.cluster.predicting import Looking, Predictions, predict
from flawtrace.cluster.products import Trainings
from flawtrace.cluster.space import read_space
from flawtrace.cluster.tuning import Trial, Tuned, search

__all__ = [
    "Actors",
    "Cells",
    "ElsewhereError",
    "InterruptedPredictionError",
    "Looking",
    "LostCycleError",
    "ManifestError",
    "NoRoomError",
    "NothingToTuneError",
    "OtherSearchError",
    "Predictions",
    "TooFewProcessorsError",
    "Trainings",
    "Trial",
    "Tuned",
    "UnreachableError",
    "connected",
    "predict",
    "read_space",
    "search",
]
