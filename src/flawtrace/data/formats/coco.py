"""COCO: one JSON file with images, annotations and categories.

A region with `iscrowd` is a defect like any other: programs write so what was painted with a brush.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from skimage.measure import label as numbered
from skimage.measure import regionprops

from flawtrace.data.formats.annotated import IGNORED, Annotated, Entry, Outline, Plane, Raster, Shape, Unread
from flawtrace.data.formats.errors import DamageError, LabelFileError, UnknownClassError
from flawtrace.data.formats.figures import box, points_of
from flawtrace.data.formats.parsing import DAMAGED, dumped, each, json_in, reason
from flawtrace.data.formats.pictures import files_of
from flawtrace.data.formats.run_lengths import from_coco, to_coco

IMAGES = "images/"
FILE = "annotations.json"
NORMAL = "normal"
"""Our own key of an image that was looked at and shows no defect, for which COCO has no word."""

Row: TypeAlias = dict[str, Any]


def recognised(path: Path) -> str | None:
    """Why a file is of this format; None if it is not."""
    document = json_in(path) if path.suffix.lower() == ".json" else None
    is_one = isinstance(document, dict) and {"images", "annotations"} <= document.keys()
    return "has images and annotations" if is_one else None


def entries(source: Path) -> Iterator[Entry | Unread]:
    for path in files_of(source, ".json"):
        if recognised(path):
            document = json_in(path)
            try:
                categories = {row["id"]: str(row["name"]) for row in document.get("categories") or []}
                drawn, strays = _by_image(document)
            except DAMAGED as error:
                yield Unread((), LabelFileError(path, reason(error)))
            else:
                yield from (Unread((), LabelFileError(path, stray)) for stray in strays)
                yield from each(path, document["images"], _names, partial(_entry, path, categories, drawn))


def files(types: Sequence[str], annotated: Iterable[Annotated]) -> Iterator[tuple[str, bytes]]:
    """Compressed run lengths, which keep every pixel; one annotation for each region."""
    names = [*types, IGNORED]
    images: list[Row] = []
    rows: list[Row] = []
    for number, one in enumerate(annotated, start=1):
        height, width = one.size
        image = {"id": number, "file_name": IMAGES + one.name, "height": height, "width": width}
        images.append(image if one.defects else image | {NORMAL: True})
        regions = [(label, region) for label, mask in one.planes for region in _regions(mask)]
        rows += [
            {"id": id_, "image_id": number, "category_id": names.index(label) + 1, **region}
            for id_, (label, region) in enumerate(regions, start=len(rows) + 1)
        ]
    used = {row["category_id"] for row in rows}
    categories = [{"id": id_, "name": name} for id_, name in enumerate(names, start=1)]
    listed = [row for row in categories if row["name"] != IGNORED or row["id"] in used]
    yield FILE, dumped({"images": images, "annotations": rows, "categories": listed})


def _by_image(document: Row) -> tuple[dict[Any, list[Row]], list[str]]:
    """The annotations of each image, and what is wrong with those of which nobody knows the image."""
    listed = [row for row in document["images"] if isinstance(row, dict) and "id" in row]
    drawn: dict[Any, list[Row]] = {row["id"]: [] for row in listed}
    strays = []
    for row in document["annotations"]:
        known = isinstance(row, dict) and "image_id" in row
        if known and row["image_id"] in drawn:
            drawn[row["image_id"]].append(row)
        else:
            wrong = f"is for image {row['image_id']}, which is not listed" if known else "is for no image"
            strays.append(f"{_number(row)} {wrong}")
    return drawn, strays


def _number(annotation: Any) -> str:
    said = annotation.get("id") if isinstance(annotation, dict) else None
    return "an annotation without a number" if said is None else f"annotation {said}"


def _names(row: Row) -> tuple[str, ...]:
    return (str(row["file_name"]),)


def _entry(path: Path, categories: dict[Any, str], drawn: dict[Any, list[Row]], row: Row) -> Entry:
    size = (int(row["height"]), int(row["width"])) if row.get("height") else None
    shapes = [shape for said in drawn[row["id"]] for shape in _named_shapes(path, categories, said)]
    return Entry(_names(row), path, tuple(shapes), size, explicit=bool(row.get(NORMAL)))


def _named_shapes(path: Path, categories: dict[Any, str], row: Row) -> list[Shape]:
    try:
        return [replace(shape, name=_number(row)) for shape in _shapes(path, categories, row)]
    except DAMAGED as error:
        raise DamageError(f"{_number(row)}: {reason(error)}") from error


def _shapes(path: Path, categories: dict[Any, str], row: Row) -> Iterator[Shape]:
    """One for each ring of a polygon; their union is meant."""
    number = row["category_id"]
    if categories and number not in categories:
        known = [f"{id_} ({name})" for id_, name in categories.items()]
        raise UnknownClassError(path, f"{number} ({_number(row)})", known)
    label = categories.get(number, f"class_{number}")
    said = row.get("segmentation")
    if isinstance(said, dict):
        height, width = said["size"]
        yield Shape(label, Raster(partial(from_coco, said["counts"], (int(height), int(width)))))
    elif said:
        for ring in said if isinstance(said[0], list) else [said]:
            if len(ring) % 2:
                raise DamageError(f"a polygon has {len(ring)} numbers, which are no pairs")
            yield Shape(label, Outline("polygon", points_of(list(zip(ring[::2], ring[1::2], strict=True)))))
    elif row.get("bbox"):
        left, top, across, down = map(float, row["bbox"])
        yield Shape(label, box(left, top, left + across, top + down))
    else:
        yield Shape(label)


def _regions(mask: Plane) -> Iterator[Row]:
    for region in regionprops(numbered(mask, connectivity=2)):
        top, left, bottom, right = map(int, region.bbox)
        alone = np.zeros_like(mask)
        alone[region.slice] = region.image
        yield {
            "segmentation": {"size": list(mask.shape), "counts": to_coco(alone)},
            "area": int(region.area),
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
        }
