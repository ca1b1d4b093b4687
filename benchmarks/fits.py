"""What programs share that make detectors step by step themselves: the end of a generator, and a test."""

from collections.abc import Generator
from typing import TypeVar, cast

import numpy as np
import torch
from rows import Row

from flawtrace.comparison.cell import looked
from flawtrace.comparison.desk import SIDE
from flawtrace.data import Split
from flawtrace.data.pieces import mask_at
from flawtrace.detector import Detector
from flawtrace.detector.facts import commit
from flawtrace.measures import decided
from flawtrace.measures.metrics import summary
from flawtrace.training.progress import Event

T = TypeVar("T")


def ended(events: Generator[Event, None, T]) -> T:
    """What a generator returns at its end."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return cast(T, end.value)


def tested(detector: Detector, split: Split) -> Row:
    """How a detector does on the test images, and what it announced."""
    predictions, _ = looked(detector, split.test)
    masks = torch.stack([mask_at(sample, (SIDE, SIDE)) for sample in split.test]).numpy()
    maps = torch.stack([found.anomaly_map for found in predictions]).numpy()
    scores = np.array([found.score for found in predictions])
    return {
        "metrics": summary(maps, masks, scores, decided(predictions)),
        "validation": detector.facts.validation,
        "false_alarms": detector.facts.false_alarms,
        "commit": commit(),
    }
