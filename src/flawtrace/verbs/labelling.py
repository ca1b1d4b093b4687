"""Labels from other programs, and for them."""

from pathlib import Path

from flawtrace.data import read_category
from flawtrace.data.formats import (
    FORMATS,
    Annotated,
    Imported,
    Pictures,
    copied,
    recognise,
    write_plain,
)
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.wording import counted


class UnknownFormatError(FlawtraceError):
    def __init__(self, source: Path, found: list[str]) -> None:
        seen = f"it may be {' or '.join(found)}" if found else "no known format of labels is in it"
        super().__init__(
            f"Cannot tell what labels {source} holds: {seen}.\n"
            f"Expected one of: {', '.join(FORMATS)}.\n"
            "Say which it is with --format. Folders of images and masks need no import: `flawtrace inspect`."
        )


def import_labels(
    source: Path | str,
    out: Path | str,
    *,
    images: Path | str | None = None,
    format: str | None = None,
    unlabelled_are_normal: bool = False,
) -> Imported:
    """Read labels of another program, and write images and masks as training reads them, to the folder `out`.

    `source` is a file or a folder; its images lie there too, or in `images`. Images that the labels do not
    mention are left out and told, or with `unlabelled_are_normal` taken as images of good parts.

    Raises:
        UnknownFormatError: the format is not given, and its content does not tell it.
        LabelFormatError, NoPictureError, PictureSizeError: labels and images do not fit.
        OccupiedError: a file in `out` would be replaced by another.
    """
    place = Path(source)
    form = format or _recognised(place)
    if form not in FORMATS:
        raise UnknownFormatError(place, [])
    pictures = Pictures(Path(images) if images else place if place.is_dir() else place.parent)
    annotated: list[Annotated] = list(FORMATS[form].read(place, pictures))
    mentioned = {one.image.resolve() for one in annotated}
    others = [file for file in pictures.files if file.resolve() not in mentioned and not _is_mask(form, file)]
    if unlabelled_are_normal:
        annotated += [Annotated(file, ()) for file in others]
    done = write_plain(form, annotated, Path(out))
    if others and not unlabelled_are_normal:
        seen = f"{counted(len(others), 'image')} without labels left out, such as {others[0].name}"
        note = f"{seen} (--unlabelled-are-normal takes them as good parts)"
        done = Imported(done.format, done.out, done.normal, done.defects, (*done.notes, note))
    return done


def export_labels(folder: Path | str, out: Path | str, format: str) -> int:
    """Write labels and images of a product's folder as another program reads them; returns how many images.

    Raises:
        UnknownFormatError: there is no such format.
    """
    if format not in FORMATS:
        raise UnknownFormatError(Path(folder), [format])
    annotated = list(copied(read_category(Path(folder)), Path(out)))
    FORMATS[format].write(annotated, Path(out))
    return len(annotated)


def _recognised(source: Path) -> str:
    found = recognise(source)
    if len(found) != 1:
        raise UnknownFormatError(source, found)
    return found[0]


def _is_mask(form: str, file: Path) -> bool:
    """Whether a picture is part of the labels."""
    return form == "voc" and file.parent.name in (
        "SegmentationClass",
        "SegmentationObject",
        "masks",
        "labels",
    )
