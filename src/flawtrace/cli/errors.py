"""What can be wrong with a command line, as far as can be told without loading torch."""

from pathlib import Path

from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.run_files import CHECKPOINT_NAME, DETECTOR_NAME


class UsageError(FlawtraceError):
    """A command line that was not understood."""


class MissingImagesError(UsageError):
    def __init__(self, command: str) -> None:
        super().__init__(
            f"No images were given to `{command}`.\n"
            "Expected image files or folders after the run.\n"
            f"For example: flawtrace {command} run/ new-images/"
        )


class MissingFoldersError(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "No folder was given to `benchmark`.\n"
            "Expected folders of categories, or folders that contain them.\n"
            "For example: flawtrace benchmark data/ -o bench/"
        )


class SecretError(FlawtraceError):
    def __init__(self, variable: str) -> None:
        super().__init__(
            f"What {variable} holds cannot be sent.\n"
            "Expected one line of letters, digits and signs of ASCII.\n"
            f"For example: export {variable}=$(openssl rand -hex 32)"
        )


class WhichDetectorError(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "Nobody, or two, would look at the images of `watch`.\n"
            "Expected either --run, with a detector, or --station, with an address.\n"
            "For example: flawtrace watch camera/ --to verdicts/ --run run/"
        )


class FlagError(UsageError):
    def __init__(self, flag: str, reason: str) -> None:
        super().__init__(f"Cannot use {flag} from the command line: {reason}.")


class UnknownOptionError(UsageError):
    """What else helps, the command line adds, which knows all commands."""

    def __init__(self, option: str, command: str, near: str | None) -> None:
        self.option, self.command, self.near = option, command, near
        super().__init__(f"No option of `flawtrace {command}` is called {option!r}.")


class MissingValueError(UsageError):
    def __init__(self, flag: str) -> None:
        super().__init__(f"{flag} needs a value.\nFor example: {flag}=1")


class MissingPathError(FlawtraceError):
    def __init__(self, path: Path, expected: str, near: str | None) -> None:
        hint = f"Did you mean {path.parent / near}?" if near else "Check the path."
        super().__init__(f"No such file or folder: {path}.\nExpected {expected}.\n{hint}")


class NoFolderError(FlawtraceError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a file.\n"
            "Expected a folder of images of one product.\n"
            "Give the folder; `flawtrace inspect DIR` shows what flawtrace recognises in a folder."
        )


class NoDetectorError(FlawtraceError):
    def __init__(self, run: Path) -> None:
        stopped = (run / CHECKPOINT_NAME).is_file()
        way_out = (
            "Its training was stopped: finish it with `flawtrace train ... --resume`."
            if stopped
            else "Check the order of the paths: the run comes first, then the images."
        )
        super().__init__(
            f"There is no detector in {run}.\n"
            f"Expected the file {DETECTOR_NAME}, which `flawtrace train` writes at the end.\n"
            f"{way_out}"
        )


class PasswordsDifferError(UsageError):
    def __init__(self) -> None:
        super().__init__("The two passwords differ.\nExpected the same twice.\nRun the same command again.")
