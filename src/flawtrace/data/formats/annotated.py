"""The words that all formats share: what a program says of an image, and what that means for its pixels."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from flawtrace.ground.errors import FlawtraceError

Plane: TypeAlias = Bool[np.ndarray, "h w"]
Points: TypeAlias = Float[np.ndarray, "_ 2"]
"""(x, y) in pixels; the image's upper left corner is (0, 0), the middle of its first pixel (0.5, 0.5)."""
Size: TypeAlias = tuple[int, int]
"""(height, width)"""
Kind: TypeAlias = Literal["polygon", "box", "ellipse", "line", "points"]

IGNORED = "ignored"
"""The label as which pixels to ignore are written."""


@dataclass(frozen=True)
class Outline:
    kind: Kind
    points: Points
    """Corners; of lines and points, the places themselves."""


@dataclass(frozen=True)
class Raster:
    decoded: Callable[[], Plane]
    """Gives the mask when it is needed, so that packed ones stay packed until then."""
    place: tuple[int, int] | None = None
    """Left and top of the part of the image that it is of; None says that it is of the whole image."""


@dataclass(frozen=True)
class Shape:
    """What a person drew."""

    label: str
    figure: Outline | Raster | None = None
    """None says that the label is of the whole image."""
    name: str = ""
    """How its file tells it from others, such as by a number."""


@dataclass(frozen=True)
class Entry:
    """What a program says of one image."""

    names: tuple[str, ...]
    """That the image may have, the likeliest first; paths in the program's own spelling."""
    said_in: Path
    shapes: tuple[Shape, ...]
    size: Size | None = None
    """Of the image as it was labelled, if that is said."""
    explicit: bool = True
    """Whether no shape says that there is no defect, rather than that nobody has looked."""
    in_shares: bool = False
    """Points are shares of width and height instead of pixels."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unread:
    """What cannot be used of what a program says of one image."""

    names: tuple[str, ...]
    """That the image may have; none where nobody knows which image is meant."""
    error: FlawtraceError


@dataclass(frozen=True)
class Defect:
    """All defects of one type in one image."""

    defect_type: str
    mask: Plane | None
    """None says that they are somewhere in the image."""


@dataclass(frozen=True)
class Annotated:
    """One image and what it shows; no defect says that it is normal."""

    image: Path
    name: str
    """Of the file, where it is written."""
    size: Size
    defects: tuple[Defect, ...] = ()
    ignored: Plane | None = None
    """Pixels that nobody vouches for."""
    notes: tuple[str, ...] = ()
    """What a person should know, in words that are the same for all images of which it is true."""

    @property
    def planes(self) -> Iterator[tuple[str, Plane]]:
        """What is drawn, by label: the types of defects, then pixels to ignore."""
        for defect in self.defects:
            if defect.mask is not None:
                yield defect.defect_type, defect.mask
        if self.ignored is not None:
            yield IGNORED, self.ignored


def union(planes: Iterable[Plane], size: Size) -> Plane:
    found = np.zeros(size, dtype=bool)
    for plane in planes:
        found |= plane
    return found
