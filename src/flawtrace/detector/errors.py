"""What can be wrong with a detector, its file and its exports."""

from pathlib import Path

from flawtrace.ground.errors import FlawtraceError


class DoubtWarning(UserWarning):
    """A detector that works but should not be trusted."""


class ForeignDetectorError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        way_out = (
            "Check the path and the order of the paths: the run comes first, then the images."
            if path.is_file()
            else "Check the path; if training was stopped, finish it with `flawtrace train ... --resume`."
        )
        super().__init__(
            f"{path} is not a detector: {reason}.\n"
            "Expected the file detector.safetensors that `flawtrace train` writes, or a run's folder.\n"
            f"{way_out}"
        )


class DamagedDetectorError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The detector {path} is damaged: {reason}.\n"
            "Expected the complete file as `flawtrace train` wrote it.\n"
            "Copy it again from the original, or train again."
        )


class MissingExtraError(FlawtraceError):
    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"The package {package} is not installed.\n"
            f"Expected the packages of flawtrace's optional extra {extra!r}, which only this feature needs.\n"
            f"Install them: pip install 'flawtrace[{extra}]'."
        )


class WrongRuntimeError(FlawtraceError):
    def __init__(self, path: Path, runtime: str, expected: str) -> None:
        super().__init__(
            f"{path} cannot be run with {runtime}.\n"
            f"Expected {expected}.\n"
            "`flawtrace export RUN` writes an .onnx file; without --runtime, the right runtime is chosen."
        )


class KeptExportWarning(UserWarning):
    """An exported file beside a detector still decides as it did when it was exported."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} keeps its own thresholds: it was exported of another detector than the one beside it, "
            "it is damaged, or no runtime for it is installed. Write it anew: flawtrace export RUN."
        )


class OutdatedExportError(FlawtraceError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The thresholds of {path} cannot be changed: an earlier version exported it.\n"
            "Expected a file whose graph has initializers named outline, unsure and defect.\n"
            "Decide in the run that it comes from, and export that again: flawtrace export RUN."
        )


class UnfaithfulExportError(FlawtraceError):
    def __init__(self, path: Path, runtime: str, reason: str) -> None:
        super().__init__(
            f"Nothing was written to {path}: run by {runtime}, the exported detector does not agree with the "
            f"original; {reason}.\n"
            "Expected the same answers.\n"
            "Use the run itself, and report this with the output of `flawtrace doctor`."
        )


class NothingToCompareError(FlawtraceError):
    def __init__(self, run: Path) -> None:
        super().__init__(
            f"No images to compare the export of {run} with the original.\n"
            "Expected the training images in their original place, or images given on the command line.\n"
            f"For example: flawtrace export {run} parts/normal/"
        )


class NothingToDecideByError(FlawtraceError):
    def __init__(self, where: Path) -> None:
        super().__init__(
            f"There is nothing in {where} by which another threshold can be chosen.\n"
            "Expected a detector that keeps the scores of held-out images, as `flawtrace train` writes it, "
            "or a folder with normal images.\n"
            "Train again with this version, or check the path."
        )
