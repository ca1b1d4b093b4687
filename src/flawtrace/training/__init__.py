"""The whole job: learn together, fit, judge, and the files of a run.

A split and settings enter `train`, which yields an `Event` after every update and at last `Trained`. The
paper's algorithm is `loop.learn_together`; what a run is in the middle of is a `study.Study`.
"""

from flawtrace.training.progress import Event
from flawtrace.training.refitting import refit
from flawtrace.training.run import SETTINGS_NAME, Trained, refuse_other_settings, train
from flawtrace.training.study import CHECKPOINT_NAME, LOG_NAME
from flawtrace.training.summary import SUMMARY_NAME
from flawtrace.training.suspects import PICTURES_NAME

__all__ = [
    "CHECKPOINT_NAME",
    "LOG_NAME",
    "PICTURES_NAME",
    "SETTINGS_NAME",
    "SUMMARY_NAME",
    "Event",
    "Trained",
    "refit",
    "refuse_other_settings",
    "train",
]
