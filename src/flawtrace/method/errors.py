"""What can keep the method from learning."""

from pathlib import Path

from flawtrace.data import DataError


class BlankImagesError(DataError):
    def __init__(self, image: Path) -> None:
        super().__init__(
            f"All normal images are of one plain colour, such as {image}.\n"
            "Expected pictures of a product: there is nothing to learn from these.\n"
            "Is the lens covered, the exposure far off, or the wrong folder named? `flawtrace inspect` lists "
            "blank images."
        )
