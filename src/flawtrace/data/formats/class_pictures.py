"""Pictures that are masks: one value for the background, and one for each type of defect."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flawtrace.data.formats import class_names
from flawtrace.data.formats.annotated import IGNORED, Plane, Raster, Shape, Size
from flawtrace.data.formats.errors import NotAMaskError, UnknownClassError
from flawtrace.data.formats.parsing import text_in
from flawtrace.data.formats.pictures import files_below
from flawtrace.pictures.mask_files import (
    BACKGROUND,
    CLASSES,
    FEW,
    Kind,
    marked_values,
    read_mask,
    values_in,
)

IGNORED_VALUES: dict[Kind, int] = {"numbers": 255, "colours": 0xE0E0C0}
"""Of pixels to ignore, in pictures of Pascal VOC."""
LISTS = ("labelmap.txt", "classes.txt", "class_names.txt", "labels.txt")
"""Files with the names of classes."""
PLACE_TELLS = ""
"""The label of a mask whose type is told by the folder that the image lies in."""
SMOOTHED = "its mask has many greys: what is at least half white is the defect"
GREYS = "its mask has several greys: all but black is the defect"


@dataclass(frozen=True)
class Scheme:
    """How the pictures of a folder are to be read."""

    names: dict[Kind, dict[int, str]]
    """Of classes by number, and by colour (0xRRGGBB), as far as they are given."""
    in_classes: bool
    """Whether different values are different types."""
    ignore: bool
    """Whether 255, or its colour in Pascal VOC, stands for pixels to ignore."""

    @property
    def as_colours(self) -> bool:
        """Whether a palette stands for its colours rather than for their numbers."""
        return bool(self.names["colours"])

    def ignored(self, kind: Kind) -> set[int]:
        value = IGNORED_VALUES[kind]
        return {value} if self.ignore and value not in self.names[kind] else set()


def scheme_of(source: Path, masks: Iterable[Path], ignore: bool) -> Scheme:
    """Names from the list in the folder; without one, values as all of its masks together have them."""
    lists = [path for path in files_below(source) if path.name.lower() in LISTS]
    text = text_in(lists[0]) if lists else ""
    colours = class_names.of_colours(text)
    numbers = dict(enumerate(colours.values())) if colours else class_names.of_numbers(text)
    named = Scheme({"numbers": numbers, "colours": colours}, True, ignore)
    if text:
        return named
    used: dict[Kind, set[int]] = defaultdict(set)
    for path in masks:
        kind, values = values_in(path)
        used[kind] |= marked_values(values) - named.ignored(kind)
    return Scheme(named.names, any(_are_classes(kind, found, ignore) for kind, found in used.items()), ignore)


def read(path: Path, scheme: Scheme) -> tuple[Size, tuple[Shape, ...], tuple[str, ...]]:
    """Its size, a shape for each type of defect and for pixels to ignore, and what a person should know.

    Raises:
        NotAMaskError, UnknownClassError: the values are too many, or have no name.
        ImageError: the file cannot be read.
    """
    kind, values = values_in(path, scheme.as_colours)
    ignored = scheme.ignored(kind)
    found = marked_values(values) - ignored
    if len(found) > FEW and (kind == "colours" or scheme.in_classes):
        raise NotAMaskError(path, len(found))
    where = partial(_where, path, scheme.as_colours)
    shapes = [Shape(IGNORED, Raster(partial(where, value))) for value in ignored & marked_values(values)]
    if scheme.in_classes:
        names = {value: _name(path, kind, value, scheme) for value in sorted(found)}
        shapes += [Shape(name, Raster(partial(where, value))) for value, name in names.items()]
    elif found:
        mask = partial(_all_but, path, ignored) if ignored else partial(_as_mask, path)
        shapes.append(Shape(PLACE_TELLS, Raster(mask)))
    alone = scheme.in_classes or len(found) < 2
    notes = () if alone else (SMOOTHED if len(found) > FEW else GREYS,)
    return (values.shape[0], values.shape[1]), tuple(shapes), notes


def _are_classes(kind: Kind, values: set[int], ignore: bool) -> bool:
    """Small numbers or colours; with 255 for "ignore", any numbers. One value alone is just the defect."""
    return 1 < len(values) <= 256 and (ignore or kind == "colours" or max(values) <= CLASSES)


def _name(path: Path, kind: Kind, value: int, scheme: Scheme) -> str:
    names = scheme.names[kind]
    shown = str if kind == "numbers" else "{:06x}".format
    if names and value not in names:
        raise UnknownClassError(path, shown(value), [f"{shown(key)} ({name})" for key, name in names.items()])
    return names.get(value) or f"{'class' if kind == 'numbers' else 'colour'}_{shown(value)}"


def _where(path: Path, as_colours: bool, value: int) -> Plane:
    found: Plane = values_in(path, as_colours)[1] == value
    return found


def _all_but(path: Path, ignored: set[int]) -> Plane:
    found: Plane = ~np.isin(values_in(path)[1], [BACKGROUND, *ignored])
    return found


def _as_mask(path: Path) -> Plane:
    found: Plane = read_mask(path).numpy()
    return found
