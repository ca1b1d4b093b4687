"""The images that labels are for, found by whatever names a program gives them."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from flawtrace.data.errors import MissingFolderError
from flawtrace.data.formats.errors import AmbiguousPictureError, MissingPictureError
from flawtrace.data.places import EXTENSIONS, is_image
from flawtrace.data.samples import natural


class Pictures:
    """The images in a folder and below, hidden files and folders left out."""

    def __init__(self, folder: Path, without: Collection[Path] = ()) -> None:
        """All but those `without`, which are labels themselves.

        Raises:
            MissingFolderError: there is no such folder.
        """
        if not folder.is_dir():
            raise MissingFolderError(folder)
        self.folder = folder
        self.files = [path for path in files_below(folder) if is_image(path) and path not in without]
        self._by_stem: dict[str, list[Path]] = {}
        for path in self.files:
            self._by_stem.setdefault(path.stem.lower(), []).append(path)

    def find(self, names: Sequence[str]) -> Path:
        """The image that has one of these names, the first that fits.

        A name may be a path as another machine had it, in any case, with another ending than the file has
        now, and with characters by their codes (`part%207.png`). Of images of the same name, it is the one
        whose path agrees best.

        Raises:
            MissingPictureError: there is none.
            AmbiguousPictureError: several agree equally well.
        """
        for name in dict.fromkeys((*names, *map(unquote, names))):
            parts = [part.lower() for part in PureWindowsPath(name).parts]  # takes both kinds of separators
            candidates = self._by_stem.get(_stem(parts[-1]), []) if parts else []
            best = _best(candidates, parts)
            if len(best) > 1:
                raise AmbiguousPictureError(name, best)
            if best:
                return best[0]
        raise MissingPictureError(names[0], self.folder)

    def written_as(self, image: Path) -> str:
        """A name that no other image has, not even with another ending: its own, or with its folders."""
        if len(self._by_stem[image.stem.lower()]) == 1:
            return image.name
        return distinct(image.relative_to(self.folder))


def distinct(path: Path) -> str:
    """A file's name with its folders, and with its ending inside, since masks have another.

    >>> distinct(Path("monday/7.jpg"))
    'monday-7-jpg.jpg'
    """
    return "-".join([*path.parts[:-1], path.stem, path.suffix[1:].lower()]) + path.suffix


def files_below(folder: Path) -> list[Path]:
    """All files in natural order, hidden ones and those in hidden folders left out."""
    found = (path for path in folder.rglob("*") if path.is_file())
    shown = (path for path in found if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return sorted(shown, key=lambda path: natural(path.relative_to(folder).as_posix()))


def files_of(source: Path, suffix: str) -> list[Path]:
    """The source itself if it is a file, else those below it that end so."""
    if source.is_file():
        return [source] if source.suffix.lower() == suffix else []
    return [path for path in files_below(source) if path.suffix.lower() == suffix]


def _stem(name: str) -> str:
    """Without the ending of an image; other points belong to the name."""
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix in EXTENSIONS else name


def _best(candidates: Iterable[Path], parts: Sequence[str]) -> list[Path]:
    """Those whose names, and then whose folders, agree most with the parts of a path."""
    ranked = [(_agreement(path, parts), path) for path in candidates]
    most = max((rank for rank, _ in ranked), default=None)
    return [path for rank, path in ranked if rank == most]


def _agreement(path: Path, parts: Sequence[str]) -> tuple[bool, int]:
    """Whether the ending is the same, and how many folders are, from the last one on."""
    folders, said = [part.lower() for part in path.parts[:-1]], parts[:-1]
    same = 0
    while same < min(len(folders), len(said)) and folders[-1 - same] == said[-1 - same]:
        same += 1
    return path.name.lower() == parts[-1], same
