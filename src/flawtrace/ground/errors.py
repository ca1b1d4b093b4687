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


class OutputError(FlawtraceError):
    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(
            f"Cannot write {path}: {cause.strerror or cause}.\n"
            "Expected a folder with room and write permission.\n"
            "Free some space, or name another output folder with -o."
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


class FolderInUseError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another process is working in {folder}.\n"
            "Expected to be alone there, or both would write over each other.\n"
            "Wait until it has ended, or name another folder with -o."
        )


class DamagedFileError(FlawtraceError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read: {reason}.\n"
            "Expected a file as flawtrace wrote it.\n"
            "Train again, or restore the file from a copy."
        )


class MissingDeviceError(FlawtraceError):
    def __init__(self, device: str) -> None:
        super().__init__(
            f"This torch finds no device {device!r}.\n"
            "Expected an NVIDIA GPU with its driver, and a build of torch with CUDA.\n"
            "Use --device cpu, or install such a build."
        )
