"""Label Studio's JSON export: a list of tasks; shapes in percent of the image, brushes packed bit by bit."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from flawtrace.data.formats.annotated import Annotated, Entry, Outline, Raster, Shape, Size, Unread
from flawtrace.data.formats.brush import from_brush, to_brush
from flawtrace.data.formats.errors import DamageError, UnreadShapeError
from flawtrace.data.formats.figures import box, ellipse, points_of, turned
from flawtrace.data.formats.parsing import dumped, each, json_in
from flawtrace.data.formats.pictures import files_of
from flawtrace.data.places import EXTENSIONS, NO_TYPE

IMAGES = "images/"
FILE = "tasks.json"
SHAPES = ("brush", "polygon", "rectangle", "ellipse", "keypoint")
OF_THE_WHOLE = ("choices", "taxonomy")
"""Answers about the whole image."""
NO_SHAPES = ("textarea", "rating", "number", "relation", "pairwise", "datetime")
SEVERAL = "several people labelled it: the last labels count"

Row: TypeAlias = dict[str, Any]


def recognised(path: Path) -> str | None:
    """Why a file is of this format; None if it is not."""
    document = json_in(path) if path.suffix.lower() == ".json" else None
    first = document[0] if isinstance(document, list) and document else None
    is_one = (
        isinstance(first, dict) and "data" in first and ("annotations" in first or "completions" in first)
    )
    return "is a list of tasks with data and annotations" if is_one else None


def entries(source: Path) -> Iterator[Entry | Unread]:
    for path in files_of(source, ".json"):
        if recognised(path):
            tasks = [task for task in json_in(path) if not _is_unanswered(task)]
            yield from each(path, tasks, lambda task: _names(task["data"]), partial(_entry, path))


def files(types: Sequence[str], annotated: Iterable[Annotated]) -> Iterator[tuple[str, bytes]]:  # noqa: ARG001
    """Brushes, which keep every pixel."""
    tasks = []
    for number, one in enumerate(annotated, start=1):
        results = [
            _written(f"{number}-{label}", label, one.size, to_brush(mask)) for label, mask in one.planes
        ]
        image = f"/data/local-files/?d={IMAGES}{one.name}"
        answer = {"id": number, "was_cancelled": False, "result": results}
        tasks.append({"id": number, "data": {"image": image}, "annotations": [answer]})
    yield FILE, dumped(tasks)


def _answers(task: Row) -> list[Row]:
    """What people said of a task; not what a model proposed, nor what was skipped."""
    answers = task.get("annotations", task.get("completions")) or []
    return [answer for answer in answers if not answer.get("was_cancelled")]


def _is_unanswered(task: Any) -> bool:
    """Whether nobody labelled it, or whoever did skipped it; what is damaged is said where it is read."""
    try:
        return not _answers(task)
    except (AttributeError, TypeError):
        return False


def _entry(path: Path, task: Row) -> Entry:
    answers = _answers(task)
    results = [row for row in answers[-1]["result"] if isinstance(row.get("value"), dict)]
    names = _names(task["data"])
    labelled = {row.get("id") for row in results if _label(row["value"])}
    drawn = [row for row in results if _label(row["value"]) or row.get("id") not in labelled]
    sizes = {_size(row) for row in drawn if "original_height" in row}
    if len(sizes) > 1:
        raise DamageError(f"the shapes of {names[0]} are for images of several sizes")
    shapes = tuple(shape for row in drawn for shape in _shapes(path, names[0], row))
    notes = (SEVERAL,) if len(answers) > 1 else ()
    return Entry(names, path, shapes, next(iter(sizes), None), notes=notes)


def _shapes(path: Path, image: str, row: Row) -> Iterator[Shape]:
    value, kind = row["value"], str(row["type"]).removesuffix("labels")
    if kind in OF_THE_WHOLE:
        for answer in value.get("choices") or value.get("taxonomy") or []:
            yield Shape(str(answer[-1] if isinstance(answer, list) else answer))
    elif kind not in NO_SHAPES:
        figure = _figure(value, kind, _size(row))
        if figure is None:
            raise UnreadShapeError(path, image, kind, SHAPES)
        yield Shape(_label(value) or NO_TYPE, figure)


def _figure(value: Row, kind: str, size: Size) -> Outline | Raster | None:
    if "rle" in value:
        return Raster(partial(from_brush, value["rle"], size))
    if kind == "polygon" or (kind == "" and "points" in value):
        return Outline("polygon", points_of([_pixels(x, y, size) for x, y in value["points"]]))
    if "radiusX" in value:
        return _ellipse(value, size)
    if "height" in value:
        return _box(value, size)
    if kind == "keypoint":
        return Outline("points", points_of([_pixels(value["x"], value["y"], size)]))
    return None


def _size(row: Row) -> Size:
    return int(row["original_height"]), int(row["original_width"])


def _pixels(x: Any, y: Any, size: Size) -> tuple[float, float]:
    return float(x) * size[1] / 100, float(y) * size[0] / 100


def _box(value: Row, size: Size) -> Outline:
    """Turned about its upper left corner."""
    x, y = _pixels(value["x"], value["y"], size)
    across, down = _pixels(value["width"], value["height"], size)
    return turned(box(x, y, x + across, y + down), float(value.get("rotation") or 0), x, y)


def _ellipse(value: Row, size: Size) -> Outline:
    """Turned about its middle."""
    x, y = _pixels(value["x"], value["y"], size)
    across, down = _pixels(value["radiusX"], value["radiusY"], size)
    return turned(ellipse(x, y, across, down), float(value.get("rotation") or 0), x, y)


def _label(value: Row) -> str | None:
    """The first label of a shape, under whatever key it lies."""
    lists = [labels for key, labels in value.items() if key.endswith("labels") and isinstance(labels, list)]
    return next((str(labels[0]) for labels in lists if labels), None)


def _names(data: Row) -> tuple[str, ...]:
    """The image's name as it is kept, with eight digits and a dash before it, and as it was uploaded.

    >>> _names({"image": "/data/upload/1/0a1b2c3d-part%207.png"})
    ('/data/upload/1/0a1b2c3d-part 7.png', '/data/upload/1/part 7.png')
    """
    said = [value for value in data.values() if isinstance(value, str)]
    paths = [unquote(parse_qs(urlsplit(text).query).get("d", [urlsplit(text).path])[0]) for text in said]
    image = next((path for path in paths if Path(path).suffix.lower() in EXTENSIONS), None)
    if image is None:
        raise DamageError("a task names no image")
    folder, slash, name = image.rpartition("/")
    uploaded = folder + slash + re.sub(r"^[0-9a-f]{8}-", "", name)
    return (image,) if uploaded == image else (image, uploaded)


def _written(id_: str, label: str, size: Size, brush: list[int]) -> Row:
    return {
        "id": id_,
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "value": {"format": "rle", "rle": brush, "brushlabels": [label]},
    }
