"""The verbs: one public function per command, for programs as well as for the command line."""

from flawtrace.data import ForeignFolderError
from flawtrace.verbs.comparing import benchmark
from flawtrace.verbs.deciding import Decision, decide
from flawtrace.verbs.gathering import Gathered
from flawtrace.verbs.helping import doctor
from flawtrace.verbs.labelling import export_labels, import_labels
from flawtrace.verbs.loading import load
from flawtrace.verbs.making import demo, inspect, train
from flawtrace.verbs.pairing import compare
from flawtrace.verbs.predicting import predict
from flawtrace.verbs.refitting import refit
from flawtrace.verbs.results import OtherPredictionsError, Row
from flawtrace.verbs.suggesting import Proposal, suggest
from flawtrace.verbs.testing import evaluate
from flawtrace.verbs.using import bench, export

__all__ = [
    "Decision",
    "ForeignFolderError",
    "Gathered",
    "OtherPredictionsError",
    "Proposal",
    "Row",
    "bench",
    "benchmark",
    "compare",
    "decide",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "export_labels",
    "import_labels",
    "inspect",
    "load",
    "predict",
    "refit",
    "suggest",
    "train",
]
