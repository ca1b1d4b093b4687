"""The whole job: learn together, fit, judge, and the files of a run.

A split and settings enter `train`, which yields an `Event` after every update and at last `Trained`. The
paper's algorithm is `loop.learn_together`; what a run is in the middle of is a `study.Study`. A `Collector`
lets cycles run side by side.
"""

from flawtrace.training.errors import (
    DataChangedError,
    FinishedRunWarning,
    OneAutoencoderError,
    ResumedRunWarning,
    RunExistsError,
)
from flawtrace.training.progress import Drawn, Event, Unused
from flawtrace.training.refitting import refit
from flawtrace.training.rounds import Collector, Lived, Round, live
from flawtrace.training.run import Trained, refuse_other_settings, train
from flawtrace.training.suspects import by_reason, told

__all__ = [
    "Collector",
    "DataChangedError",
    "Drawn",
    "Event",
    "FinishedRunWarning",
    "Lived",
    "OneAutoencoderError",
    "ResumedRunWarning",
    "Round",
    "RunExistsError",
    "Trained",
    "Unused",
    "by_reason",
    "live",
    "refit",
    "refuse_other_settings",
    "told",
    "train",
]
