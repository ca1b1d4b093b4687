"""COCO: one JSON file with images, annotations and categories."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flawtrace.data.formats.annotated import Annotated, Defect, LabelFormatError, Pictures, Plane
from flawtrace.data.formats.outlines import filled
from flawtrace.data.formats.run_lengths import from_coco, to_coco


def recognised(source: Path) -> bool:
    """Whether the source is, or holds, such a file."""
    return any(True for _ in _documents(source))


def read(source: Path, pictures: Pictures) -> Iterator[Annotated]:
    for path, document in _documents(source):
        try:
            names = {row["id"]: str(row["name"]) for row in document.get("categories", [])}
            shapes: dict[Any, list[dict[str, Any]]] = {}
            for row in document["annotations"]:
                shapes.setdefault(row["image_id"], []).append(row)
            for row in document["images"]:
                said = (int(row["height"]), int(row["width"])) if "height" in row else None
                image, size = pictures.checked(str(row["file_name"]), said)
                defects = tuple(_defect(shape, names, size) for shape in shapes.get(row["id"], []))
                yield Annotated(image, defects)
        except (KeyError, TypeError, ValueError) as error:
            raise LabelFormatError(path, repr(error)) from error


def write(annotated: Sequence[Annotated], out: Path) -> None:
    """Compressed run lengths, which keep every pixel."""
    types = sorted({defect.defect_type for one in annotated for defect in one.defects})
    images, rows = [], []
    for number, one in enumerate(annotated, start=1):
        height, width = one.size
        images.append({"id": number, "file_name": one.image.name, "height": height, "width": width})
        for defect in one.defects:
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": number,
                    "category_id": types.index(defect.defect_type) + 1,
                    "segmentation": {"size": [height, width], "counts": to_coco(defect.mask)},
                    "area": int(defect.mask.sum()),
                    "bbox": _box(defect.mask),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(types, start=1)]
    document = {"images": images, "annotations": rows, "categories": categories}
    (out / "annotations.json").write_text(json.dumps(document))


def _defect(shape: dict[str, Any], names: dict[Any, str], size: tuple[int, int]) -> Defect:
    said = shape["segmentation"]
    if isinstance(said, dict):
        mask = from_coco(said["counts"], *said["size"])
        if mask.shape != size:
            raise ValueError(f"run lengths of {mask.shape}, not {size}")
    else:
        parts = [filled(list(zip(ring[::2], ring[1::2], strict=True)), size) for ring in said]
        mask = sum(parts[1:], parts[0]) if parts else filled([], size)
    kind = shape["category_id"]
    if names and kind not in names:
        raise KeyError(f"category {kind} is not in the list of categories")
    return Defect(names.get(kind, f"class_{kind}"), mask)


def _box(mask: Plane) -> list[int]:
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    if not len(rows):
        return [0, 0, 0, 0]
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]


def _documents(source: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    files = [source] if source.is_file() else sorted(source.rglob("*.json"))
    for path in files:
        if path.suffix.lower() != ".json":
            continue
        document = loaded(path)
        if isinstance(document, dict) and {"images", "annotations"} <= document.keys():
            yield path, document


def loaded(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        LabelFormatError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise LabelFormatError(path, f"it is not JSON: {error}") from error
