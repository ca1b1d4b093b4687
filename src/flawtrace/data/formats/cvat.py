"""CVAT for images 1.1: one XML file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from flawtrace.data.formats.annotated import Annotated, Defect, LabelFormatError, Pictures, Plane
from flawtrace.data.formats.outlines import box, drawn, filled, oval
from flawtrace.data.formats.run_lengths import lengths, unrolled

SHAPES = ("polygon", "box", "mask", "polyline", "ellipse", "points")


def recognised(source: Path) -> bool:
    return any(True for _ in _documents(source))


def read(source: Path, pictures: Pictures) -> Iterator[Annotated]:
    for path, root in _documents(source):
        for entry in root.iter("image"):
            try:
                said = int(entry.attrib["height"]), int(entry.attrib["width"])
                image, size = pictures.checked(entry.attrib["name"], said)
                shapes = [shape for shape in entry if shape.tag in SHAPES]
                defects = tuple(Defect(shape.attrib["label"], _mask(shape, size)) for shape in shapes)
            except (KeyError, ValueError) as error:
                raise LabelFormatError(path, repr(error)) from error
            yield Annotated(image, defects)


def write(annotated: Sequence[Annotated], out: Path) -> None:
    """Masks, which keep every pixel."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for number, one in enumerate(annotated):
        height, width = one.size
        facts = {"id": str(number), "name": one.image.name, "width": str(width), "height": str(height)}
        entry = ElementTree.SubElement(root, "image", facts)
        for defect in one.defects:
            rows, columns = defect.mask.any(axis=1).nonzero()[0], defect.mask.any(axis=0).nonzero()[0]
            part = defect.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            shape = {
                "label": defect.defect_type,
                "left": str(columns[0]),
                "top": str(rows[0]),
                "width": str(part.shape[1]),
                "height": str(part.shape[0]),
                "rle": ", ".join(map(str, lengths(part.ravel()))),
            }
            ElementTree.SubElement(entry, "mask", shape)
    ElementTree.ElementTree(root).write(out / "annotations.xml", encoding="utf-8", xml_declaration=True)


def _mask(shape: ElementTree.Element, size: tuple[int, int]) -> Plane:
    said = shape.attrib
    if shape.tag == "mask":
        left, top, width, height = (int(said[name]) for name in ("left", "top", "width", "height"))
        part = unrolled([int(run) for run in said["rle"].split(",")]).reshape(height, width)
        mask = np.zeros(size, dtype=bool)
        mask[top : top + height, left : left + width] = part
        return mask
    if shape.tag == "box":
        return box(*(float(said[name]) for name in ("xtl", "ytl", "xbr", "ybr")), size)
    if shape.tag == "ellipse":
        return oval(*(float(said[name]) for name in ("cx", "cy", "rx", "ry")), size)
    points = [tuple(map(float, point.split(","))) for point in said["points"].split(";")]
    return filled(points, size) if shape.tag == "polygon" else drawn(points, size)


def _documents(source: Path) -> Iterator[tuple[Path, ElementTree.Element]]:
    files = [source] if source.is_file() else sorted(source.rglob("*.xml"))
    for path in files:
        if path.suffix.lower() != ".xml":
            continue
        text = path.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise LabelFormatError(path, "it defines entities, which no label needs")
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise LabelFormatError(path, f"it is not XML: {error}") from error
        if root.tag == "annotations":
            yield path, root
