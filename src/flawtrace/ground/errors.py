"""What can go wrong with a user's input: each error says what, where, what was expected and how to fix it.

Only the command line catches `FlawtraceError`; it prints the message and exits with 1.
"""

import errno
from pathlib import Path
from typing import Any

_ROOM = (
    "a folder with free space and write permission",
    "Free some space, or choose another output folder with -o",
)
_NO_FILE = ("a folder, not a file", "Choose another folder with -o, or move the file away")
_WANTED = {
    errno.ENAMETOOLONG: (
        "a shorter name",
        "Rename the image, or choose an output folder with a shorter path with -o",
    ),
    errno.ENOTDIR: _NO_FILE,
    errno.EEXIST: _NO_FILE,
    errno.EISDIR: ("the name of a file", "Give the name of a file in this folder"),
}
"""What was expected of an output, and what helps, by what the system says."""


class FlawtraceError(Exception):
    """Anything that the user can fix."""

    def __reduce__(self) -> tuple[Any, ...]:
        """So that a worker can hand it to the process that started it, whatever its class asks for."""
        return _remade, (type(self), self.args)


def _remade(kind: type[FlawtraceError], args: tuple[Any, ...]) -> FlawtraceError:
    error = kind.__new__(kind)
    error.args = args
    return error


class OutputError(FlawtraceError):
    def __init__(self, path: Path, cause: OSError) -> None:
        expected, way_out = _WANTED.get(cause.errno or 0, _ROOM)
        super().__init__(f"Cannot write {path}: {cause.strerror or cause}.\nExpected {expected}.\n{way_out}.")


class SettingsError(FlawtraceError):
    def __init__(self, where: str, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f"Cannot use {f'{name} from ' if name else ''}{where}: {reason}.\n"
            "`flawtrace settings` lists every setting with its value and meaning."
        )


class ArgumentError(SettingsError):
    """A value that a command was called with, and that is no setting."""

    def __init__(self, name: str, reason: str) -> None:
        FlawtraceError.__init__(self, f"Cannot use {name}: {reason}.")


class UnknownSettingError(FlawtraceError):
    def __init__(self, name: str, nearest: str | None, what: str = "setting") -> None:
        hint = f"Did you mean {nearest}?" if nearest else "`flawtrace settings` lists them all."
        super().__init__(f"No {what} is called {name!r}.\n{hint}")


class FolderInUseError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another process is working in {folder}.\n"
            "Expected no other process, because both would overwrite each other's files.\n"
            "Wait until it has ended, or choose another folder with -o."
        )


class DamagedFileError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read: {reason}.\n"
            "Expected the file as flawtrace wrote it.\n"
            "Restore it from a copy, or run the command that wrote it again."
        )


class MissingDeviceError(FlawtraceError):
    def __init__(self, device: str) -> None:
        super().__init__(
            f"torch finds no device {device!r}.\n"
            "Expected an NVIDIA GPU with its driver, and a build of torch with CUDA.\n"
            "Use --device cpu, or install a build of torch with CUDA."
        )
