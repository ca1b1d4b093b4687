"""What can be wrong with labels of other programs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from flawtrace.data.errors import DataError
from flawtrace.ground.wording import listed


class LabelError(DataError):
    """Something about labels of another program."""


class DamageError(ValueError):
    """What is wrong with a part of a file, in words that a `LabelFileError` can repeat."""


class LabelFileError(LabelError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"Cannot read the labels in {path}: {reason}.\n"
            "Expected a file as the labelling program writes it.\n"
            "Export it again, or name the format with --format."
        )


class UnknownFormatError(LabelError):
    def __init__(self, source: Path, seen: str, formats: Iterable[str]) -> None:
        super().__init__(
            f"Cannot tell what labels {source} holds: {seen}.\n"
            f"Expected one of: {', '.join(formats)}.\n"
            "Name it with --format, or give the file or folder that holds the labels alone."
        )


class NoLabelsError(LabelError):
    def __init__(self, source: Path, form: str) -> None:
        super().__init__(
            f"No labels in the format {form} in {source}.\n"
            "Expected at least one image with labels.\n"
            "Check the path, or name another format with --format."
        )


class MissingPictureError(LabelError):
    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(
            f"No image {name} for its labels.\n"
            f"Expected it in {folder} or a folder below.\n"
            "Say where the images are with --images DIR."
        )


class AmbiguousPictureError(LabelError):
    def __init__(self, name: str, found: Sequence[Path]) -> None:
        self.found = found
        super().__init__(
            f"Labels are for {name}, which could be {listed(map(str, found), 'or')}.\n"
            "Expected one image of that name.\n"
            "Say where the images that were labelled are with --images DIR."
        )


class LabelSizeError(LabelError):
    def __init__(
        self, image: Path, found: tuple[int, int], said: tuple[int, int], said_in: Path, turned: bool
    ) -> None:
        why = ""
        if turned and said == found[::-1]:
            why = " The image is turned by its EXIF orientation; the labels were drawn on it unturned."
        super().__init__(
            f"The labels of {image} in {said_in} are for {said[1]} x {said[0]} pixels "
            f"(width x height).{why}\n"
            f"Expected {found[1]} x {found[0]}, the size of the image.\n"
            "Give the images that were labelled with --images DIR, or label this one again."
        )


class UnknownClassError(LabelError):
    def __init__(self, path: Path, found: str, known: Iterable[str]) -> None:
        super().__init__(
            f"{path} has the class {found}, which has no name.\n"
            f"Expected one of: {listed(known)}.\n"
            "Add its name to the list of classes, or export the labels again."
        )


class UnreadShapeError(LabelError):
    def __init__(self, path: Path, image: str, kind: str, read: Iterable[str]) -> None:
        super().__init__(
            f"{path} labels {image} with a shape of type {kind}, which is not read.\n"
            f"Expected one of: {', '.join(read)}.\n"
            "Draw the defect as a polygon or with a brush."
        )


class SwappedMaskError(LabelError):
    def __init__(self, mask: Path, image: Path) -> None:
        super().__init__(
            f"{mask} looks like an image, and {image} like its mask.\n"
            "Expected masks of few values, named like their images.\n"
            "Rename the two files."
        )


class UnclearMaskError(LabelError):
    def __init__(self, paths: Iterable[Path], why: str) -> None:
        super().__init__(
            f"Cannot tell which is the image and which its mask: {listed(map(str, paths))} {why}.\n"
            "Expected one image of many values and a mask of few.\n"
            "Add _mask to the names of masks, or move them to a folder called masks."
        )


class NotAMaskError(LabelError):
    def __init__(self, mask: Path, found: int) -> None:
        super().__init__(
            f"{mask} is taken as a mask by its name, but has {found} values.\n"
            "Expected one number or colour for each type of defect.\n"
            "Save masks as PNG, not as JPEG, and draw them without smoothing."
        )


class ManyTypesError(LabelError):
    def __init__(self, found: int, most: int) -> None:
        super().__init__(
            f"{found} types of defects do not fit into a picture of classes.\n"
            f"Expected at most {most}.\n"
            "Choose another format with --format."
        )


class OccupiedError(LabelError):
    def __init__(self, path: Path, found: str = "other content") -> None:
        super().__init__(
            f"{path} is there already, with {found}.\n"
            "Nothing is ever replaced, and nothing was written.\n"
            "Choose another folder with -o, or move the old file away."
        )


class NestedFolderError(LabelError):
    def __init__(self, out: Path, source: Path) -> None:
        super().__init__(
            f"The output folder {out} lies in {source}, which is searched with all folders below it.\n"
            "Expected a folder outside, so that what is written is never read as if it had been given.\n"
            "Choose another folder with -o."
        )


class NameTakenError(LabelError):
    def __init__(self, there: Path, target: Path) -> None:
        super().__init__(
            f"{there} is there already, and would now be written as {target}.\n"
            "An image is normal or of one type, not both; nothing was written.\n"
            "Choose another folder with -o, or move the old files away."
        )


class LineWidthError(LabelError):
    def __init__(self, width: float) -> None:
        super().__init__(
            f"Lines cannot be {width:g} pixels wide.\n"
            "Expected a number from 1 to 1000.\n"
            "Give the width of scratches in the images with --line-width."
        )
