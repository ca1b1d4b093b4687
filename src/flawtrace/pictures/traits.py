"""What an image looks like from afar: enough to tell one that is unlike all training images."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace.ground.groups import Polygons
from flawtrace.ground.shapes import Image
from flawtrace.pictures.images import fit
from flawtrace.pictures.region import inside

SIDE = 256
"""Pixels along the square on which all but the size is measured."""
SLACK = {"brightness": 0.04, "redness": 0.1, "blueness": 0.1}
"""By which an image may always leave the range of the training images; a defect can tint all of it."""
FACTORS = {"side": 1.5, "aspect": 1.2, "contrast": 1.5, "sharpness": 1.5}
"""By which the others may leave it."""
MEANINGS = {
    "side": "side of a square as large as the image, in pixels",
    "aspect": "width over height",
    "brightness": "mean of the channels, 0 black and 1 white",
    "redness": "how far the red channel is above that",
    "blueness": "how far the blue channel is above that",
    "contrast": "deviation of the brightness; 0 for an image of a single colour",
    "sharpness": "mean step between neighbouring pixels, over the contrast",
}
FAINT = 1 / 255
"""Contrast below which an image shows nothing, if those of the training had twice as much."""

OF_SIZE = ("side", "aspect")
"""Of which tiles do not depend."""

Traits: TypeAlias = dict[str, float]
"""The numbers of `MEANINGS`."""
Ranges: TypeAlias = dict[str, tuple[float, float]]
"""Least and greatest of each trait among training images."""


def traits(image: Image, region: Polygons | None = None) -> Traits:
    """Of one image (3, h, w) in [0, 1], or of the region of interest in it; the size is the image's."""
    height, width = image.shape[1:]
    seen = fit(image, SIDE)
    here = torch.ones(SIDE, SIDE, dtype=torch.bool) if region is None else inside(region, SIDE, SIDE)
    grey = seen.mean(dim=0)
    red, _, blue = (_mean(channel[here]) for channel in seen)
    brightness = _mean(grey[here])
    contrast = _mean((grey[here] - brightness).square()) ** 0.5
    down = grey.diff(dim=0)[here[1:] & here[:-1]]
    across = grey.diff(dim=1)[here[:, 1:] & here[:, :-1]]
    steps = (_mean(down.abs()) + _mean(across.abs())) / 2
    return {
        "side": (height * width) ** 0.5,
        "aspect": width / height,
        "brightness": brightness,
        "redness": red - brightness,
        "blueness": blue - brightness,
        "contrast": contrast,
        "sharpness": steps / max(contrast, FAINT),
    }


def _mean(values: Float[Tensor, " n"]) -> float:
    """0 where there is none."""
    return float(values.sum()) / max(1, len(values))


def blank(image: Image) -> bool:
    """Whether every pixel has the same colour, to the last bit.

    >>> import torch
    >>> blank(torch.full((3, 8, 8), 0.5))
    True
    """
    return bool((image.amax(dim=(1, 2)) == image.amin(dim=(1, 2))).all())


def ranges(found: Iterable[Traits]) -> Ranges:
    """Over all training images, each trait by itself.

    >>> ranges([{"side": 64.0}, {"side": 80.0}])
    {'side': (64.0, 80.0)}
    """
    rows = list(found)
    return {name: (min(row[name] for row in rows), max(row[name] for row in rows)) for name in rows[0]}


def unlike(
    image: Image, known: Mapping[str, tuple[float, float]], region: Polygons | None = None
) -> str | None:
    """In which traits the image, or the region of interest in it, is unlike the training images, in words.

    None where it is like them.
    Brightness and tints may leave the range by `SLACK` or half of the range, the others by a factor.
    """
    reasons = list(_reasons(traits(image, region), known)) if known else []
    return f"unlike the training images: {', '.join(reasons)}" if reasons else None


def _reasons(found: Traits, known: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    if found["contrast"] < min(FAINT, known["contrast"][0] / 2):
        yield "blank"
        return
    for name, (low, high) in known.items():
        least, most = _allowed(name, low, high)
        if not least <= found[name] <= most:
            yield f"{name} {found[name]:.3g} (trained on {low:.3g} to {high:.3g})"


def _allowed(name: str, low: float, high: float) -> tuple[float, float]:
    if factor := FACTORS.get(name):
        return low / factor, high * factor
    margin = max(SLACK[name], (high - low) / 2)
    return low - margin, high + margin
