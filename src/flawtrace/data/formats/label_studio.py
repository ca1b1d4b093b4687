"""Label Studio's JSON export: brushes, polygons and rectangles, in percent of the image."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from flawtrace.data.formats.annotated import Annotated, Defect, LabelFormatError, Pictures
from flawtrace.data.formats.coco import loaded
from flawtrace.data.formats.outlines import box, filled, oval
from flawtrace.data.formats.run_lengths import from_brush, to_brush


def recognised(source: Path) -> bool:
    return any(True for _ in _documents(source))


def read(source: Path, pictures: Pictures) -> Iterator[Annotated]:
    for path, tasks in _documents(source):
        for task in tasks:
            try:
                yield _annotated(task, pictures)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise LabelFormatError(path, repr(error)) from error


def write(annotated: Sequence[Annotated], out: Path) -> None:
    """Brushes, which keep every pixel."""
    tasks = []
    for number, one in enumerate(annotated, start=1):
        height, width = one.size
        results = [
            {
                "id": f"{number}-{index}",
                "type": "brushlabels",
                "from_name": "tag",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": to_brush(defect.mask),
                    "brushlabels": [defect.defect_type],
                },
            }
            for index, defect in enumerate(one.defects)
        ]
        tasks.append({"id": number, "data": {"image": one.image.name}, "annotations": [{"result": results}]})
    (out / "label-studio.json").write_text(json.dumps(tasks))


def _annotated(task: dict[str, Any], pictures: Pictures) -> Annotated:
    said = next(value for value in task["data"].values() if isinstance(value, str))
    results = [row for entry in task["annotations"] for row in entry["result"] if "value" in row]
    sizes = {(row["original_height"], row["original_width"]) for row in results if "original_height" in row}
    image, size = pictures.checked(_name(said), sizes.pop() if sizes else None)
    defects = [defect for row in results if (defect := _defect(row, size)) is not None]
    return Annotated(image, tuple(defects))


def _defect(row: dict[str, Any], size: tuple[int, int]) -> Defect | None:
    """None for what is no shape, such as a choice for the whole image."""
    value, kind = row["value"], row["type"]
    if kind not in ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels"):
        return None
    height, width = size
    defect_type = str(value[kind][0])
    if kind == "brushlabels":
        return Defect(defect_type, from_brush(value["rle"], height, width))
    if kind == "polygonlabels":
        points = [(x * width / 100, y * height / 100) for x, y in value["points"]]
        return Defect(defect_type, filled(points, size))
    x, y = float(value["x"] * width / 100), float(value["y"] * height / 100)
    if kind == "ellipselabels":
        across, down = value["radiusX"] * width / 100, value["radiusY"] * height / 100
        return Defect(defect_type, oval(x, y, across, down, size))
    right, bottom = x + value["width"] * width / 100, y + value["height"] * height / 100
    if value.get("rotation"):
        raise ValueError("a rectangle is turned, which is not read: draw a polygon")
    return Defect(defect_type, box(x, y, right, bottom, size))


def _name(said: str) -> str:
    """Of the file: Label Studio puts eight hexadecimal digits before the name of what was uploaded."""
    name = PurePosixPath(unquote(urlsplit(said).query.partition("d=")[2] or urlsplit(said).path)).name
    first, dash, rest = name.partition("-")
    uploaded = dash and len(first) == 8 and all(letter in "0123456789abcdef" for letter in first)
    return rest if uploaded else name


def _documents(source: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    files = [source] if source.is_file() else sorted(source.rglob("*.json"))
    for path in files:
        if path.suffix.lower() != ".json":
            continue
        document = loaded(path)
        if isinstance(document, list) and document and {"data", "annotations"} <= set(document[0]):
            yield path, document
