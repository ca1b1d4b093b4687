"""What can be wrong with a detector, its file and its exports."""

from pathlib import Path

from flawtrace.ground.errors import FlawtraceError


class DoubtWarning(UserWarning):
    """A detector that works, and should not be trusted."""


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
