"""labelme: a JSON file beside each image, with shapes in pixels of the image as it is shown, upright."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from flawtrace.data.formats.annotated import Annotated, Entry, Outline, Plane, Points, Raster, Shape, Unread
from flawtrace.data.formats.errors import DamageError, LabelFileError, UnreadShapeError
from flawtrace.data.formats.figures import box, circle, points_of
from flawtrace.data.formats.parsing import dumped, each, json_in
from flawtrace.data.formats.pictures import files_of
from flawtrace.data.formats.tracing import polygons_of
from flawtrace.pictures.decoding import MAX_PIXELS

IMAGES = ""
SHAPES = ("polygon", "rectangle", "circle", "line", "linestrip", "point", "points", "mask")


def recognised(path: Path) -> str | None:
    """Why a file is of this format; None if it is not."""
    document = json_in(path) if path.suffix.lower() == ".json" else None
    is_one = isinstance(document, dict) and isinstance(document.get("shapes"), list)
    return "has shapes" if is_one else None


def entries(source: Path) -> Iterator[Entry | Unread]:
    for path in files_of(source, ".json"):
        try:
            documents = [json_in(path)] if recognised(path) else []
        except LabelFileError as error:
            yield Unread((_beside(path),), error)
        else:
            yield from each(path, documents, partial(_names, path), partial(_entry, path))


def files(types: Sequence[str], annotated: Iterable[Annotated]) -> Iterator[tuple[str, bytes]]:  # noqa: ARG001
    """Polygons; holes are joined to their outlines by slits."""
    for one in annotated:
        height, width = one.size
        drawn = [(label, polygon) for label, mask in one.planes for polygon in polygons_of(mask)]
        document: dict[str, Any] = {
            "version": "5.0.0",
            "flags": {},
            "shapes": [_written(label, polygon) for label, polygon in drawn],
            "imagePath": one.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        yield Path(one.name).with_suffix(".json").name, dumped(document)


def _entry(path: Path, document: dict[str, Any]) -> Entry:
    height, width = document.get("imageHeight"), document.get("imageWidth")
    image = _image(path, document)
    shapes = [_shape(path, image, said) for said in document["shapes"]]
    flags = [Shape(str(name)) for name, value in (document.get("flags") or {}).items() if value]
    size = (int(height), int(width)) if height and width else None
    return Entry(_names(path, document), path, (*shapes, *flags), size)


def _names(path: Path, document: dict[str, Any]) -> tuple[str, ...]:
    return _seen_from(path, _image(path, document)), _beside(path)


def _image(path: Path, document: dict[str, Any]) -> str:
    return str(document.get("imagePath") or _beside(path))


def _beside(path: Path) -> str:
    """The image of the file's own name."""
    return path.with_suffix("").as_posix()


def _seen_from(path: Path, image: str) -> str:
    """A relative path is meant from the file's own folder; one of another machine keeps its name alone."""
    relative = image.replace("\\", "/")
    return (path.parent / relative).resolve().as_posix() if ":" not in relative else relative


def _shape(path: Path, image: str, said: dict[str, Any]) -> Shape:
    label, points = str(said["label"]), points_of(said["points"])
    kind = said.get("shape_type") or "polygon"
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return Shape(label, box(left, top, right, bottom))
    if kind == "circle":
        middle, edge = points
        return Shape(label, circle(middle, edge))
    if kind in ("line", "linestrip"):
        return Shape(label, Outline("line", points))
    if kind in ("point", "points"):
        return Shape(label, Outline("points", points))
    if kind == "mask":
        left, top = np.floor(points[0]).astype(int)
        return Shape(label, Raster(partial(_decoded, said["mask"]), (int(left), int(top))))
    if kind in ("polygon", "rectangle"):  # some programs write all corners of a rectangle that is turned
        return Shape(label, Outline("polygon", points))
    raise UnreadShapeError(path, image, kind, SHAPES)


def _decoded(packed: str) -> Plane:
    """The part of a mask that its box encloses, a picture."""
    try:
        with Pillow.open(io.BytesIO(base64.b64decode(packed)), formats=["PNG"]) as picture:
            if picture.width * picture.height <= MAX_PIXELS:
                return np.asarray(picture.convert("L")) > 0
    except (OSError, SyntaxError, Pillow.DecompressionBombError) as error:
        raise DamageError(f"a mask is damaged ({error})") from error
    raise DamageError("a mask has too many pixels")


def _written(label: str, polygon: Points) -> dict[str, Any]:
    return {
        "label": label,
        "points": polygon.tolist(),
        "group_id": None,
        "shape_type": "polygon",
        "flags": {},
    }
