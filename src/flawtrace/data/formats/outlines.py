"""Masks from polygons, boxes and ellipses, and polygons from masks.

Points are (x, y) in pixels; the upper left corner of the image is (0, 0), and a pixel belongs to a polygon
when its middle does.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from skimage.draw import disk, ellipse, line, polygon
from skimage.measure import find_contours, label

from flawtrace.data.formats.annotated import Plane

Points: TypeAlias = Float[np.ndarray, "p 2"]
Size: TypeAlias = tuple[int, int]


def filled(points: Sequence[Sequence[float]] | Points, size: Size) -> Plane:
    """The inside of a polygon, by the even-odd rule, as far as it lies in the image."""
    mask = np.zeros(size, dtype=bool)
    corners = np.asarray(points, dtype=float).reshape(-1, 2) - 0.5
    rows, columns = polygon(corners[:, 1], corners[:, 0], size)
    mask[rows, columns] = True
    return mask


def box(left: float, top: float, right: float, bottom: float, size: Size) -> Plane:
    return filled([(left, top), (right, top), (right, bottom), (left, bottom)], size)


def circle(x: float, y: float, radius: float, size: Size) -> Plane:
    mask = np.zeros(size, dtype=bool)
    mask[disk((y - 0.5, x - 0.5), radius, shape=size)] = True
    return mask


def oval(x: float, y: float, across: float, down: float, size: Size) -> Plane:
    """An ellipse by its half axes."""
    mask = np.zeros(size, dtype=bool)
    mask[ellipse(y - 0.5, x - 0.5, max(down, 0.5), max(across, 0.5), shape=size)] = True
    return mask


def drawn(points: Sequence[Sequence[float]], size: Size) -> Plane:
    """Lines from point to point, one pixel wide."""
    mask = np.zeros(size, dtype=bool)
    corners = np.floor(np.asarray(points, dtype=float)).astype(int)
    corners = corners.clip(0, np.array(size[::-1]) - 1)
    for (x, y), (next_x, next_y) in zip(corners, corners[1:] if len(corners) > 1 else corners, strict=False):
        mask[line(y, x, next_y, next_x)] = True
    return mask


def polygons_of(mask: Plane) -> list[Points]:
    """One polygon for each 4-connected region, whose holes are joined to its outline by a slit."""
    labels = label(mask, connectivity=1)
    return [_polygon(labels == number) for number in range(1, int(labels.max()) + 1)]


def _polygon(region: Plane) -> Points:
    rings = [ring[:, ::-1] - 0.5 for ring in find_contours(np.pad(region, 1).astype(float), 0.5)]
    rings.sort(key=lambda ring: -abs(_area(ring)))
    whole = rings[0]
    for hole in rings[1:]:
        gaps = np.linalg.norm(whole[:, None] - hole[None], axis=2)
        here, there = np.unravel_index(int(gaps.argmin()), gaps.shape)
        ring = np.concatenate([hole[there:-1], hole[: there + 1]])
        whole = np.concatenate([whole[: here + 1], ring, whole[here:]])
    return whole


def _area(ring: Points) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
