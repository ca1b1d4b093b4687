"""One cell of a benchmark: one method on one trial, from images to a row of results."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch

from flawtrace.benchmark.errors import MapsError
from flawtrace.benchmark.methods import Method
from flawtrace.data.folders import Sample
from flawtrace.data.pieces import mask_at, pieces
from flawtrace.data.protocols import Trial, write_split
from flawtrace.detector.artefact import Detector, commit, versions
from flawtrace.ground.config import Config
from flawtrace.ground.devices import at_once, named, ready
from flawtrace.ground.errors import FlawtraceError, FolderInUseError, OutputError
from flawtrace.ground.files import write_text
from flawtrace.ground.memory import forget_peak
from flawtrace.measures.metrics import Maps, Masks, Scores, summary
from flawtrace.measures.replicates import draws, replicates
from flawtrace.method.encoder import build
from flawtrace.method.material import Prepared, prepare
from flawtrace.pictures.images import read_image
from flawtrace.training.progress import Event
from flawtrace.training.run import train

SIDE = 256
"""Pixels along the maps that are compared; every method's image is the whole image at this size."""

ENCODED_BY = (
    *("seed", "copies", "encoder", "orientations", "image_side", "tile_side", "normal_limit", "cell"),
    "profile.by_scale",
)
"""Settings that decide what `prepare` makes of the images."""

Tell = Callable[[float, str], None]
"""Told how far a cell is, from 0 to 1, and what it is doing."""


@dataclass(frozen=True)
class Answer:
    """What a method makes of a trial's test images, in their order."""

    maps: Maps
    scores: Scores
    threshold: float | None
    """None where the method does not choose one."""
    validation: dict[str, float] | None
    """Scores on held-out training labels, by which choices are made."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What it cost, and how it was set."""


PROCESSOR = torch.device("cpu")


@dataclass(frozen=True)
class Encoded:
    """A trial's training images as the canvases of one encoder."""

    prepared: Prepared
    seconds: float
    """Of processor time."""


class Desk:
    """A trial with everything that its methods share, so that it is read once."""

    def __init__(self, trial: Trial, folder: Path, peers: Path | None = None, device: str = "cpu") -> None:
        self.trial = trial
        self.device = ready(device)
        self.peers = peers or folder / "peers"
        """Environment in which other programs run."""
        self.folder = folder
        """Of the whole benchmark: splits, logs, maps and runs go there."""
        self._encoded: dict[str, Encoded] = {}

    @cached_property
    def masks(self) -> Masks:
        return torch.stack([mask_at(sample, (SIDE, SIDE)) for sample in self.trial.split.test]).numpy()

    @property
    def split_file(self) -> Path:
        return self.folder / "splits" / f"{self.trial.name}.json"

    def encoded(self, config: Config) -> Encoded:
        """Kept for the next method with the same encoder; one at a time, because canvases are large."""
        shared = {name: attrgetter(name)(config) for name in ENCODED_BY}
        key = json.dumps(shared)
        if key not in self._encoded:
            self._encoded = {key: self._encode(config)}
        return self._encoded[key]

    def _encode(self, config: Config) -> Encoded:
        started = time.process_time()
        *_, prepared = prepare(pieces(self.trial.split, config), build(config).to(self.device), config)
        assert isinstance(prepared, Prepared)
        return Encoded(prepared, time.process_time() - started)


def run_cell(desk: Desk, method: Method, tell: Tell) -> dict[str, Any]:
    """The row of one cell; a method that cannot be run here leaves its reason in `error`.

    Raises:
        OutputError, FolderInUseError: that is no matter of the method, and no row is to say it for good.
    """
    facts = desk.trial.facts | {"method": method.name, "settings": method.identity}
    try:
        write_split(desk.split_file, desk.trial)
        answer = _ask(desk, method, tell) if method.command else _train(desk, method, tell)
    except (OutputError, FolderInUseError):
        raise
    except FlawtraceError as error:
        return facts | {"error": str(error)} | circumstances(desk.device)
    return facts | results(desk, answer) | answer.facts | circumstances(desk.device)


def results(desk: Desk, answer: Answer) -> dict[str, Any]:
    """Metrics over all test images and by defect type, and those of resampled test images."""
    trial = desk.trial
    anomalous = np.array([sample.anomalous for sample in trial.split.test])
    names = [sample.image.relative_to(trial.root).as_posix() for sample in trial.split.test]
    weights = draws(trial.category, anomalous, names=names)
    return {
        "metrics": _summary(desk, answer, np.full(len(anomalous), True)),
        "per_type": {
            kind: _summary(desk, answer, ~anomalous | which) for kind, which in _types(trial).items()
        },
        "threshold": answer.threshold,
        "validation": answer.validation,
        "replicates": replicates(answer.maps, desk.masks, answer.scores, answer.threshold, weights),
    }


