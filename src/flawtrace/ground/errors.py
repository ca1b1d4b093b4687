"""What can go wrong with a user's input: each error says what, where, what was expected and the way out.

Only the command line catches `FlawtraceError`; it prints the message and exits with 1.
"""

from pathlib import Path
from typing import Any


class FlawtraceError(Exception):
    """Anything the user can put right."""

    def __reduce__(self) -> tuple[Any, ...]:
        """So that a worker can hand it to the process that started it, whatever its class asks for."""
        return _remade, (type(self), self.args)


def _remade(kind: type[FlawtraceError], args: tuple[Any, ...]) -> FlawtraceError:
    error = kind.__new__(kind)
    error.args = args
    return error


class DoubtWarning(UserWarning):
    """A detector that works, and should not be trusted."""


class FewImagesWarning(UserWarning):
    """A defect type has fewer images than labels are asked for."""

    def __init__(self, defect_type: str, count: int, labels: int) -> None:
        super().__init__(
            f"Only {count} image{'s'[: count != 1]} of defect type {defect_type}, and {labels} labels of "
            "each are asked for: all are labels, and none is left to evaluate on."
        )


class OutputError(FlawtraceError):
    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(
            f"Cannot write {path}: {cause.strerror or cause}.\n"
            "Expected a folder with room and write permission.\n"
            "Free some space, or name another output folder with -o."
        )


class ImageError(FlawtraceError):
    """Something about one image file."""


class UnreadableImageError(ImageError):
    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            f"Cannot read {path}: {cause}.\n"
            "Expected a whole PNG, JPEG, BMP or TIFF file.\n"
            "Save the picture again as PNG, or take the file out of the folder."
        )


class UnsupportedPixelsError(ImageError):
    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"Cannot use the pixels of {path}: {found}.\n"
            "Expected grey or colour with 1, 8 or 16 bits per channel, or a float32 TIFF.\n"
            "Save the picture again as 8-bit or 16-bit PNG."
        )


class ValueRangeError(ImageError):
    def __init__(self, path: Path, low: float, high: float) -> None:
        super().__init__(
            f"The values of {path} go from {low:g} to {high:g}.\n"
            "Expected finite values from 0 (black) to 1 (white) in a picture of floating-point numbers.\n"
            "Divide the values by the largest that the camera can give, the same for all pictures."
        )


class SeveralPagesError(ImageError):
    def __init__(self, path: Path, pages: int) -> None:
        super().__init__(
            f"{path} holds {pages} pictures (pages or frames).\n"
            "Expected one picture per file.\n"
            "Save each of them as a file of its own."
        )


class ImageTooSmallError(ImageError):
    def __init__(self, path: Path, height: int, width: int, limit: int) -> None:
        super().__init__(
            f"{path} is {width} x {height} pixels (width x height).\n"
            f"Expected at least {limit} on each side.\n"
            "Take the picture at a higher resolution, or take the file out of the folder."
        )


class ImageTooLargeError(ImageError):
    def __init__(self, path: Path, height: int, width: int, limit: int) -> None:
        super().__init__(
            f"{path} is {width} x {height} = {width * height:,} pixels (width x height).\n"
            f"Expected at most {limit:,} pixels.\n"
            "Cut the picture into tiles, or make it smaller."
        )


class DataError(FlawtraceError):
    """Something about a folder of images."""


class MissingFolderError(DataError):
    def __init__(self, root: Path) -> None:
        super().__init__(
            f"No folder {root}.\n"
            "Expected a folder with normal images and images of defects.\n"
            "Check the path; `flawtrace inspect DIR` says what is understood of a folder."
        )


class UnknownLayoutError(DataError):
    def __init__(self, root: Path, found: list[str], layouts: str) -> None:
        listed = ", ".join(found) or "nothing"
        super().__init__(
            f"Cannot tell which images of {root} are normal: it holds {listed}.\n"
            f"Expected one of two layouts:\n{layouts}\n"
            "Rename or move the folders, or name the folder that holds them."
        )


class NoNormalImagesError(DataError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"No normal image in {folder}.\n"
            "Expected PNG, JPEG, BMP or TIFF files of products without defects.\n"
            "Put at least one there; some tens are better."
        )


class MissingMaskError(DataError):
    def __init__(self, image: Path, expected: Path, normal: Path) -> None:
        super().__init__(
            f"No mask for {image}.\n"
            f"Expected {expected}.\n"
            f"Add it, or move the image to {normal} if it shows no defect."
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
            f"{names} in {paths[0].parent} can all be the {role} of {other}.\n"
            f"Expected one {role} for each, found by its name without extension.\n"
            "Rename or remove all but one."
        )


class MaskSizeError(DataError):
    def __init__(self, mask: Path, size: tuple[int, int], image: Path, expected: tuple[int, int]) -> None:
        super().__init__(
            f"The mask {mask} is {size[1]} x {size[0]} pixels (width x height).\n"
            f"Expected {expected[1]} x {expected[0]}, the size of {image}.\n"
            "Draw the mask on the image itself, or resize it without smoothing."
        )


