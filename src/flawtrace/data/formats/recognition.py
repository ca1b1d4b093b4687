"""Which format a file or folder is of, by its content."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

from flawtrace.data.errors import MissingFolderError
from flawtrace.data.formats import coco, cvat, label_studio, labelme, masks, voc, yolo
from flawtrace.data.formats.annotated import Annotated, Entry, Unread
from flawtrace.data.formats.errors import LabelFileError, UnknownFormatError
from flawtrace.data.formats.pictures import files_below
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.presets import nearest

LOOKED_AT = 20
"""Files of each kind that are opened to tell the format of a folder."""


@runtime_checkable
class Reader(Protocol):
    """A file for a format that is read."""

    def recognised(self, source: Path, /) -> str | None: ...

    def entries(self, source: Path, /) -> Iterator[Entry | Unread]: ...


@runtime_checkable
class Writer(Protocol):
    """A file for a format that is written."""

    IMAGES: str

    def files(
        self, types: Sequence[str], annotated: Iterable[Annotated], /
    ) -> Iterator[tuple[str, bytes]]: ...


OF_FILES: dict[str, Reader] = {
    "coco": coco,
    "labelme": labelme,
    "label-studio": label_studio,
    "cvat": cvat,
    "yolo": yolo,
}
READERS: dict[str, Reader] = {**OF_FILES, "voc": voc, "masks": masks}
"""By the names that `--format` takes; the last two are folders of pictures."""
WRITERS: dict[str, Writer] = {
    "coco": coco,
    "labelme": labelme,
    "label-studio": label_studio,
    "cvat": cvat,
    "voc": voc,
    "yolo": yolo,
}
SUFFIXES = (".json", ".xml", ".txt")


@dataclass(frozen=True)
class Guess:
    format: str
    why: str


def recognise(source: Path) -> str | None:
    """The format of a file or folder of labels; None if there is none, or more than one."""
    try:
        found = guesses(source)
    except FlawtraceError:
        return None
    return found[0].format if len(found) == 1 else None


def guesses(source: Path) -> list[Guess]:
    """All formats that a file or folder may be of, with the reasons."""
    paths = [source] if source.is_file() else _some_files(source)
    found: dict[str, Guess] = {}
    for path in paths:
        for name, reader in OF_FILES.items():
            if name not in found and (why := _why(reader, path)):
                found[name] = Guess(name, f"{path.name} {why}")
    for name, folder in (("voc", voc), ("masks", masks)):
        if not found and source.is_dir() and (why := folder.recognised(source)):
            found[name] = Guess(name, f"it {why}")
    return list(found.values())


def settled(source: Path, form: str | None) -> Guess:
    """The format that somebody names, or the only one that the content allows.

    Raises:
        UnknownFormatError: there is no such format, or the content allows none or several.
        MissingFolderError, LabelFileError: the source is not there, or is damaged.
    """
    if not source.exists():
        raise MissingFolderError(source)
    if form is not None:
        if form not in READERS:
            near = nearest(form, list(READERS))
            meant = f"; did you mean {near}?" if near else ""
            raise UnknownFormatError(source, f"no format is called {form}{meant}", READERS)
        return Guess(form, "--format says so")
    found = guesses(source)
    if len(found) == 1:
        return found[0]
    if not found and source.is_file():
        _raise_damage(source)
    seen = " and ".join(f"{guess.format} ({guess.why})" for guess in found)
    raise UnknownFormatError(source, f"it may be {seen}" if found else "no known format is in it", READERS)


def label_pictures(form: str, source: Path) -> frozenset[Path]:
    """The pictures in a folder that are labels, not images."""
    folders = {"voc": voc.label_pictures, "masks": masks.label_pictures}
    return folders[form](source) if form in folders else frozenset()


def _some_files(folder: Path) -> list[Path]:
    """Empty ones do not tell."""
    files = [path for path in files_below(folder) if path.suffix.lower() in SUFFIXES and path.stat().st_size]
    kinds = ([path for path in files if path.suffix.lower() == suffix] for suffix in SUFFIXES)
    return [path for kind in kinds for path in islice(kind, LOOKED_AT)]


def _why(reader: Reader, path: Path) -> str | None:
    """A damaged file is no evidence."""
    with suppress(LabelFileError):
        return reader.recognised(path)
    return None


def _raise_damage(path: Path) -> None:
    """Of a file that no format recognises because it cannot be read."""
    for reader in OF_FILES.values():
        reader.recognised(path)