def circumstances(device: torch.device = PROCESSOR) -> dict[str, Any]:
    """Where and when: what a reader needs to take the seconds for what they are."""
    return {
        "commit": commit(),
        "versions": versions(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "device": named(device),
        },
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _train(desk: Desk, method: Method, tell: Tell) -> Answer:
    """Flawtrace itself, in a run folder from which a stopped cell goes on."""
    config = method.config(desk.trial.seed, desk.trial.labels)
    forget_peak()
    tell(0.0, "reading images")
    encoded = desk.encoded(config)
    run = desk.folder / "runs" / desk.trial.name / method.name
    split, device, prepared = desk.trial.split, str(desk.device), encoded.prepared
    for event in train(split, config, run, resume=True, device=device, prepared=prepared):
        if isinstance(event, Event):
            tell(event.done / event.total, event.phase)
        else:
            trained = event
    maps, seconds = looked(trained.detector, desk.trial.split.test)
    summary = trained.summary
    return Answer(
        maps,
        maps.max(axis=(1, 2)),
        trained.detector.threshold,
        trained.detector.facts.validation,
        {
            "seconds": round(summary["processor_seconds"] + encoded.seconds, 1),
            "predict_seconds": round(seconds / len(maps), 4),
            "peak_memory_mb": summary["peak_memory_mb"],
        },
    )


def looked(detector: Detector, samples: Sequence[Sample]) -> tuple[Maps, float]:
    """The detector's maps of the samples, and the processor time that they took, reading left out."""
    maps, seconds = [], 0.0
    together = at_once(detector.device)
    for start in range(0, len(samples), together):
        images = [read_image(sample.image) for sample in samples[start : start + together]]
        started = time.process_time()
        maps += detector.maps_at((SIDE, SIDE), images)
        seconds += time.process_time() - started
    return torch.stack(maps).numpy(), seconds


def _ask(desk: Desk, method: Method, tell: Tell) -> Answer:
    """Another program, which reads the split's file and writes its maps."""
    trial, name = desk.trial, method.name
    places = {
        "python": Path(sys.executable),
        "here": method.here.resolve(),
        "peers": desk.peers,
        "split": desk.split_file,
        "root": trial.root.resolve(),
        "maps": desk.folder / "maps" / trial.name / f"{name}.safetensors",
        "cache": desk.folder / "cache",
    }
    tell(0.0, f"running {name}")
    command, log = method.filled(places), desk.folder / "logs" / f"{trial.name}-{name}.txt"
    places["maps"].parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        write_text(log, str(error))
        raise MapsError(" ".join(command[:3]), str(error), log) from error
    write_text(log, done.stdout + done.stderr)
    if done.returncode:
        raise MapsError(" ".join(command[:3]), f"it ended with status {done.returncode}", log)
    return _read_answer(places["maps"], len(trial.split.test), " ".join(command[:3]), log)


def _read_answer(file: Path, count: int, command: str, log: Path) -> Answer:
    try:
        with safetensors.safe_open(file, framework="np") as opened:
            facts = json.loads((opened.metadata() or {}).get("flawtrace", "{}"))
            maps = opened.get_tensor("maps").astype(np.float32)
            names = set(opened.keys())
            scores = opened.get_tensor("scores") if "scores" in names else maps.max(axis=(1, 2))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise MapsError(command, str(error), log) from error
    if maps.shape != (count, SIDE, SIDE) or not np.isfinite(maps).all():
        expected = f"({count}, {SIDE}, {SIDE})"
        raise MapsError(command, f"the maps are {maps.shape}, or not finite, instead of {expected}", log)
    known = {
        "seconds": facts.get("train_seconds"),
        "predict_seconds": facts.get("predict_seconds"),
        "peak_memory_mb": facts.get("peak_memory_mb"),
        "described": facts.get("settings"),
    }
    return Answer(maps, scores.astype(np.float32), facts.get("threshold"), facts.get("validation"), known)


def _summary(desk: Desk, answer: Answer, which: np.ndarray) -> dict[str, float | None]:
    found = summary(answer.maps[which], desk.masks[which], answer.scores[which], answer.threshold)
    return {name: None if value is None else round(value, 5) for name, value in found.items()}


def _types(trial: Trial) -> dict[str, np.ndarray]:
    """Which test images show each defect type."""
    kinds = np.array([sample.defect_type or "" for sample in trial.split.test])
    return {str(kind): kinds == kind for kind in sorted(set(kinds.tolist()) - {""})}
