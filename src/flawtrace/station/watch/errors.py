"""What can go wrong while a folder is watched."""

from pathlib import Path

from flawtrace.ground.errors import FlawtraceError


class NotWatchedError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"There is no folder {folder}.\nExpected the folder into which the images are written.\n"
            "Check the path, or make the folder."
        )


class SameFolderError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} is the folder that is watched.\n"
            "Expected another one for verdicts, which may lie in it or beside it.\n"
            f"For example: --to {folder / 'verdicts'}"
        )


class StationRefusedError(FlawtraceError):
    def __init__(self, address: str, status: int, said: str) -> None:
        super().__init__(
            f"{address} refused with status {status}: {said}\n"
            "Expected the address of a station, and its token in FLAWTRACE_TOKEN where it wants one.\n"
            "Correct it and run the same command again; nothing is lost."
        )


class NotNowError(FlawtraceError):
    """Who would look at an image is away or busy: the image waits."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds
        """After which to ask again, where that was said."""


class UnseenError(FlawtraceError):
    """An image that nobody can look at, in words of who tried."""
