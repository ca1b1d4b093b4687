"""The commands that exchange labels with other programs."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

import flawtrace
from flawtrace.cli.checks import check_folder, check_there
from flawtrace.cli.console import print_json, print_plain
from flawtrace.cli.flags import Flag, Json, Out
from flawtrace.ground.wording import counted

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
    json: Json = False,
) -> None:
    """Make a folder that `flawtrace train` reads from labels of another program.

    Reads COCO, labelme, Label Studio (JSON), CVAT for images 1.1, pictures of classes as in Pascal VOC (255
    is ignored), and YOLO segmentation. The format is told by the content.

    **Examples**

        flawtrace labels import annotations.json --images photos/ -o parts/
        flawtrace labels import labelme/ -o parts/ --unlabelled-are-normal

    Parameters
    ----------
    source
        A file of labels, or a folder with labels and images.
    out
        Folder to write: normal/, defects/TYPE/, masks/TYPE/. What is there is never replaced.
    images
        Folder of the images. [default: SOURCE]
    format
        coco, labelme, label-studio, cvat, voc or yolo. [default: what the content tells]
    unlabelled_are_normal
        Take images that no label mentions as images of good parts.
    json
        Print one JSON document.
    """
    check_there(source, "a file of labels, or a folder with labels and images")
    done = flawtrace.import_labels(
        source, out, images=images, format=format, unlabelled_are_normal=unlabelled_are_normal
    )
    if json:
        print_json({**vars(done), "out": str(done.out), "notes": list(done.notes)})
        return
    listed = ", ".join(f"{name} {count}" for name, count in done.defects.items()) or "none"
    print_plain(f"Format:   {done.format}\nNormal:   {counted(done.normal, 'image')}\nDefects:  {listed}")
    for note in done.notes:
        print_plain(f"Note:     {note}")
    print_plain(f"Next:     flawtrace inspect {done.out}")


@labels.command
def export(
    folder: Path, /, *, out: Out, format: Annotated[str, Parameter(name="--format")], json: Json = False
) -> None:
    """Write the labels of a product's folder for another program.

    Run lengths and masks keep every pixel; labelme and YOLO get polygons.

    **Examples**

        flawtrace labels export parts/ -o coco/ --format coco

    Parameters
    ----------
    folder
        A folder that `flawtrace train` reads.
    out
        Folder for the files of labels.
    format
        coco, labelme, label-studio, cvat, voc or yolo.
    json
        Print one JSON document.
    """
    check_folder(folder)
    count = flawtrace.export_labels(folder, out, format)
    if json:
        print_json({"images": count, "out": str(out), "format": format})
    else:
        print_plain(f"Labels of {counted(count, 'image')} written to {out}")
