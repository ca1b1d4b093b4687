"""What can be wrong with a folder of images, its masks and its labels."""

from pathlib import Path

from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.wording import counted

ROLES = {"normal": "normal images", "defects": "images of defects", "masks": "masks"}

SKIP_BAD = "`--skip-bad` leaves out such files."


class WideMasksWarning(UserWarning):
    """Some masks cover most of their images."""

    def __init__(self, masks: tuple[Path, ...]) -> None:
        more = f" and {len(masks) - 1} more" if len(masks) > 1 else ""
        super().__init__(f"{masks[0]}{more}: the mask covers more than half of the image. Is it inverted?")


class DataError(FlawtraceError):
    """Something about a folder of images."""


class FewImagesWarning(UserWarning):
    """A defect type has fewer images than labels are asked for."""

    def __init__(self, defect_type: str, count: int, labels: int, tested: bool = False) -> None:
        left = "." if tested else ", and none is left for evaluation."
        super().__init__(
            f"Only {counted(count, 'image')} of defect type {defect_type}, but {labels} labels per "
            f"type are requested. All are used as labels{left}"
        )


class LeftOutWarning(UserWarning):
    """Files that cannot be used were left out, as was asked for."""

    def __init__(self, root: Path, files: list[Path], limit: int = 5) -> None:
        names = [str(file.relative_to(root) if file.is_relative_to(root) else file) for file in files]
        more = f" and {len(names) - limit} more" if len(names) > limit else ""
        super().__init__(
            f"Left out {counted(len(names), 'bad file')}: {', '.join(names[:limit])}{more} "
            f"(`flawtrace inspect {root}` says why)."
        )


class ForeignFolderError(DataError):
    """A folder to write into holds what the command did not write."""

    def __init__(self, folder: Path, found: list[str], limit: int = 3) -> None:
        more = f" and {len(found) - limit} more" if len(found) > limit else ""
        super().__init__(
            f"{folder} holds {', '.join(found[:limit])}{more}, which this command did not write.\n"
            "Expected a new or empty folder, so that results are not mixed up with anything else.\n"
            "Choose another folder with -o."
        )


class MissingFolderError(DataError):
    def __init__(self, root: Path) -> None:
        super().__init__(
            f"No folder {root}.\n"
            "Expected a folder with normal images and images of defects.\n"
            "Check the path; `flawtrace inspect DIR` shows what flawtrace recognises in a folder."
        )


class UnreadableFolderError(DataError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Cannot look into {folder}: permission denied.\n"
            "Expected a folder that may be read.\n"
            "Change its permissions, or move it elsewhere."
        )


class UnknownLayoutError(DataError):
    def __init__(self, root: Path, found: list[str], layouts: str, normal: str | None = None) -> None:
        listed = ", ".join(found) or "nothing"
        example = f"--normal {normal} --defects ." if normal else "--normal DIR, --defects DIR, --masks DIR"
        super().__init__(
            f"Cannot tell which images in {root} are normal: it contains {listed}.\n"
            f"Expected one of these layouts:\n{layouts}\n"
            f"Say which folder holds what ({example}), or rename the folders.\n"
            "Labels in files of other programs: `flawtrace labels import`."
        )


class LabelsBesideError(DataError):
    def __init__(self, root: Path, labels: Path) -> None:
        super().__init__(
            f"Cannot tell which images in {root} are normal: labels such as {labels.name} lie beside them.\n"
            "Expected folders of normal images, images of defects and masks, or normal images alone.\n"
            f"`flawtrace labels import {root} -o PARTS` makes such folders from labels of another program."
        )


class NoNormalImagesError(DataError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"No normal image in {folder}.\n"
            "Expected PNG, JPEG, WebP, BMP or TIFF files of products without defects.\n"
            "Put at least one there; 20 or more are better."
        )


class NoImagesError(DataError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"No image in {folder}.\n"
            "Expected PNG, JPEG, WebP, BMP or TIFF files.\n"
            "Check the path, or give the sub-folder that holds them; `predict` and `suggest` search "
            "sub-folders with --recursive."
        )


class UnclearFoldersError(DataError):
    def __init__(self, root: Path, folders: list[str], role: str, normal: str | None = None) -> None:
        listed = ", ".join(f"{name}/" for name in folders)
        seen = f" beside the normal images in {normal}/" if normal else ""
        example = "." if role == "defects" and len(folders) > 1 else folders[0]
        super().__init__(
            f"{root} holds {listed}{seen}: their names do not tell what they are.\n"
            f"Expected one folder of {ROLES.get(role, role)}.\n"
            f"Say which it is, such as --{role} {example}, or rename the folders."
        )


