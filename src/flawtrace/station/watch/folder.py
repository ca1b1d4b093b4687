"""Which files of a folder rest, so that they can be read: none is taken while it is being written."""

import time
from pathlib import Path
from typing import NamedTuple

from flawtrace.data import files_below, is_image, visible


class State(NamedTuple):
    """What changes when a file does."""

    size: int
    modified: int
    """In nanoseconds, as `changed`."""
    changed: int
    inode: int


class Folder:
    """The images in a folder, each in the state in which it was last seen."""

    def __init__(self, root: Path, *, recursive: bool, rest: float, without: Path) -> None:
        """A file rests when nothing about it has changed for `rest` seconds; `without`, if it lies in the
        folder, is not looked into.
        """
        self.root = root
        self._recursive, self._rest = recursive, rest
        self._without = without.resolve() if root in without.resolve().parents else None
        self.closed: set[Path] = set()
        """Sub-folders that nobody may look into."""
        self._settled: dict[Path, State] = {}
        """Files that were dealt with in this state."""
        self._waiting: dict[Path, tuple[State, float]] = {}
        """Others, and since when they have been in this state."""

    def scan(self) -> None:
        """Look for all files, whatever was told of them."""
        entries = self._entries()
        there = {path for path in entries if not path.is_dir()}
        self.closed = {path for path in entries if path.is_dir()} if self._recursive else set()
        for path in there:
            self.note(path)
        for known in (self._settled, self._waiting):
            for path in known.keys() - there:
                del known[path]

    def note(self, path: Path) -> None:
        """Something may have happened to a file."""
        state = state_of(path) if self._mine(path) else None
        if state is None:
            self._waiting.pop(path, None)
        elif self._settled.get(path) != state and self._waiting.get(path, (None,))[0] != state:
            self._waiting[path] = state, time.monotonic()

    def resting(self) -> list[tuple[Path, State]]:
        """Files that rest now, the one that has waited longest first."""
        for path in list(self._waiting):
            self.note(path)
        since = time.monotonic() - self._rest
        found = [(began, path, state) for path, (state, began) in self._waiting.items() if began <= since]
        return [(path, state) for _, path, state in sorted(found)]

    def settle(self, path: Path, state: State) -> None:
        """A file is dealt with as long as it stays as it was."""
        self._settled[path] = state
        self._waiting.pop(path, None)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _mine(self, path: Path) -> bool:
        try:
            inside = path.relative_to(self.root).parts
        except ValueError:
            return False
        hidden = any(part.startswith(".") for part in inside)
        deep = len(inside) > 1 and not self._recursive
        return not (hidden or deep or self._without in path.parents) and is_image(path)

    def _entries(self) -> list[Path]:
        without = [self._without] if self._without else []
        return list(files_below(self.root, without)) if self._recursive else visible(self.root)


def state_of(path: Path) -> State | None:
    """None where there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return State(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
