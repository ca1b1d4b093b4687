"""What can be missing from a command line."""

from flawtrace.ground.errors import FlawtraceError


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
