"""What the process does that looks at images: a detector and an image enter, and what was found leaves."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace import verbs
from flawtrace.data.pieces import worked_on
from flawtrace.detector import AnyDetector, Detector, detector_file, fastest
from flawtrace.ground.files import write_bytes
from flawtrace.ground.shapes import AnomalyMap, Mask
from flawtrace.pictures.images import fit, read_image
from flawtrace.pictures.traits import traits
from flawtrace.station.errors import NoDetectorYetError


@dataclass(frozen=True)
class Found:
    """What a detector says about an image, in plain values."""

    verdict: str
    score: float
    doubt: str | None
    thresholds: dict[str, float]
    traits: dict[str, float]
    regions: list[dict[str, Any]]


def look(run: Path, image: Path, out: Path) -> Found:
    """Look at one image; map and mask go to the file `out`, from which `read_found` takes them."""
    detector = _opened(run, *_state(run))
    seen = read_image(image)
    said = detector.predict(seen)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, map=said.anomaly_map.numpy().astype(np.float16), mask=np.packbits(said.mask.numpy())
    )
    write_bytes(out, buffer.getvalue())
    regions = [region.to_json() for region in said.regions]
    return Found(
        verdict=said.verdict,
        score=said.score,
        doubt=said.doubt,
        thresholds=vars(detector.thresholds),
        traits=traits(seen, detector.facts.familiar_region(detector.config)),
        regions=regions,
    )


def read_found(file: Path) -> tuple[AnomalyMap, Mask]:
    """Map and mask that `look` wrote, at the image's size; the map to half precision."""
    with np.load(file) as found:
        anomaly_map = found["map"].astype(np.float32)
        bits = np.unpackbits(found["mask"], count=anomaly_map.size)
    return torch.from_numpy(anomaly_map), torch.from_numpy(bits.reshape(anomaly_map.shape).astype(bool))


def profile(run: Path, image: Path) -> tuple[tuple[int, ...], bytes]:
    """The loss profile of every cell of an image, as the predictors see it, mean over scales.

    Its shape (length, rows, columns), and its values as float32, little-endian. Images that are cut into
    tiles are looked at as a whole.
    """
    detector = _trained(run, *_state(run))
    side = detector.config.image_side
    square = fit(worked_on(read_image(image), detector.config), side, side)[None]
    profiles = detector.reader(square).profiles[0]
    by_snapshot: Float[Tensor, "length scales rows columns"] = profiles.unflatten(
        0, (detector.config.profile.length, -1)
    )
    means = by_snapshot.mean(dim=1).contiguous()
    return tuple(means.shape), means.numpy().astype("<f4").tobytes()


def proposals(run: Path, images: Sequence[Path], count: int) -> list[dict[str, Any]]:
    """Which of some images to label next, as `suggest` says it."""
    return [one.to_json() for one in verbs.suggest(run, images, count)]


def decide(run: Path, threshold: float) -> None:
    """Store another score from which an image is DEFECT, in the detector and in what was exported of it."""
    verbs.decide(run, threshold=threshold)


def _state(run: Path) -> tuple[int, int]:
    """What changes when a detector's files do."""
    file = detector_file(run)
    if not file.is_file():
        raise NoDetectorYetError
    return file.stat().st_mtime_ns, file.stat().st_size


@lru_cache(maxsize=2)
def _opened(run: Path, *_: int) -> AnyDetector:
    torch.set_grad_enabled(False)
    return fastest(run)


@lru_cache(maxsize=1)
def _trained(run: Path, *_: int) -> Detector:
    torch.set_grad_enabled(False)
    return Detector.load(run)
