"""Labels from other programs, and for them."""

from pathlib import Path

from flawtrace.data import Named
from flawtrace.data.formats import (
    LINE_WIDTH,
    Counting,
    Exported,
    Imported,
    Manner,
    export_folder,
    import_plain,
)


def import_labels(
    source: Path | str,
    out: Path | str,
    *,
    images: Path | str | None = None,
    format: str | None = None,
    unlabelled_are_normal: bool = False,
    skip_bad: bool = False,
    line_width: float = LINE_WIDTH,
    progress: Counting | None = None,
) -> Imported:
    """Read labels of another program, and write images and masks as training reads them, to the folder `out`.

    `source` is a file or a folder; its images lie there too, or in `images`. The `format` is told by the
    content: coco, labelme, label-studio, cvat, voc, yolo or masks. Images that the labels do not mention are
    left out and told, or with `unlabelled_are_normal` taken as good parts; with `skip_bad`, images whose
    labels cannot be used are left out and told as well. Lines and points are `line_width` pixels wide.

    Raises:
        LabelError: what is wrong with labels, images or the folder `out`; nothing is written then.
    """
    manner = Manner(unlabelled_are_normal, skip_bad, line_width)
    place = Path(images) if images is not None else None
    return import_plain(Path(source), Path(out), images=place, form=format, manner=manner, progress=progress)


def export_labels(
    folder: Path | str,
    out: Path | str,
    format: str,
    named: Named = Named(),  # noqa: B008 (it is frozen)
) -> Exported:
    """Write labels and images of a product's folder to the folder `out`, as another program reads them.

    The `format` is coco, labelme, label-studio, cvat, voc or yolo. Folders of the product can be `named`
    instead of being found.

    Raises:
        LabelError: there is no such format, or a file in `out` would be replaced; nothing is written then.
    """
    return export_folder(Path(folder), Path(out), format, named)