class EmptyMaskError(DataError):
    def __init__(self, mask: Path, image: Path) -> None:
        super().__init__(
            f"The mask {mask} marks no defect.\n"
            "Expected white pixels (at least half of the largest value) where the defect is.\n"
            f"Draw the defect, or move {image} to the normal images if it shows none."
        )


class NoDefectImagesError(DataError):
    def __init__(self, root: Path, labels: int, expected: Path) -> None:
        super().__init__(
            f"No image of a defect in {root}, but {labels} of each type are asked for.\n"
            f"Expected images in {expected} and a mask for each.\n"
            "Add some with masks; training needs at least two."
        )


class TooFewImagesError(DataError):
    def __init__(self, root: Path, labels: int, counts: dict[str, int]) -> None:
        possible = min(counts.values())
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        super().__init__(
            f"Too few images of a defect type in {root}: {listed}.\n"
            f"Expected at least {labels} of each type, as --labels asks for.\n"
            f"Use --labels {possible}, or add images with masks."
        )


class SettingsError(FlawtraceError):
    def __init__(self, where: str, name: str, reason: str) -> None:
        super().__init__(
            f"Setting {name or 'group'} in {where} cannot work: {reason}.\n"
            "`flawtrace settings` lists every setting with its meaning and value."
        )


class UnknownSettingError(FlawtraceError):
    def __init__(self, name: str, nearest: str | None, what: str = "setting") -> None:
        hint = f"Did you mean {nearest}?" if nearest else "`flawtrace settings` lists them all."
        super().__init__(f"No {what} is called {name!r}.\n{hint}")


class UnknownTextureError(FlawtraceError):
    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"No texture is called {name!r}.\n"
            f"Expected one of: {', '.join(known)}.\n"
            "They come with scikit-image; pictures of your own need no made-up defects."
        )


class CheckpointError(FlawtraceError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The checkpoint {path} is damaged or was not written by flawtrace.\n"
            "Expected a file that `flawtrace train` wrote.\n"
            "Delete it and train again, or restore it from a copy."
        )


class ForeignDetectorError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is not a detector: {reason}.\n"
            "Expected the file detector.safetensors that `flawtrace train` writes, or its run's folder.\n"
            "Check the path; if training was stopped, finish it with `flawtrace train ... --resume`."
        )


class DamagedDetectorError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The detector {path} is damaged: {reason}.\n"
            "Expected a whole file as `flawtrace train` wrote it.\n"
            "Copy it again from where it was trained, or train again."
        )


class DivergedError(FlawtraceError):
    def __init__(self, what: str, update: int, value: float) -> None:
        super().__init__(
            f"Training failed: {what} became {value} at update {update}.\n"
            "Expected a finite number. No detector was written.\n"
            "Lower the learning rate (--autoencoder.lr, --predictor.lr), or look for broken images with "
            "`flawtrace inspect`."
        )


class TooFewLabelsError(FlawtraceError):
    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} labelled image is too few: part of the labels is held out to choose the threshold.\n"
            "Expected at least 2 labelled images in all.\n"
            "Add a defect image with its mask, or raise --labels."
        )


class RunExistsError(FlawtraceError):
    def __init__(self, run: Path, what: str) -> None:
        super().__init__(
            f"{run} {what}.\n"
            "Expected an empty or new folder, or --resume with the settings that the run began with.\n"
            "Add --resume to go on, name another folder with -o, or delete this one."
        )


class FolderInUseError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another process is working in {folder}.\n"
            "Expected to be alone there, or both would write over each other.\n"
            "Wait until it has ended, or name another folder with -o."
        )


class DataChangedError(FlawtraceError):
    def __init__(self, run: Path) -> None:
        super().__init__(
            f"The images are not those with which the run in {run} began.\n"
            "Expected the same training images, masks and labels, byte for byte.\n"
            "Restore them, or train from the start in another folder."
        )


class DamagedFileError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read: {reason}.\n"
            "Expected a file as flawtrace wrote it.\n"
            "Train again, or restore the file from a copy."
        )


class NothingToEvaluateError(DataError):
    def __init__(self, root: Path, num_normal: int, num_known: int) -> None:
        super().__init__(
            f"No defect image is left to evaluate on in {root}: of its images the detector was trained on "
            f"{num_known}, and {num_normal} others show no defect.\n"
            "Expected defect images with masks that training did not see.\n"
            "Add some, or train with fewer labels (--labels)."
        )


class NoImagesError(DataError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"There is no image in {folder}.\n"
            "Expected PNG, JPEG, BMP or TIFF files.\n"
            "Check the path; folders inside folders are not searched."
        )


class MissingImagesError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "`predict` was given no image.\n"
            "Expected image files or folders after the run.\n"
            "For example: flawtrace predict run/ new-images/"
        )


class MissingFoldersError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__("No folder was given.\nExpected categories, or folders that hold categories.")


class VanishedDefectError(DataError):
    def __init__(self, mask: Path, size: tuple[int, int]) -> None:
        height, width = size
        super().__init__(
            f"The defect in {mask} vanishes when the image is resized to {width} x {height} pixels.\n"
            "Expected at least one defective pixel at that size.\n"
            "See the images in smaller tiles (--tile-side), crop them to the part that matters, or take this "
            "one out of the defects."
        )