class MisplacedMasksError(DataError):
    def __init__(self, masks: list[Path]) -> None:
        more = f" and {len(masks) - 1} more" if len(masks) > 1 else ""
        super().__init__(
            f"{masks[0]}{more} among the normal images is a mask, by its name.\n"
            "Expected images of good parts alone.\n"
            "Move masks to the folder of masks, or remove them: normal images need none."
        )


class UnlikeMasksError(DataError):
    def __init__(self, image: Path, first: Path, second: Path) -> None:
        super().__init__(
            f"{first} and {second}, two masks of {image}, differ in size.\n"
            "Expected all masks of an image at its own size.\n"
            "Draw them at the size of the image, or remove the wrong one."
        )


class InvertedMasksError(DataError):
    def __init__(self, masks: list[Path]) -> None:
        super().__init__(
            f"All {len(masks)} masks cover more than half of their images, such as {masks[0]}: "
            "they seem to be inverted.\n"
            "Expected a value other than 0 where the defect is, and 0 everywhere else.\n"
            "Invert the masks. If a defect does cover the whole image, remove its mask: images of defects "
            "without one are used as well."
        )


class StrayMaskError(DataError):
    def __init__(self, mask: Path, expected: Path) -> None:
        super().__init__(
            f"No image for the mask {mask}.\n"
            f"Expected an image such as {expected}.\n"
            "Add the image, rename the mask, or remove it."
        )


class UnlabelledError(DataError):
    def __init__(self, image: Path, masks: Path) -> None:
        super().__init__(
            f"No mask for {image}, so nothing tells whether it shows a defect.\n"
            f"Expected a mask of its name in {masks}; an empty (black) one says that the image is normal.\n"
            "Add a mask, or move the image elsewhere. If all images without a mask are normal, `flawtrace "
            "labels import DIR -o PARTS --unlabelled-are-normal` sorts them so."
        )


class AmbiguousNameError(DataError):
    def __init__(self, paths: list[Path], role: str, other: Path) -> None:
        names = ", ".join(path.name for path in paths)
        super().__init__(
            f"{names} in {paths[0].parent} could each be the {role} of {other}.\n"
            f"Expected exactly one {role}; they are matched by file name without extension.\n"
            "Rename or remove all but one."
        )


class MaskSizeError(DataError):
    def __init__(self, mask: Path, size: tuple[int, int], image: Path, expected: tuple[int, int]) -> None:
        super().__init__(
            f"The mask {mask} is {size[1]} x {size[0]} pixels (width x height).\n"
            f"Expected {expected[1]} x {expected[0]}, the size of {image}.\n"
            "Draw the mask at the size of the image, or resize it without smoothing."
        )


class EmptyMaskError(DataError):
    def __init__(self, mask: Path, image: Path) -> None:
        super().__init__(
            f"The mask {mask} marks no defect.\n"
            "Expected white pixels (at least half of the largest value) where the defect is.\n"
            f"Draw the defect, or move {image} to the normal images if it shows no defect."
        )


class VanishedDefectError(DataError):
    def __init__(self, mask: Path, size: tuple[int, int]) -> None:
        height, width = size
        super().__init__(
            f"The defect in {mask} vanishes when the image is resized to {width} x {height} pixels.\n"
            "Expected at least one defective pixel at that size.\n"
            "Use smaller tiles (--tile-side), crop the images to the part that matters, or remove this image "
            "from the defects."
        )


class HiddenDefectError(DataError):
    def __init__(self, mask: Path) -> None:
        super().__init__(
            f"The region of interest hides the whole defect in {mask}.\n"
            "Expected some of each labelled defect inside: nothing outside is learnt or scored.\n"
            "Draw a larger region, or remove this image from the defects."
        )


class TooFewImagesError(DataError):
    def __init__(self, root: Path, labels: int, counts: dict[str, int]) -> None:
        possible = min(counts.values())
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        super().__init__(
            f"Too few images per defect type in {root}: {listed}.\n"
            f"Expected at least {labels} of each type, as requested by --labels.\n"
            f"Use --labels {possible}, or add images with masks."
        )


class NoTypeToLeaveOutError(DataError):
    def __init__(self, root: Path, types: tuple[str, ...]) -> None:
        found = f"one defect type ({types[0]})" if types else "no defect type"
        super().__init__(
            f"{root} contains {found}.\n"
            "Expected at least two: protocol `unseen-type` labels all types but one, and tests that one.\n"
            "Sort the defect images into folders by type, or choose another protocol."
        )
