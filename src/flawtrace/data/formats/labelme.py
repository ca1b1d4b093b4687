"""labelme: a JSON file beside each image, with shapes in pixels of the image as it is shown."""

import json
from collections.abc import Iterator, Sequence
from math import hypot
from pathlib import Path
from typing import Any

from flawtrace.data.formats.annotated import Annotated, Defect, LabelFormatError, Pictures, Plane
from flawtrace.data.formats.coco import loaded
from flawtrace.data.formats.outlines import box, circle, drawn, filled, polygons_of


def recognised(source: Path) -> bool:
    return any(True for _ in _documents(source))


def read(source: Path, pictures: Pictures) -> Iterator[Annotated]:
    for path, document in _documents(source):
        said = document.get("imageHeight"), document.get("imageWidth")
        name = document.get("imagePath") or path.stem
        try:
            image, size = pictures.checked(name, (int(said[0]), int(said[1])) if all(said) else None)
            shapes = document["shapes"]
            defects = tuple(Defect(str(shape["label"]), _mask(shape, size)) for shape in shapes)
        except (KeyError, TypeError, ValueError) as error:
            raise LabelFormatError(path, repr(error)) from error
        yield Annotated(image, defects)


def write(annotated: Sequence[Annotated], out: Path) -> None:
    """Polygons; a hole is joined to the outline by a slit."""
    for one in annotated:
        height, width = one.size
        shapes = [
            {
                "label": defect.defect_type,
                "points": polygon.tolist(),
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
            }
            for defect in one.defects
            for polygon in polygons_of(defect.mask)
        ]
        document = {
            "version": "5.0.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": f"images/{one.image.name}",
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        (out / f"{one.image.stem}.json").write_text(json.dumps(document))


def _mask(shape: dict[str, Any], size: tuple[int, int]) -> Plane:
    points = [(float(x), float(y)) for x, y in shape["points"]]
    kind = shape.get("shape_type") or "polygon"
    if kind == "polygon":
        return filled(points, size)
    if kind == "rectangle":
        xs, ys = zip(*points, strict=True)
        return box(min(xs), min(ys), max(xs), max(ys), size)
    if kind == "circle":
        (x, y), (edge_x, edge_y) = points
        return circle(x, y, hypot(edge_x - x, edge_y - y), size)
    if kind in ("line", "linestrip", "point", "points"):
        return drawn(points, size)
    raise ValueError(f"shapes of type {kind} are not read")


def _documents(source: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    files = [source] if source.is_file() else sorted(source.rglob("*.json"))
    for path in files:
        if path.suffix.lower() != ".json":
            continue
        document = loaded(path)
        if isinstance(document, dict) and "shapes" in document:
            yield path, document
