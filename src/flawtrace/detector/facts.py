"""What a detector knows about its own training, and what made it."""

import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from flawtrace.ground.config import Config
from flawtrace.ground.presets import stored_config
from flawtrace.pictures.traits import MEANINGS, Ranges


@dataclass(frozen=True)
class Facts:
    """What a detector knows about its own training; stored in the file's header."""

    threshold: float
    """The probability from which a pixel counts as defective, chosen on held-out training labels."""
    validation: dict[str, float]
    """Scores on those held-out labels."""
    digests: tuple[str, ...]
    """Content of every training image."""
    fingerprint: str
    """Of the whole training set: images, masks and who was labelled."""
    versions: dict[str, str]
    """As `origin` gave them."""
    false_alarms: dict[str, Any] = field(default_factory=dict)
    """On normal images that no predictor saw: how many, of how many, and the rates this allows."""
    familiar: Ranges = field(default_factory=dict)
    """What training images look like from afar; nothing is known of it where this is empty."""


def parsed(header: dict[str, Any], file: Path) -> tuple[Config, Facts]:
    """What `Detector.header` said, in whichever kind of file."""
    said = header["facts"]
    known = {name: (float(low), float(high)) for name, (low, high) in said.get("familiar", {}).items()}
    if known and not {"contrast"} <= set(known) <= set(MEANINGS):
        raise KeyError(f"familiar traits {', '.join(known)}")
    numbers = {name: _numbers(said.get(name, {})) for name in ("validation", "false_alarms")}
    facts = Facts(**{**said, "digests": tuple(said["digests"]), "familiar": known, **numbers})
    return stored_config(header["config"], where=str(file)), facts


def _numbers(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a header says under each name, if these are finite numbers."""
    for name, value in said.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r:.40}, not a finite number")
    return dict(said)


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
