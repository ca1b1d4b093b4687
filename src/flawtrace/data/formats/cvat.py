"""CVAT for images 1.1: one XML file with the shapes of each image."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from flawtrace.data.formats.annotated import Annotated, Entry, Kind, Outline, Plane, Raster, Shape, Unread
from flawtrace.data.formats.errors import LabelFileError, UnreadShapeError
from flawtrace.data.formats.figures import box, ellipse, points_of, turned
from flawtrace.data.formats.parsing import each
from flawtrace.data.formats.pictures import files_of
from flawtrace.data.formats.run_lengths import lengths, unrolled

IMAGES = "images/"
FILE = "annotations.xml"
OF_POINTS: dict[str, Kind] = {"polygon": "polygon", "polyline": "line", "points": "points"}
SHAPES = (*OF_POINTS, "box", "mask", "ellipse", "tag")
GOOD = "normal"
"""The tag of an image that was looked at and shows no defect."""


def recognised(path: Path) -> str | None:
    """Why a file is of this format; None if it is not."""
    is_one = path.suffix.lower() == ".xml" and _root(path).tag == "annotations"
    return "has annotations of CVAT" if is_one else None


def entries(source: Path) -> Iterator[Entry | Unread]:
    for path in files_of(source, ".xml"):
        root = _root(path)
        if root.tag == "annotations":
            if root.find("track") is not None:
                raise LabelFileError(path, "it is of a video; export it as CVAT for images 1.1")
            yield from each(path, root.iter("image"), _names, partial(_entry, path))


def files(types: Sequence[str], annotated: Iterable[Annotated]) -> Iterator[tuple[str, bytes]]:  # noqa: ARG001
    """Masks, which keep every pixel."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for number, one in enumerate(annotated):
        height, width = one.size
        facts = {"id": str(number), "name": one.name, "width": str(width), "height": str(height)}
        image = ElementTree.SubElement(root, "image", facts)
        for label, mask in one.planes:
            ElementTree.SubElement(image, "mask", {"label": label, **_written(mask)})
        if not one.defects:
            ElementTree.SubElement(image, "tag", {"label": GOOD, "source": "manual"})
    ElementTree.indent(root)
    yield FILE, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _names(image: ElementTree.Element) -> tuple[str, ...]:
    return (image.attrib["name"],)


def _entry(path: Path, image: ElementTree.Element) -> Entry:
    name, said = image.attrib["name"], image.attrib
    shapes = tuple(_shape(path, name, shape) for shape in image if shape.get("outside") != "1")
    return Entry(_names(image), path, shapes, (int(said["height"]), int(said["width"])), explicit=False)


def _shape(path: Path, image: str, shape: ElementTree.Element) -> Shape:
    if shape.tag not in SHAPES:
        raise UnreadShapeError(path, image, shape.tag, SHAPES)
    label = shape.attrib["label"]
    return Shape(label) if shape.tag == "tag" else Shape(label, _figure(shape.tag, shape.attrib))


def _figure(kind: str, said: Mapping[str, str]) -> Outline | Raster:
    if kind == "mask":
        x, y, width, height = (int(said[name]) for name in ("left", "top", "width", "height"))
        runs = [int(run) for run in said["rle"].split(",")]
        return Raster(partial(unrolled, runs, (height, width)), (x, y))
    degrees = float(said.get("rotation", 0))
    if kind == "box":
        left, top, right, bottom = (float(said[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        return turned(box(left, top, right, bottom), degrees, (left + right) / 2, (top + bottom) / 2)
    if kind == "ellipse":
        middle_x, middle_y, across, down = (float(said[name]) for name in ("cx", "cy", "rx", "ry"))
        return turned(ellipse(middle_x, middle_y, across, down), degrees, middle_x, middle_y)
    points = [[float(value) for value in point.split(",")] for point in said["points"].split(";")]
    return Outline(OF_POINTS[kind], points_of(points))


def _written(mask: Plane) -> dict[str, str]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    place = {"left": columns[0], "top": rows[0], "width": part.shape[1], "height": part.shape[0]}
    facts = {name: str(value) for name, value in place.items()}
    return {**facts, "rle": ", ".join(map(str, lengths(part.ravel()))), "source": "manual", "z_order": "0"}


def _root(path: Path) -> ElementTree.Element:
    """Of a document without entities, which can be made to fill the memory."""
    try:
        content = path.read_bytes()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise LabelFileError(path, "it defines entities, which no labels need")
        return ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise LabelFileError(path, f"it is not XML ({error})") from error
