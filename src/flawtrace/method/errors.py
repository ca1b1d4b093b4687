"""What can keep the method from learning."""

from pathlib import Path

from flawtrace.data import DataError


class BlankImagesError(DataError):
    def __init__(self, image: Path) -> None:
        super().__init__(
            f"All normal images are blank (a single colour), such as {image}.\n"
            "Expected images of a product: there is nothing to learn from blank ones.\n"
            "Is the lens covered, the exposure far off, or the folder wrong? `flawtrace inspect` lists blank "
            "images."
        )
