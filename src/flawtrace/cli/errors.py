"""What can be missing from a command line."""

from flawtrace.ground.errors import FlawtraceError


class MissingImagesError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "No images were given to `predict`.\n"
            "Expected image files or folders after the run.\n"
            "For example: flawtrace predict run/ new-images/"
        )


class MissingFoldersError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "No folder was given to `benchmark`.\n"
            "Expected folders of categories, or folders that contain them.\n"
            "For example: flawtrace benchmark data/ -o bench/"
        )
