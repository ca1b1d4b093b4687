"""The day after: what a detector says of test images as another day's camera might have taken them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import torch

from flawtrace.data import Sample, evenly
from flawtrace.detector import VERDICTS, Detector, Verdict
from flawtrace.ground.learner import generator
from flawtrace.ground.shapes import Images
from flawtrace.pictures.disturbance import blurred, compressed, lit, moved, noisy, sharpened, tinted
from flawtrace.pictures.images import read_image

NORMAL, ANOMALOUS = 24, 16
"""Test images of each kind that are spoilt, at most; evenly spread."""
SIDE = 256
"""Pixels along the side of an image for which shifts and blurs are given; others are in proportion."""
AS_TAKEN = "as taken"

Counts: TypeAlias = dict[Verdict, int]
Found: TypeAlias = dict[str, dict[str, Counts]]
"""Verdicts by spoiling, then of `normal` and of `anomalous` images."""
Spoil: TypeAlias = Callable[[Images], Images]


def _moved(
    images: Images, angle: float = 0.0, shift: float = 0.0, scale: float = 1.0, black: bool = False
) -> Images:
    """Alike for all images; `shift` right and down."""
    count = len(images)
    return moved(
        images,
        torch.full((count,), angle),
        torch.full((count, 2), shift / SIDE),
        torch.full((count,), scale),
        border="black" if black else "continued",
    )


SPOILT: dict[str, Spoil] = {
    AS_TAKEN: lambda images: images,
    "shifted by 4 pixels": partial(_moved, shift=4.0),
    "turned by 2°": partial(_moved, angle=2.0),
    "turned by 5°": partial(_moved, angle=5.0),
    "3 % larger": partial(_moved, scale=1.03),
    "a black border of 4 pixels": partial(_moved, shift=4.0, black=True),
    "10 % darker": lambda images: lit(images, torch.full((len(images),), 0.9)),
    "10 % brighter": lambda images: lit(images, torch.full((len(images),), 1.1)),
    "5 % warmer": partial(tinted, warmth=0.05),
    "blurred, σ 1 pixel": lambda images: blurred(images, min(images.shape[2:]) / SIDE),
    "sharpened": partial(sharpened, amount=1.0),
    "noise, σ 0.02": lambda images: noisy(images, 0.02, generator(round(1e6 * float(images.mean())))),
    "JPEG, quality 50": partial(compressed, quality=50),
}
"""What happens to the images, by name."""


def spoilt_verdicts(detector: Detector, samples: Sequence[Sample]) -> Found:
    """Count the verdicts on some of these test images, each spoilt in every way."""
    found: Found = {}
    kinds = {"normal": (False, NORMAL), "anomalous": (True, ANOMALOUS)}
    for kind, (anomalous, most) in kinds.items():
        chosen = evenly(tuple(sample for sample in samples if sample.anomalous == anomalous), most)
        images = [read_image(sample.image) for sample in chosen]
        for name, spoil in SPOILT.items():
            verdicts = [detector.predict(spoil(image[None])[0]).verdict for image in images]
            found.setdefault(name, {})[kind] = {one: verdicts.count(one) for one in VERDICTS}
    return found


def steadiness(found: Found) -> float | None:
    """How many spoilt images get no wrong verdict: the mean share of both kinds; None without one of them.

    Wrong is DEFECT for a normal image, and OK for one with a defect.

    >>> normal, anomalous = {"OK": 3, "UNSURE": 0, "DEFECT": 1}, {"OK": 0, "UNSURE": 2, "DEFECT": 2}
    >>> steadiness({"blurred": {"normal": normal, "anomalous": anomalous}})
    0.875
    """
    wrong_of: dict[str, Verdict] = {"normal": "DEFECT", "anomalous": "OK"}
    shares = []
    for kind, wrong in wrong_of.items():
        counts = [of[kind] for name, of in found.items() if name != AS_TAKEN]
        total = sum(sum(count.values()) for count in counts)
        if not total:
            return None
        shares.append(1 - sum(count[wrong] for count in counts) / total)
    return sum(shares) / len(shares)