class BlankImagesError(DataError):
    def __init__(self, image: Path) -> None:
        super().__init__(
            f"All normal images are of one plain colour, such as {image}.\n"
            "Expected pictures of a product: there is nothing to learn from these.\n"
            "Is the lens covered, the exposure far off, or the wrong folder named? `flawtrace inspect` lists "
            "blank images."
        )


class TilesTooSmallError(FlawtraceError):
    def __init__(self, tile_side: int, size: tuple[int, int], enlarged: tuple[int, int], limit: int) -> None:
        super().__init__(
            f"In tiles of {tile_side} pixels, an image of {size[1]} x {size[0]} pixels is worked on as "
            f"{enlarged[1]:,} x {enlarged[0]:,} pixels.\n"
            f"Expected at most {limit:,} pixels in all.\n"
            "Take larger tiles (--tile-side)."
        )


class TooFewNormalError(DataError):
    def __init__(self, rate: float) -> None:
        super().__init__(
            f"There are too few normal images to hold some back, so a false-alarm rate of {rate:g} cannot be "
            "measured.\n"
            "Expected at least 4, tiles of two images at least: a quarter is kept from the predictors.\n"
            "Add normal images, or leave --max-false-alarms out."
        )


class MissingDeviceError(FlawtraceError):
    def __init__(self, device: str) -> None:
        super().__init__(
            f"This torch finds no device {device!r}.\n"
            "Expected an NVIDIA GPU with its driver, and a build of torch with CUDA.\n"
            "Use --device cpu, or install such a build."
        )


class MissingExtraError(FlawtraceError):
    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"The package {package} is not installed.\n"
            f"Expected what flawtrace's extra {extra!r} brings: it is not needed for anything else.\n"
            f"Install it: pip install 'flawtrace[{extra}]'."
        )


class WrongRuntimeError(FlawtraceError):
    def __init__(self, path: Path, runtime: str, expected: str) -> None:
        super().__init__(
            f"{path} cannot be run by {runtime}.\n"
            f"Expected {expected}.\n"
            "`flawtrace export RUN` writes an .onnx file; without --runtime, the right one is chosen."
        )


class UnfaithfulExportError(FlawtraceError):
    def __init__(self, path: Path, difference: float, allowed: float, pixels: int) -> None:
        super().__init__(
            f"Nothing was written to {path}: the exported detector does not say what the original says.\n"
            f"Expected maps within {allowed:g} and equal masks; maps differ by {difference:.2g}, "
            f"masks in {pixels} pixels.\n"
            "Use the run itself, and report this with the versions of torch and onnxruntime (`pip list`)."
        )


class NothingToCompareError(FlawtraceError):
    def __init__(self, run: Path) -> None:
        super().__init__(
            f"An export of {run} is compared with the original on real images, and there are none.\n"
            "Expected the folder it was trained on where it was then, or images named on the command line.\n"
            f"Name some: flawtrace export {run} parts/normal/."
        )


class NoTypeToLeaveOutError(DataError):
    def __init__(self, root: Path, types: tuple[str, ...]) -> None:
        found = f"one defect type ({types[0]})" if types else "no defect type"
        super().__init__(
            f"{root} has {found}.\n"
            "Expected at least two: `unseen-type` labels all but one and tests that one.\n"
            "Sort the defect images into folders by type, or choose another protocol."
        )


class UnknownMethodError(FlawtraceError):
    def __init__(self, name: str, near: str | None, known: tuple[str, ...]) -> None:
        hint = f"Did you mean {near}?" if near else f"Known are {', '.join(known)}."
        super().__init__(f"There is no method {name}. {hint}")


class MethodChangedError(FlawtraceError):
    def __init__(self, file: Path, trial: str, method: str) -> None:
        super().__init__(
            f"{file} holds a result of {method} on {trial} with other settings than asked for now.\n"
            "Expected one meaning for each name of a method.\n"
            "Give the changed method another name, or take the old rows out of the file."
        )


class SameNameError(DataError):
    def __init__(self, one: Path, other: Path) -> None:
        super().__init__(
            f"Two categories have the same name: {one} and {other}.\n"
            "Expected different names, by which results are told apart.\n"
            "Rename one of the folders."
        )


class NoCategoryError(DataError):
    def __init__(self, root: Path) -> None:
        super().__init__(
            f"No category lies in {root}.\n"
            "Expected a folder with train/good or normal, or folders that hold such folders.\n"
            "Name the folder of a category, or the one above it."
        )


class MapsError(FlawtraceError):
    """Another program did not give what it should."""

    def __init__(self, command: str, cause: str, log: Path) -> None:
        super().__init__(
            f"`{command}` gave no anomaly maps: {cause}.\n"
            "Expected a safetensors file with the tensor maps, one map per test image.\n"
            f"Its output is in {log}."
        )


class WorkerLostError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "A process of the benchmark was killed, most likely because memory ran out.\n"
            "Expected about 4 GB for each job.\n"
            "Run the same command again with fewer --jobs: it goes on with the cells that have no row yet."
        )
