"""The verbs: one public function for most commands, for programs as well as for the command line."""

from flawtrace.data import ForeignFolderError
from flawtrace.verbs.comparing import benchmark
from flawtrace.verbs.deciding import Decision, decide
from flawtrace.verbs.gathering import Gathered, gathered
from flawtrace.verbs.helping import doctor
from flawtrace.verbs.labelling import export_labels, import_labels
from flawtrace.verbs.loading import load
from flawtrace.verbs.making import demo, inspect, train
from flawtrace.verbs.pairing import compare
from flawtrace.verbs.predicting import look, predict
from flawtrace.verbs.products import Order, Product, Trainer, train_all, train_product
from flawtrace.verbs.refitting import OtherRegionWarning, refit
from flawtrace.verbs.results import OtherPredictionsError, Row, predictions_identity
from flawtrace.verbs.suggesting import Proposal, suggest
from flawtrace.verbs.testing import evaluate
from flawtrace.verbs.using import bench, export

__all__ = [
    "Decision",
    "ForeignFolderError",
    "Gathered",
    "Order",
    "OtherPredictionsError",
    "OtherRegionWarning",
    "Product",
    "Proposal",
    "Row",
    "Trainer",
    "bench",
    "benchmark",
    "compare",
    "decide",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "export_labels",
    "gathered",
    "import_labels",
    "inspect",
    "load",
    "look",
    "predict",
    "predictions_identity",
    "refit",
    "suggest",
    "train",
    "train_all",
    "train_product",
]
