"""A trial with everything that its methods share, and what each of them answers."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flawtrace.data import Split, Trial
from flawtrace.data.pieces import ignored_at, mask_at, pieces
from flawtrace.ground.config import Config
from flawtrace.ground.devices import ready
from flawtrace.measures.metrics import Decided, Labels, Maps, Masks, Scores
from flawtrace.method import Prepared, prepare

SIDE = 256
"""Pixels along the maps that are compared; every method's image is the whole image at this size."""
ENCODED_BY = (
    *("seed", "copies", "encoder", "orientations", "image_side", "tile_side", "normal_limit", "cell"),
    "profile.by_scale",
    "variation",
    "region",
)
"""Settings that decide what `prepare` makes of the images."""
Tell = Callable[[float, str], None]
"""Told how far a cell is, from 0 to 1, and what it is doing."""


@dataclass(frozen=True)
class Answer:
    """What a method makes of a trial's test images, in their order."""

    maps: Maps
    scores: Scores
    decided: Decided | None
    """None where the method chooses no threshold."""
    threshold: float | dict[str, float] | None
    """By which it decided."""
    validation: dict[str, float] | None
    """Scores on held-out training labels, by which choices are made."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What it cost, and how it was set."""


@dataclass(frozen=True)
class Encoded:
    """A trial's training images as the canvases of one encoder."""

    prepared: Prepared
    seconds: float
    """Of processor time."""


class Desk:
    """A trial with everything that its methods share, so that it is read once."""

    def __init__(
        self,
        trial: Trial,
        folder: Path,
        peers: Path | None = None,
        device: str = "cpu",
        spoil: bool = False,
        *,
        threads: int | None = None,
    ) -> None:
        self.trial = trial
        self.threads = threads
        """Where they are stated, and so a part of what a cell is; whoever states them has set them."""
        self.spoil = spoil
        """Whether flawtrace's own methods are also asked about spoilt test images."""
        self.device = ready(device)
        self.peers = peers or folder / "peers"
        """Environment in which other programs run."""
        self.folder = folder
        """Of the whole benchmark: splits, logs, maps and runs go there."""
        self._encoded: dict[str, Encoded] = {}

    @cached_property
    def anomalous(self) -> Labels:
        """Which test images show a defect, whether or not their masks show where."""
        return np.array([sample.anomalous for sample in self.trial.split.test])

    @cached_property
    def masks(self) -> Masks:
        return torch.stack([mask_at(sample, (SIDE, SIDE)) for sample in self.trial.split.test]).numpy()

    @cached_property
    def ignored(self) -> Masks | None:
        """Pixels that no metric counts; None if all count."""
        test = self.trial.split.test
        if not any(sample.ignored for sample in test):
            return None
        return torch.stack([ignored_at(sample, (SIDE, SIDE)) for sample in test]).numpy()

    @property
    def split_file(self) -> Path:
        return self.folder / "splits" / f"{self.trial.name}.json"

    def training_split(self, config: Config) -> Split:
        """The trial's, without its labels for a method that is set to have none."""
        split = self.trial.split
        return split if config.labels else replace(split, labelled=(), unmasked=())

    def encoded(self, config: Config) -> Encoded:
        """Kept for the next method with the same encoder; one at a time, because canvases are large."""
        shared = {name: attrgetter(name)(config) for name in ENCODED_BY} | {"labelled": config.labels > 0}
        key = json.dumps(shared, default=lambda settings: settings.model_dump())
        if key not in self._encoded:
            self._encoded = {key: self._encode(config)}
        return self._encoded[key]

    def _encode(self, config: Config) -> Encoded:
        started = time.process_time()
        *_, prepared = prepare(pieces(self.training_split(config), config), config, self.device)
        assert isinstance(prepared, Prepared)
        return Encoded(prepared, time.process_time() - started)
