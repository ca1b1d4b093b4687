"""What programs share that make detectors themselves: how they begin and end, and a test."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from rows import Row

from flawtrace.comparison.cell import looked
from flawtrace.comparison.desk import SIDE
from flawtrace.data import Split
from flawtrace.data.pieces import mask_at
from flawtrace.data.protocols import Trial
from flawtrace.detector import Detector
from flawtrace.detector.facts import commit
from flawtrace.ground.presets import load_config
from flawtrace.measures import decided
from flawtrace.measures.metrics import summary
from flawtrace.training.progress import Event
from flawtrace.training.run import Trained, train

T = TypeVar("T")


def ended(events: Generator[Event, None, T]) -> T:
    """What a generator returns at its end."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return cast(T, end.value)


def last(events: Iterator[Event | Trained]) -> Detector:
    """The detector that a training or a refit ends with."""
    *_, trained = events
    assert isinstance(trained, Trained)
    return trained.detector


def without_labels(trial: Trial, runs: Path) -> Detector:
    """Trained on a trial's normal images alone, in the folder `runs`, unless it is there already."""
    config = load_config(settings={"seed": trial.seed})
    return last(train(replace(trial.split, labelled=()), config, runs / trial.name, resume=True))


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
