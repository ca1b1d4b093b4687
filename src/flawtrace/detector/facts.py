"""What a detector knows about its own training, and what made it."""

import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from flawtrace.detector.decision import Thresholds
from flawtrace.ground.config import Config
from flawtrace.ground.errors import ArgumentError
from flawtrace.ground.groups import Polygons
from flawtrace.ground.presets import stored_config
from flawtrace.pictures.traits import MEANINGS, Ranges

NUMBERS = ("validation", "false_alarms", "decision", "misses")
"""Facts that are numbers by name."""
COUNTS = ("num_labelled", "num_normal")
"""Facts that are counts of images."""


@dataclass(frozen=True)
class Facts:
    """What a detector knows about its own training; stored in the file's header."""

    threshold: float
    """The probability from which a pixel belongs to an outline, chosen on held-out training labels."""
    validation: dict[str, float]
    """Scores on those held-out labels."""
    digests: tuple[str, ...]
    """Content of every image that the predictors learnt from or were judged by: normal ones first."""
    fingerprint: str
    """Of the whole training set: images, masks and who was labelled."""
    versions: dict[str, str]
    """As `origin` gave them."""
    false_alarms: dict[str, Any] = field(default_factory=dict)
    """On normal images new to the predictors: how many, of how many, and the rates this allows.

    After `decide` those of the chosen threshold, on the images by which it was chosen.
    """
    familiar: Ranges = field(default_factory=dict)
    """What training images look like from afar; nothing is known of it where this is empty."""
    decision: dict[str, float] = field(default_factory=dict)
    """`peak`, `defect` and `unsure` of `Thresholds`; empty where one threshold decides everything."""
    misses: dict[str, Any] = field(default_factory=dict)
    """On held-out defect images: how many are OK, of how many, and the rates this allows."""

    held_out: dict[str, list[float]] = field(default_factory=dict)
    """Scores of held-out images, `normal` and `anomalous`, by which another decision can be made later."""
    num_labelled: int | None = None
    """Images with masks from which the predictors learnt; None where nobody counted them."""
    num_normal: int | None = None
    """Normal images among `digests`; None where nobody counted them."""
    autoencoder: tuple[str, ...] = ()
    """Content of the images of the training that made autoencoder and policy, which refits keep; empty where
    that training made the whole detector: then these are `digests`.
    """
    familiar_in_region: bool = False
    """Whether `familiar` is about the region of interest alone, if there is one."""
    folds: tuple[int, ...] = ()
    """Of each normal image the member that never saw it; empty where nobody wrote it down."""

    @property
    def entries(self) -> dict[str, Any]:
        """What a file says of them: all but what has its default, so that a file of an earlier format gains
        no entry which its versions do not know.
        """
        values = {one.name: (getattr(self, one.name), one.default) for one in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}

    @property
    def autoencoder_digests(self) -> tuple[str, ...]:
        """Content of every image from which autoencoder and policy learnt."""
        return self.autoencoder or self.digests

    @property
    def normal_digests(self) -> tuple[str, ...] | None:
        """Content of the normal images that the predictors learnt from; None where nobody counted them."""
        return None if self.num_normal is None else self.digests[: self.num_normal]

    @property
    def thresholds(self) -> Thresholds:
        if not self.decision:
            return Thresholds.single(self.threshold)
        return Thresholds(self.threshold, **self.decision)

    def familiar_region(self, config: Config) -> Polygons | None:
        """The region of interest that `familiar` is about; None where it is about whole images."""
        return config.region if self.familiar_in_region else None

    def with_threshold(self, defect: float) -> "Facts":
        """The same, but an image is DEFECT from the score `defect` on; what is UNSURE below it stays so.

        Raises:
            ArgumentError: it is not in [0, 1].
        """
        if not 0 <= defect <= 1:
            raise ArgumentError("threshold", f"{defect:g} is not between 0 and 1")
        numbers = replace(self.thresholds, defect=defect, unsure=min(self.thresholds.unsure, defect))
        return replace(self, decision=numbers.beside_outline)


def parsed(header: dict[str, Any], file: Path) -> tuple[Config, Facts]:
    """What `Detector.header` said, in whichever kind of file."""
    said = header["facts"]
    known = {name: (float(low), float(high)) for name, (low, high) in said.get("familiar", {}).items()}
    if known and not {"contrast"} <= set(known) <= set(MEANINGS):
        raise KeyError(f"familiar traits {', '.join(known)}")
    numbers = {name: _numbers(said.get(name, {})) for name in NUMBERS}
    scores = {name: _scores(some) for name, some in said.get("held_out", {}).items()}
    for name in COUNTS:
        if not isinstance(said.get(name, 0), int | None):
            raise ValueError(f"{name} is {said[name]!r:.40}, not a count")
    folds = tuple(int(_finite(fold, "a fold")) for fold in said.get("folds", ()))
    digests = {"digests": tuple(said["digests"]), "autoencoder": tuple(said.get("autoencoder", ()))}
    read = {**digests, "familiar": known, "held_out": scores, "folds": folds}
    facts = Facts(**{**said, **read, **numbers})
    facts.thresholds  # noqa: B018 (numbers that contradict each other are damage, and found here)
    return stored_config(header["config"], where=str(file)), facts


def _numbers(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a header says under each name, if these are finite numbers."""
    for name, value in said.items():
        _finite(value, name)
    return dict(said)


def _scores(said: Sequence[Any]) -> list[float]:
    return [float(_finite(score, "a score of held-out images")) for score in said]


def _finite(value: Any, name: str) -> Any:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r:.40}, not a finite number")
    return value


def versions() -> dict[str, str]:
    """Of everything that can change a result."""
    return {name: version(name) for name in ("flawtrace", "torch", "kornia", "numpy", "pillow")}


def commit() -> str | None:
    """Of the checkout that flawtrace runs from, with a plus when it was changed since; None elsewhere."""
    here = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
        return git("rev-parse", "--short=7", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def origin() -> dict[str, str]:
    """How this process makes detectors: versions, threads, and the commit where it runs from a checkout."""
    return versions() | {"threads": str(torch.get_num_threads()), "commit": commit() or "none"}
