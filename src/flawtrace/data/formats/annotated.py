"""What every label format says: which image, which defects, and where they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np
from jaxtyping import Bool

from flawtrace.data.errors import DataError
from flawtrace.data.places import images_in, is_image
from flawtrace.pictures.images import image_size

Plane = Bool[np.ndarray, "h w"]


class LabelFormatError(DataError):
    """A file of labels that cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"Cannot read the labels in {path}: {reason}.\n"
            "Expected a file as the labelling program writes it.\n"
            "Export it again, or say what it is with --format."
        )


class NoPictureError(DataError):
    def __init__(self, name: str, where: Path) -> None:
        super().__init__(
            f"No image {name} for its labels.\n"
            f"Expected it in {where} or below.\n"
            "Say where the images are with --images DIR."
        )


class PictureSizeError(DataError):
    def __init__(self, image: Path, said: tuple[int, int], found: tuple[int, int]) -> None:
        turned = said == found[::-1]
        why = " They were drawn on the image as it lies, without its EXIF orientation." if turned else ""
        super().__init__(
            f"The labels of {image} are for {said[1]} x {said[0]} pixels (width x height).{why}\n"
            f"Expected {found[1]} x {found[0]}, the size of the image.\n"
            "Give the images that were labelled, with --images DIR."
        )


@dataclass(frozen=True)
class Defect:
    """One defect in one image."""

    defect_type: str
    mask: Plane


@dataclass(frozen=True)
class Annotated:
    """One image and its defects; none says that it shows no defect."""

    image: Path
    defects: tuple[Defect, ...]
    ignored: Plane | None = None
    """Pixels that nobody vouches for."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image, upright."""
        return image_size(self.image)


class Pictures:
    """The images of a folder and below, found by whatever name labels give them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = [path for path in sorted(folder.rglob("*")) if is_image(path)]
        self._by_name: dict[str, list[Path]] = {}
        for path in self.files:
            for name in {path.name, path.stem}:
                self._by_name.setdefault(name, []).append(path)

    def find(self, name: str) -> Path:
        """The image of this name: a path in the folder, else the one with the same end.

        Raises:
            NoPictureError: there is none, or there are several.
        """
        parts = PureWindowsPath(name).parts  # reads both kinds of separators
        direct = self.folder.joinpath(*parts) if parts and not PureWindowsPath(name).is_absolute() else None
        if direct is not None and is_image(direct):
            return direct
        last = parts[-1] if parts else name
        found = self._by_name.get(last) or self._by_name.get(last.rpartition(".")[0] or last, [])
        if len(found) > 1:
            same = [path for path in found if path.parts[-len(parts) :] == parts]
            nearest = min(len(path.parts) for path in found)
            found = same or [path for path in found if len(path.parts) == nearest]
        if len(found) != 1:
            raise NoPictureError(name, self.folder)
        return found[0]

    def checked(self, name: str, said: tuple[int, int] | None) -> tuple[Path, tuple[int, int]]:
        """The image and its size, which must be what its labels say, if they say one.

        Raises:
            NoPictureError, PictureSizeError: it is not there, or has another size.
        """
        image = self.find(name)
        size = image_size(image)
        if said is not None and said != size:
            raise PictureSizeError(image, said, size)
        return image, size


def beside(folder: Path) -> Iterator[Path]:
    """Image files of one folder."""
    yield from images_in(folder)
