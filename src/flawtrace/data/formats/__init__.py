"""Labels as other programs write them: one file for each format, which reads it and writes it.

A folder of labels and `Pictures` enter; `Annotated` images leave, or enter to be written. Each format has
`recognised(source)`, `read(source, pictures)` and `write(annotated, out)`.
"""

from pathlib import Path
from types import ModuleType

from flawtrace.data.formats import coco, cvat, label_studio, labelme, voc, yolo
from flawtrace.data.formats.annotated import (
    Annotated,
    Defect,
    LabelFormatError,
    NoPictureError,
    Pictures,
    PictureSizeError,
)
from flawtrace.data.formats.writing import Imported, OccupiedError, copied, write_plain

FORMATS: dict[str, ModuleType] = {
    "coco": coco,
    "labelme": labelme,
    "label-studio": label_studio,
    "cvat": cvat,
    "voc": voc,
    "yolo": yolo,
}
"""By the names that `--format` takes."""


def recognise(source: Path) -> list[str]:
    """The formats that a file or folder may hold, by its content."""
    return [name for name, form in FORMATS.items() if form.recognised(source)]


__all__ = [
    "FORMATS",
    "Annotated",
    "Defect",
    "Imported",
    "LabelFormatError",
    "NoPictureError",
    "OccupiedError",
    "PictureSizeError",
    "Pictures",
    "copied",
    "recognise",
    "voc",
    "write_plain",
]
