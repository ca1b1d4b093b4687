"""What people draw, as masks: a pixel belongs to a figure when its middle does."""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, pi, radians, sin, sqrt
from typing import Any

import numpy as np
from jaxtyping import Float
from skimage.draw import line

from flawtrace.data.formats.annotated import Outline, Plane, Points, Raster, Size, union
from flawtrace.data.formats.errors import DamageError

FARTHEST = 1e7
"""Pixels; a coordinate beyond this is damage."""
BEYOND = 1.0
"""Pixels by which a figure may leave the image before it is told."""

Point = Float[np.ndarray, "2"]


def points_of(values: Sequence[Any] | np.ndarray) -> Points:
    """Pairs of finite numbers.

    Raises:
        DamageError: they are not.
    """
    points = np.array(values, dtype=float).reshape(-1, 2)
    if not (np.abs(points) < FARTHEST).all():
        raise DamageError("a coordinate is not a number of pixels")
    return points


def box(left: float, top: float, right: float, bottom: float) -> Outline:
    return Outline("box", points_of([(left, top), (right, top), (right, bottom), (left, bottom)]))


def ellipse(x: float, y: float, across: float, down: float) -> Outline:
    """By its middle and half axes: a polygon that is nowhere off by a tenth of a pixel."""
    across, down = abs(across), abs(down)
    corners = 16 + int(8 * sqrt(min(max(across, down), FARTHEST)))
    angles = np.arange(corners) * 2 * pi / corners
    return Outline(
        "ellipse", points_of(np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], 1))
    )


def circle(middle: Point, edge: Point) -> Outline:
    """By its middle and a point on its edge."""
    radius = hypot(edge[0] - middle[0], edge[1] - middle[1])
    return ellipse(middle[0], middle[1], radius, radius)


def turned(figure: Outline, degrees: float, x: float, y: float) -> Outline:
    """Clockwise, as it looks on the screen, about the point (x, y)."""
    angle = radians(degrees)
    right, down = (figure.points - (x, y)).T
    moved = [x + right * cos(angle) - down * sin(angle), y + right * sin(angle) + down * cos(angle)]
    return Outline(figure.kind, np.stack(moved, axis=1))


def scaled(figure: Outline, size: Size) -> Outline:
    """From shares of an image of this size to its pixels."""
    return Outline(figure.kind, figure.points * size[::-1])


def beyond(figure: Outline, size: Size) -> bool:
    """Whether it leaves the image by more than people do who draw to its edge."""
    over = (figure.points < -BEYOND) | (figure.points > np.array(size[::-1]) + BEYOND)
    return bool(over.any())


def painted(figure: Outline | Raster, size: Size, line_width: float) -> Plane:
    """As far as it lies in the image; lines and points are as wide as told.

    Raises:
        DamageError: a packed mask is damaged, or of another size.
    """
    if isinstance(figure, Raster):
        return _placed(figure, size)
    if figure.kind in ("line", "points"):
        return _stroked(figure, size, line_width)
    return filled(figure.points, size)


def filled(points: Points, size: Size) -> Plane:
    """The inside of a polygon, by the even-odd rule: a pixel lies inside if an odd number of edges is to its
    left. The time that takes grows with the length of the outline, not with what it encloses.
    """
    height, width = size
    crossed = np.zeros((height, width + 1), dtype=bool)
    for (x, y), (next_x, next_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        first, last = (int(np.clip(np.ceil(end - 0.5), 0, height)) for end in sorted((y, next_y)))
        rows = np.arange(first, last)
        if len(rows):
            at = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
            crossed[rows, np.clip(np.ceil(at - 0.5), 0, width).astype(int)] ^= True
    inside: Plane = np.logical_xor.accumulate(crossed[:, :width], axis=1)
    return inside


def _placed(figure: Raster, size: Size) -> Plane:
    part = figure.decoded()
    if figure.place is None:
        if part.shape != size:
            raise DamageError(
                f"a mask of {part.shape[1]} x {part.shape[0]} pixels is for {size[1]} x {size[0]}"
            )
        return part
    left, top = figure.place
    mask = np.zeros(size, dtype=bool)
    seen = part[max(0, -top) : max(0, size[0] - top), max(0, -left) : max(0, size[1] - left)]
    rows, columns = seen.shape
    mask[max(top, 0) : max(top, 0) + rows, max(left, 0) : max(left, 0) + columns] = seen
    return mask


def _stroked(figure: Outline, size: Size, width: float) -> Plane:
    """Dots, and between those of a line bars; nowhere thinner than a pixel."""
    points = figure.points
    pairs = list(pairwise(points)) if figure.kind == "line" else []
    round_ends = [ellipse(x, y, width / 2, width / 2).points for x, y in points]
    bars = [_bar(start, end, width) for start, end in pairs]
    thin = (_thin(start, end, size) for start, end in pairs or zip(points, points, strict=True))
    thick = (filled(corners, size) for corners in (*round_ends, *bars))
    return union([*thin, *thick], size)


def _bar(start: Point, end: Point, width: float) -> Points:
    """The four corners of a straight line of some width."""
    along = end - start
    across = np.array([-along[1], along[0]]) / (hypot(*along) or 1.0) * width / 2
    return np.stack([start + across, end + across, end - across, start - across])


def _thin(start: Point, end: Point, size: Size) -> Plane:
    most = np.array(size[::-1]) - 1
    (left, top), (right, bottom) = (np.floor(point).clip(0, most).astype(int) for point in (start, end))
    mask = np.zeros(size, dtype=bool)
    mask[line(top, left, bottom, right)] = True
    return mask
