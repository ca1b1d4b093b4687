"""Commands that exchange labels with other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

import flawtrace
from flawtrace.cli.checks import check_folder, check_there
from flawtrace.cli.console import by_kind, print_json, print_plain
from flawtrace.cli.flags import Flag, Json, Out, named
from flawtrace.cli.progress import counting
from flawtrace.ground.wording import counted

if TYPE_CHECKING:
    from flawtrace.data.formats import Imported

labels = App(
    name="labels", help="Read labels of other programs, and write labels for them.", help_epilogue=""
)


@labels.command(name="import")
def import_(
    source: Path,
    /,
    *,
    out: Out,
    images: Path | None = None,
    format: Annotated[str | None, Parameter(name="--format")] = None,
    unlabelled_are_normal: Flag = False,
    skip_bad: Flag = False,
    line_width: float = 3.0,
    json: Json = False,
) -> None:
    """Make a folder that `flawtrace train` reads from labels of another program.

    The format is recognised from the content. Anything unusual about the labels is listed; labels that do not
    fit their images stop the import before anything is written.

    **Examples**

        flawtrace labels import annotations.json --images photos/ -o parts/
        flawtrace labels import labelme/ -o parts/ --unlabelled-are-normal
        flawtrace labels import VOCdevkit/VOC2012/ -o parts/ --format voc

    Parameters
    ----------
    source
        A file of labels, or a folder with labels and images.
    out
        Folder to write: normal/, defects/TYPE/, masks/TYPE/, ignored/TYPE/. Existing files are never
        replaced.
    images
        Folder of the images, searched with all folders below it. [default: the folder of SOURCE]
    format
        coco, labelme, label-studio, cvat, voc, yolo or masks. [default: recognised from the content]
    unlabelled_are_normal
        Take images that no label mentions as images of good parts.
    skip_bad
        Leave out images whose labels cannot be used, and list them, instead of stopping.
    line_width
        Width in pixels of lines and points; labelling programs do not store it.
    json
        Print one JSON document.
    """
    check_there(source, "a file of labels, or a folder with labels and images")
    if images:
        check_folder(images)
    with counting("reading labels") as progress:
        done = flawtrace.import_labels(
            source, out, images=images, format=format, unlabelled_are_normal=unlabelled_are_normal,
            skip_bad=skip_bad, line_width=line_width, progress=progress,
        )  # fmt: skip
    if json:
        print_json(done.to_json())
    else:
        _print(done)


@labels.command
def export(
    folder: Path,
    /,
    *,
    out: Out,
    format: Annotated[str, Parameter(name="--format")],
    normal: Path | None = None,
    defects: Path | None = None,
    masks: Path | None = None,
    json: Json = False,
) -> None:
    """Write the labels of a product's folder for another program, with copies of the images.

    coco, label-studio, cvat and voc get every pixel, as runs or pictures; labelme and yolo get polygons,
    which give the same pixels when they are filled.

    **Examples**

        flawtrace labels export parts/ -o for-labelme/ --format labelme
        flawtrace labels export parts/ -o coco/ --format coco

    Parameters
    ----------
    folder
        A folder that `flawtrace train` reads.
    out
        Folder for labels and images. Existing files are never replaced.
    format
        coco, labelme, label-studio, cvat, voc or yolo.
    normal
        Folder of normal images in FOLDER. [default: by its name]
    defects
        Folder of images of defects in FOLDER. [default: by its name]
    masks
        Folder of masks in FOLDER. [default: by its name]
    json
        Print one JSON document.
    """
    check_folder(folder)
    done = flawtrace.export_labels(folder, out, format, named(normal, defects, masks))
    if json:
        print_json(done.to_json())
        return
    print_plain(f"Written:  {counted(done.images, 'image')} with labels in the format {done.format} in {out}")
    for note in done.notes:
        print_plain(f"Note:     {note}")


def _print(done: "Imported") -> None:
    listed = ", ".join(f"{name} {count}" for name, count in done.defects.items()) or "none"
    print_plain(f"Format:   {done.format} ({done.why})")
    print_plain(f"Normal:   {counted(done.normal, 'image')}")
    print_plain(f"Defects:  {listed}" + (f"; {done.unmasked} without a mask" if done.unmasked else ""))
    for note in done.notes:
        print_plain(f"Note:     {note}")
    for problem in by_kind(done.skipped, done.kinds_of_skipped, "--json"):
        print_plain(f"Skipped:  {problem}")
    print_plain(f"Next:     flawtrace inspect {done.out}")
