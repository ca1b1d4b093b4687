"""The region of interest: where in the images of a product anything counts."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from skimage.draw import polygon as filled
from skimage.measure import approximate_polygon, find_contours
from torch import Tensor

from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.groups import Polygons
from flawtrace.ground.shapes import Mask
from flawtrace.pictures.mask_files import read_mask

NAMES = "region.png", "region.json"
"""Files in a product's folder that say it."""
EXACT = 0.25
"""Pixels by which polygons made of a mask may leave its outline."""


class RegionError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"Cannot use {path} as the region of interest: {reason}.\n"
            "Expected a mask that is white where the part is, or JSON such as "
            '{"size": [640, 480], "polygons": [[[20, 20], [620, 20], [620, 460]]]} in pixels (x, y).\n'
            "Draw it on one image of the product; all images are taken to show the part there."
        )


def read_region(path: Path) -> Polygons:
    """Polygons in shares of width and height, from a mask or from a JSON file.

    Raises:
        RegionError: the file cannot be read, or has no region.
        ImageError: a mask cannot be read.
    """
    polygons = _from_json(path) if path.suffix.lower() == ".json" else _from_mask(read_mask(path))
    if not polygons:
        raise RegionError(path, "it holds no region")
    return polygons


def region_of(folder: Path) -> Polygons | None:
    """The region that a product's folder states, if it does.

    Raises:
        RegionError: it states it in a way that cannot be read.
    """
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    return read_region(found[0]) if found else None


@lru_cache(maxsize=16)
def inside(polygons: Polygons, height: int, width: int) -> Mask:
    """Which pixels of an image of this size are in the region, by the even-odd rule."""
    mask = np.zeros((height, width), dtype=bool)
    for polygon in polygons:
        corners = np.array(polygon) * (width, height) - 0.5
        one = np.zeros_like(mask)
        one[filled(corners[:, 1], corners[:, 0], mask.shape)] = True
        mask ^= one
    return torch.from_numpy(mask)


def within(planes: Float[Tensor, "*c h w"], polygons: Polygons | None) -> Float[Tensor, "*c h w"]:
    """An image or a map that is 0 outside of the region, if there is one."""
    return planes if polygons is None else planes * inside(polygons, *planes.shape[-2:]).to(planes.device)


def _from_json(path: Path) -> Polygons:
    try:
        document = json.loads(path.read_text())
        width, height = (float(length) for length in document["size"])
        return tuple(
            tuple((float(x) / width, float(y) / height) for x, y in polygon)
            for polygon in document["polygons"]
        )
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise RegionError(path, repr(error)) from error


def _from_mask(mask: Mask) -> Polygons:
    """The contours of a mask; those of holes take away what they enclose."""
    height, width = mask.shape
    rings = find_contours(np.pad(mask.numpy(), 1).astype(float), 0.5)
    outlines = [approximate_polygon(ring, EXACT) - 0.5 for ring in rings]
    return tuple(tuple((float(x) / width, float(y) / height) for y, x in outline) for outline in outlines)
