"""The region of interest: where in the images of a product anything counts."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from skimage.draw import polygon as filled
from torch import Tensor

from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.groups import Polygons
from flawtrace.ground.shapes import Mask
from flawtrace.pictures.contours import contours, simplified
from flawtrace.pictures.images import image_size
from flawtrace.pictures.mask_files import read_mask

NAMES = "region.png", "region.json"
"""Files in a product's folder that say it."""
EXACT = 0.25
"""Pixels by which polygons made of a mask may leave its outline."""
STEPS = 1024
"""Along each side of an image, in which a region is told from the rest."""
SHAPE = 0.02
"""Share by which a region and an image may differ in their ratio of width to height."""


class _Document(BaseModel):
    """A region as JSON, in pixels of an image of this size (width, height)."""

    size: tuple[Annotated[FiniteFloat, Field(gt=0)], Annotated[FiniteFloat, Field(gt=0)]]
    polygons: list[Annotated[list[tuple[FiniteFloat, FiniteFloat]], Field(min_length=3)]]


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


def region_file(folder: Path) -> Path | None:
    """The file that says the region in a product's folder, if there is one."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def refuse_other_shape(path: Path, sizes: Mapping[Path, tuple[int, int]]) -> None:
    """A region is scaled to each image, which is right where it was drawn on one of the same shape.

    Raises:
        RegionError: one of the images, whose `sizes` are (height, width), has another.
    """
    is_json = path.suffix.lower() == ".json"
    width, height = _document(path).size if is_json else image_size(path)[::-1]
    for image, (high, wide) in sizes.items():
        if abs(high * width - wide * height) > SHAPE * wide * height:
            drawn, seen = f"{width:g} x {height:g} pixels", f"{wide} x {high}"
            raise RegionError(path, f"it is drawn for {drawn}, and {image} has another shape, {seen}")


def inside(polygons: Polygons, height: int, width: int) -> Mask:
    """Which pixels of an image of this size are in the region, to 1 / `STEPS` of its sides.

    Whole numbers say so, and no more than an exported graph can count with at any size: it and whoever made
    it end the region at the same pixel.
    """
    return torch.from_numpy(_drawn(polygons))[_steps(height)[:, None], _steps(width)]


def _steps(length: int) -> Int[Tensor, " length"]:
    """In which of the `STEPS` along a side the middle of each of `length` pixels lies."""
    return (2 * torch.arange(length) + 1) * STEPS // (2 * length)


@lru_cache(maxsize=16)
def _drawn(polygons: Polygons) -> Bool[np.ndarray, "steps steps"]:
    """The region in a square of `STEPS`, by the even-odd rule. No tensor: an export would keep a symbol."""
    mask = np.zeros((STEPS, STEPS), dtype=bool)
    for polygon in polygons:
        corners = np.array(polygon) * STEPS - 0.5
        mask[filled(corners[:, 1], corners[:, 0], mask.shape)] ^= True
    return mask


def within(planes: Float[Tensor, "*c h w"], polygons: Polygons | None) -> Float[Tensor, "*c h w"]:
    """An image or a map that is 0 outside of the region, if there is one."""
    return planes if polygons is None else planes * inside(polygons, *planes.shape[-2:]).to(planes.device)


def _from_json(path: Path) -> Polygons:
    document = _document(path)
    width, height = document.size
    return tuple(tuple((x / width, y / height) for x, y in polygon) for polygon in document.polygons)


def _document(path: Path) -> _Document:
    try:
        return _Document.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RegionError(path, error.strerror or str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else part for part in first["loc"])
        said = first["msg"][0].lower() + first["msg"][1:]
        raise RegionError(path, f"{where}: {said}" if where else said) from error


def _from_mask(mask: Mask) -> Polygons:
    """The contours of a mask; those of holes take away what they enclose."""
    height, width = mask.shape
    outlines = [simplified(ring, EXACT) for ring in contours(mask.numpy())]
    return tuple(tuple((float(x) / width, float(y) / height) for y, x in outline) for outline in outlines)
