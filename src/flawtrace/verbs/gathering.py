"""Which image files are meant by files and folders, what was passed over, and what results are called."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flawtrace.data import NoImagesError, files_below, is_image, kind_of, visible
from flawtrace.ground.wording import counted
from flawtrace.pictures.arrays import described
from flawtrace.pictures.errors import NotAFileError

SUB_FOLDER = "sub-folder"
CLOSED = "unreadable sub-folder"


@dataclass(frozen=True)
class Gathered:
    """Image files, and what lay beside them in the folders."""

    files: tuple[Path, ...]
    names: tuple[str, ...]
    """One for each file, all different: its path below the folder that was given, without what follows the
    point."""
    skipped: dict[str, int]
    """How many things of which kind were passed over."""

    @property
    def skipped_in_words(self) -> str | None:
        """None if there was nothing."""
        words = ", ".join(counted(count, kind) for kind, count in self.skipped.items())
        hint = " (--recursive looks into sub-folders)" if SUB_FOLDER in self.skipped else ""
        return words + hint or None


def gathered(paths: object, recursive: bool = False, without: Collection[Path] = ()) -> Gathered:
    """The image files that a path or several mean; of folders all that lie in them, with `recursive` below.

    Folders in `without` are not looked into.

    Raises:
        NoImagesError: a folder has no image.
        NotAFileError: something is not a path.
    """
    skipped: Counter[str] = Counter()
    others = {folder.resolve() for folder in without}
    found: list[tuple[Path, Path]] = []
    for path in _paths(paths):
        inside = list(_images(path, recursive, skipped, others)) if path.is_dir() else [path]
        if not inside:
            raise NoImagesError(path)
        root = path if path.is_dir() else path.parent
        found += [(root, file) for file in inside]
    return Gathered(tuple(file for _, file in found), tuple(_names(found)), dict(skipped))


def _paths(given: object) -> Iterator[Path]:
    one = isinstance(given, Path | str) or not isinstance(given, Iterable)
    for path in [given] if one else cast(Iterable[object], given):
        if not isinstance(path, Path | str):
            raise NotAFileError(described(path))
        yield Path(path)


def _images(folder: Path, recursive: bool, skipped: Counter[str], others: Collection[Path]) -> Iterator[Path]:
    for path in files_below(folder, others) if recursive else visible(folder):
        if is_image(path):
            yield path
        elif not path.is_dir():
            skipped[kind_of(path)] += 1
        elif path.resolve() not in others:
            skipped[CLOSED if recursive else SUB_FOLDER] += 1


def _names(found: Iterable[tuple[Path, Path]]) -> list[str]:
    """Paths below their folders; with the folder's name before it where two would be the same, then numbers.

    >>> a, b = Path("ok"), Path("ng")
    >>> _names([(a, a / "1.png"), (b, b / "1.png"), (b, b / "2.png"), (b, b / "2.jpg")])
    ['ok/1', 'ng/1', '2', 'ng/2']
    """
    pairs = list(found)
    short = [file.relative_to(root).with_suffix("").as_posix() for root, file in pairs]
    roots: dict[str, set[Path]] = {}
    for (root, _), name in zip(pairs, short, strict=True):
        roots.setdefault(name, set()).add(root)
    taken: dict[str, None] = {}
    for (root, _), name in zip(pairs, short, strict=True):
        whole = f"{root.resolve().name}/{name}" if len(roots[name]) > 1 or name in taken else name
        candidate, number = whole, 2
        while candidate in taken:
            candidate, number = f"{whole}-{number}", number + 1
        taken[candidate] = None
    return list(taken)
