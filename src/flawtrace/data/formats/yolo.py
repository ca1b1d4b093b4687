"""YOLO segmentation: a text file for each image, a line for each polygon, in shares of the image."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from flawtrace.data.formats.annotated import IGNORED, Annotated, Entry, Outline, Shape, Unread
from flawtrace.data.formats.class_names import from_lines, from_yaml
from flawtrace.data.formats.errors import DamageError, UnknownClassError
from flawtrace.data.formats.figures import box, points_of
from flawtrace.data.formats.parsing import each, text_in
from flawtrace.data.formats.pictures import files_below
from flawtrace.data.formats.tracing import polygons_of

IMAGES = "images/"
LABELS = "labels/"
FILE = "data.yaml"
LISTS = ("classes.txt", "obj.names")
NO_LABELS = frozenset({*LISTS, "labelmap.txt", "train.txt", "val.txt", "test.txt", "requirements.txt"})
"""Text files that lie beside labels; so do those that begin with README."""


def recognised(path: Path) -> str | None:
    """Why a file is of this format; None if it is not. An empty one does not tell."""
    if not _is_candidate(path):
        return None
    lines = [line.split() for line in text_in(path).splitlines() if line.strip()]
    is_one = bool(lines) and all(len(line) >= 5 and len(line) % 2 == 1 and _is_row(line) for line in lines)
    return "has lines of a class and shares of an image" if is_one else None


def entries(source: Path) -> Iterator[Entry | Unread]:
    names = _names(source if source.is_dir() else source.parent)
    for path in files_below(source) if source.is_dir() else [source]:
        if _is_candidate(path):
            yield from each(path, [text_in(path)], partial(_image_names, path), partial(_entry, path, names))


def files(types: Sequence[str], annotated: Iterable[Annotated]) -> Iterator[tuple[str, bytes]]:
    """Polygons; holes are joined to their outlines by slits. `data.yaml` has the names of the classes."""
    names, used = [*types, IGNORED], set(types)
    for one in annotated:
        height, width = one.size
        lines = []
        for label, mask in one.planes:
            used.add(label)
            shares = ((polygon / (width, height)).ravel() for polygon in polygons_of(mask))
            lines += [" ".join([str(names.index(label)), *map("{:.7f}".format, each)]) for each in shares]
        yield (
            LABELS + Path(one.name).with_suffix(".txt").name,
            "".join(f"{line}\n" for line in lines).encode(),
        )
    listed = "".join(f"  {n}: {json.dumps(name)}\n" for n, name in enumerate(names) if name in used)
    yield FILE, f"path: .\ntrain: images\nval: images\nnames:\n{listed}".encode()


def _entry(path: Path, names: dict[int, str], text: str) -> Entry:
    shapes = tuple(_shape(path, names, line.split()) for line in text.splitlines() if line.strip())
    return Entry(_image_names(path), path, shapes, in_shares=True)


def _image_names(path: Path, text: str = "") -> tuple[str, ...]:  # noqa: ARG001 (what it says does not name it)
    folders = ["images" if part.lower() == "labels" else part for part in path.parent.parts]
    return (Path(*folders, path.stem).as_posix(),)


def _shape(path: Path, names: dict[int, str], line: Sequence[str]) -> Shape:
    number, values = int(line[0]), [float(value) for value in line[1:]]
    if names and number not in names:
        raise UnknownClassError(path, str(number), [f"{key} ({name})" for key, name in names.items()])
    label = names.get(number, f"class_{number}")
    if len(values) == 4:
        x, y, across, down = values
        return Shape(label, box(x - across / 2, y - down / 2, x + across / 2, y + down / 2))
    if len(values) < 6 or len(values) % 2:
        raise DamageError(f"a line has {len(values)} numbers after its class, instead of three or more pairs")
    return Shape(label, Outline("polygon", points_of(list(zip(values[::2], values[1::2], strict=True)))))


def _names(folder: Path) -> dict[int, str]:
    """Of the classes, from the list or the YAML file of the data set, in the folder, below or one above."""
    above: list[Path] = []
    with suppress(OSError):  # it need not be ours to read
        above = sorted(folder.resolve().parent.iterdir())
    for path in [*files_below(folder), *above]:
        if path.name.lower() in LISTS:
            return from_lines(text_in(path))
        if path.suffix.lower() in (".yaml", ".yml") and (found := from_yaml(text_in(path))):
            return found
    return {}


def _is_candidate(path: Path) -> bool:
    name = path.name.lower()
    return path.suffix.lower() == ".txt" and name not in NO_LABELS and not name.startswith("readme")


def _is_row(values: Sequence[str]) -> bool:
    """Whether these are a class and shares, which people draw a little over the edge."""
    try:
        return values[0].isdecimal() and all(-0.5 <= float(value) <= 1.5 for value in values[1:])
    except ValueError:
        return False
