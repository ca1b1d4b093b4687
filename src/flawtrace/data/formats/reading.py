"""From what a program says to what it means: images are found, shapes become masks, oddities are noted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flawtrace.data.formats.annotated import (
    Annotated,
    Defect,
    Entry,
    Outline,
    Plane,
    Raster,
    Shape,
    Size,
    Unread,
)
from flawtrace.data.formats.class_pictures import PLACE_TELLS
from flawtrace.data.formats.errors import (
    AmbiguousPictureError,
    LabelFileError,
    LabelSizeError,
    MissingPictureError,
)
from flawtrace.data.formats.figures import beyond, painted, scaled
from flawtrace.data.formats.masks import type_of_place
from flawtrace.data.formats.parsing import DAMAGED, reason
from flawtrace.data.formats.pictures import Pictures
from flawtrace.data.formats.wording import folder_name, is_ignored, is_nothing
from flawtrace.data.places import NO_TYPE
from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.decoding import is_turned
from flawtrace.pictures.images import image_size

FILLED = "a box is taken as the defect, with the normal surface inside it"
OUTSIDE = "a shape leaves the image: what lies outside is cut off"
EMPTY = "a shape covers no pixel: it is left out"
VANISHED = "no shape covers a pixel: an image of a defect without a mask"
UNDRAWN = "a label of the whole image: an image of a defect without a mask"
TURNED = "EXIF turns the image: its labels are taken as drawn on it upright"
INVERTED = "more than half of the image is a defect: is the mask inverted?"
MOST = 0.5
"""Share of the image from which on a mask is suspected to be inverted."""


@dataclass(frozen=True)
class Said:
    """What labels say of which image, and what of it cannot be used."""

    of: dict[Path, list[Entry]]
    problems: list[FlawtraceError]
    bad: set[Path]
    """Images of which something cannot be used: what is left may not be all that they show."""
    unplaced: bool
    """Whether something cannot be used of which nobody knows the image."""


def by_image(entries: Iterable[Entry | Unread], pictures: Pictures) -> Said:
    """All that is said of each image, and what is wrong with the rest."""
    said = Said({}, [], set(), False)
    for entry in entries:
        if isinstance(entry, Unread):
            said.problems.append(entry.error)
            said = said if entry.names else replace(said, unplaced=True)
        try:
            image = pictures.find(entry.names) if entry.names else None
        except AmbiguousPictureError as error:
            said.bad.update(error.found)
            said.problems.extend([] if isinstance(entry, Unread) else [error])
        except MissingPictureError as error:
            said.problems.extend([] if isinstance(entry, Unread) else [error])
        else:
            if isinstance(entry, Entry) and image:
                said.of.setdefault(image, []).append(entry)
            elif image:
                said.bad.add(image)
    return said


def says_something(said: Sequence[Entry]) -> bool:
    """Whether somebody looked at an image, even if there is nothing to draw."""
    return any(entry.shapes or entry.explicit for entry in said)


def meant(image: Path, said: Sequence[Entry], pictures: Pictures, line_width: float) -> Annotated:
    """What all entries of an image say together.

    Raises:
        LabelSizeError: they are for another size than the image has.
        LabelFileError: a packed mask is damaged.
        ImageError: the image cannot be read.
    """
    size, turned = image_size(image), is_turned(image)
    for entry in said:
        if entry.size not in (None, size):
            raise LabelSizeError(image, size, entry.size, entry.said_in, turned)
    place_type = type_of_place(image, pictures.folder) or NO_TYPE
    types: dict[str, Plane] = {}
    ignored: Plane | None = None
    notes = dict.fromkeys(note for entry in said for note in entry.notes)
    shapes = [(entry, shape) for entry in said for shape in entry.shapes]
    for label, mask, remarks in _drawn(shapes, size, line_width):
        notes.update(dict.fromkeys(remarks))
        if not mask.any():
            continue
        if is_ignored(label):
            ignored = mask if ignored is None else ignored | mask
        elif not is_nothing(label):
            name = folder_name(place_type if label == PLACE_TELLS else label)
            types[name] = types[name] | mask if name in types else mask
    defects = tuple(Defect(name, mask) for name, mask in types.items()) or _somewhere(shapes)
    notes.update(dict.fromkeys(_remarks(shapes, defects, size, turned)))
    return Annotated(image, pictures.written_as(image), size, defects, ignored, tuple(notes))


def _drawn(
    shapes: Iterable[tuple[Entry, Shape]], size: Size, line_width: float
) -> Iterator[tuple[str, Plane, list[str]]]:
    """Each shape that was drawn: its label, its mask, and what is odd about it."""
    for entry, shape in shapes:
        figure = shape.figure
        if figure is None:
            continue
        if entry.in_shares and isinstance(figure, Outline):
            figure = scaled(figure, size)
        try:
            mask = painted(figure, size, line_width)
        except FlawtraceError:
            raise
        except DAMAGED as error:
            of = " of ".join(filter(None, (shape.name, entry.names[0])))
            raise LabelFileError(entry.said_in, f"{of}: {reason(error)}") from error
        yield shape.label, mask, _oddities(figure, mask, size, line_width)


def _oddities(figure: Outline | Raster, mask: Plane, size: Size, line_width: float) -> list[str]:
    found = [] if mask.any() else [EMPTY]
    if isinstance(figure, Outline):
        found += [OUTSIDE] if beyond(figure, size) else []
        found += [FILLED] if figure.kind == "box" else []
        if figure.kind in ("line", "points"):
            found.append(f"lines and points are drawn {line_width:g} pixels wide (--line-width)")
    return found


def _somewhere(shapes: Iterable[tuple[Entry, Shape]]) -> tuple[Defect, ...]:
    """Defects of an image without a mask: labels of the whole image, or shapes too small for any pixel."""
    labels = [shape.label for _, shape in shapes if not (is_nothing(shape.label) or is_ignored(shape.label))]
    return tuple(Defect(name, None) for name in dict.fromkeys(map(folder_name, labels)))


def _remarks(
    shapes: Sequence[tuple[Entry, Shape]], defects: Sequence[Defect], size: Size, turned: bool
) -> Iterator[str]:
    """What is odd about the whole."""
    masks = [defect.mask for defect in defects if defect.mask is not None]
    if turned and any(shape.figure is not None for _, shape in shapes):
        yield TURNED
    if defects and not masks:
        yield VANISHED if any(shape.figure is not None for _, shape in shapes) else UNDRAWN
    if sum(int(mask.sum()) for mask in masks) > MOST * size[0] * size[1]:
        yield INVERTED
    for label in dict.fromkeys(shape.label for _, shape in shapes if shape.figure is not None):
        if is_nothing(label):
            yield f"what is labelled {label!r} is no defect"
        elif folder_name(label) != label and label != PLACE_TELLS:
            yield f"the label {label!r} is called {folder_name(label)!r}"
