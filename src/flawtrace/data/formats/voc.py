"""Pictures of classes as in Pascal VOC: a number or colour for each type, 255 for pixels to ignore."""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from flawtrace.data.formats.annotated import IGNORED, Annotated, Entry, Unread
from flawtrace.data.formats.class_pictures import IGNORED_VALUES
from flawtrace.data.formats.errors import ManyTypesError
from flawtrace.data.formats.masks import entries_of, in_folder_of
from flawtrace.data.formats.pictures import files_below
from flawtrace.data.places import MASKS, is_image
from flawtrace.pictures.mask_files import BACKGROUND

IMAGES = "JPEGImages/"
FOLDER = "SegmentationClass"
OWN = frozenset({"segmentationclass", "segmentationclasspng"})
OTHERS = frozenset({"segmentationobject", "segmentationobjectpng", "segmentationclassvisualization"})
"""Folders of the same masks in other words."""


def recognised(source: Path) -> str | None:
    """Why a folder is of this format; None if it is not."""
    found = [path for path in _pictures(source) if in_folder_of(path, source, OWN)]
    return f"has a folder {found[0].parent.name}" if found else None


def entries(source: Path) -> Iterator[Entry | Unread]:
    pictures = _pictures(source)
    own = [path for path in pictures if in_folder_of(path, source, OWN)]
    masks = own or [path for path in pictures if in_folder_of(path, source, MASKS)]
    yield from entries_of(masks, source, ignore=True)


def label_pictures(source: Path) -> frozenset[Path]:
    folders = OWN | OTHERS | MASKS
    return frozenset(path for path in _pictures(source) if in_folder_of(path, source, folders))


def files(types: Sequence[str], annotated: Iterable[Annotated]) -> Iterator[tuple[str, bytes]]:
    """Palette pictures; where types overlap, the last counts. `labelmap.txt` has names and colours."""
    ignored = IGNORED_VALUES["numbers"]
    if len(types) >= ignored:
        raise ManyTypesError(len(types), ignored - 1)
    palette = np.array([_colour(number) for number in range(256)], np.uint8)
    palette[ignored] = (224, 224, 192)
    names = ["background", *types]
    lines = "".join(_line(name, palette[number]) for number, name in enumerate(names))
    yield "labelmap.txt", lines.encode(errors="backslashreplace")
    for one in annotated:
        classes = np.full(one.size, BACKGROUND, np.uint8)
        for label, mask in one.planes:
            classes[mask] = ignored if label == IGNORED else names.index(label)
        picture = Pillow.fromarray(classes).convert("P")
        picture.putpalette(palette.tobytes())
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        yield f"{FOLDER}/{Path(one.name).with_suffix('.png').name}", buffer.getvalue()


def _pictures(source: Path) -> list[Path]:
    return [path for path in files_below(source) if is_image(path)] if source.is_dir() else []


def _line(name: str, colour: np.ndarray) -> str:
    red, green, blue = colour
    return f"{name}:{red},{green},{blue}::\n"


def _colour(number: int) -> tuple[int, int, int]:
    """Of a class in Pascal VOC: three bits of its number at a time, from the highest bit of each colour down.

    >>> _colour(1), _colour(4)
    ((128, 0, 0), (0, 0, 128))
    """
    red = green = blue = 0
    for place in range(8):
        bits = number >> 3 * place
        red |= (bits & 1) << 7 - place
        green |= (bits >> 1 & 1) << 7 - place
        blue |= (bits >> 2 & 1) << 7 - place
    return red, green, blue
