"""What can be wrong with a folder of images, its masks and its labels."""

from pathlib import Path

from flawtrace.ground.errors import FlawtraceError


class DataError(FlawtraceError):
    """Something about a folder of images."""


class FewImagesWarning(UserWarning):
    """A defect type has fewer images than labels are asked for."""

    def __init__(self, defect_type: str, count: int, labels: int) -> None:
        super().__init__(
            f"Only {count} image{'s'[: count != 1]} of defect type {defect_type}, but {labels} labels per "
            "type are requested. All are used as labels, and none is left for evaluation."
        )


class MissingFolderError(DataError):
    def __init__(self, root: Path) -> None:
        super().__init__(
            f"No folder {root}.\n"
            "Expected a folder with normal images and images of defects.\n"
            "Check the path; `flawtrace inspect DIR` shows what flawtrace recognises in a folder."
        )


class UnknownLayoutError(DataError):
    def __init__(self, root: Path, found: list[str], layouts: str) -> None:
        listed = ", ".join(found) or "nothing"
        super().__init__(
            f"Cannot tell which images in {root} are normal: it contains {listed}.\n"
            f"Expected one of two layouts:\n{layouts}\n"
            "Rename or move the folders, or give the path of the folder that contains them."
        )


class NoNormalImagesError(DataError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"No normal image in {folder}.\n"
            "Expected PNG, JPEG, BMP or TIFF files of products without defects.\n"
            "Put at least one there; 20 or more are better."
        )


class NoImagesError(DataError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"No image in {folder}.\n"
            "Expected PNG, JPEG, BMP or TIFF files.\n"
            "Check the path; subfolders are not searched."
        )


class MissingMaskError(DataError):
    def __init__(self, image: Path, expected: Path, normal: Path) -> None:
        super().__init__(
            f"No mask for {image}.\n"
            f"Expected {expected}.\n"
            f"Add the mask, or move the image to {normal} if it shows no defect."
        )


class StrayMaskError(DataError):
    def __init__(self, mask: Path, expected: Path) -> None:
        super().__init__(
            f"No image for the mask {mask}.\n"
            f"Expected an image such as {expected}.\n"
            "Add the image, rename the mask, or remove it."
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


class NoDefectImagesError(DataError):
    def __init__(self, root: Path, labels: int, expected: Path) -> None:
        super().__init__(
            f"No defect images in {root}, but {labels} of each type are requested.\n"
            f"Expected images in {expected}, and a mask for each.\n"
            "Add defect images with masks; training needs at least two."
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


class TooFewLabelsError(FlawtraceError):
    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} labelled image is not enough: some labels are held out to choose the threshold.\n"
            "Expected at least 2 labelled images in total.\n"
            "Add a defect image with its mask, or raise --labels."
        )


class NoTypeToLeaveOutError(DataError):
    def __init__(self, root: Path, types: tuple[str, ...]) -> None:
        found = f"one defect type ({types[0]})" if types else "no defect type"
        super().__init__(
            f"{root} contains {found}.\n"
            "Expected at least two: protocol `unseen-type` labels all types but one, and tests that one.\n"
            "Sort the defect images into folders by type, or choose another protocol."
        )
