"""The loop: what rests in a folder is looked at once, and told of."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from watchfiles import watch as changes_in

from flawtrace.ground.files import locked
from flawtrace.station.delivery.posting import delays
from flawtrace.station.delivery.webhook import Webhook
from flawtrace.station.watch.errors import NotNowError, NotWatchedError, SameFolderError, UnseenError
from flawtrace.station.watch.eyes import Eye
from flawtrace.station.watch.folder import Folder, State, state_of
from flawtrace.station.watch.verdicts import Shot, Verdicts

REST = 1.0
"""Seconds for which nothing about a file may change before it is read."""
SCAN_EVERY = 30.0
"""Seconds between two looks at the whole folder: network drives do not tell of changes."""
PULSE = 0.25
"""Seconds between two looks at the files that do not rest yet."""

Row = dict[str, Any]


def watch(
    root: Path,
    out: Path,
    eye: Eye,
    *,
    recursive: bool = False,
    again: bool = False,
    rest: float = REST,
    scan_every: float = SCAN_EVERY,
    webhook: Webhook | None = None,
    progress: Callable[[Row], None] | None = None,
    trouble: Callable[[str], None] | None = None,
    ending: Event | None = None,
) -> None:
    """Look at every image that is or appears in the folder `root`, until `ending` is set or Ctrl-C comes.

    Each leaves a line in `out`/verdicts.jsonl before `progress` is told of it. An image with the content of
    an earlier one is passed over unless `again`. `trouble` is told what has to wait, and why.

    Raises:
        NotWatchedError: there is no such folder.
        SameFolderError: `out` is that folder, under whatever name.
        FolderInUseError: another process writes to `out`.
        StationRefusedError: the station refuses whatever it is sent.
    """
    root, ending = root.resolve(), ending or Event()
    if not root.is_dir():
        raise NotWatchedError(root)
    if out.exists() and out.samefile(root):
        raise SameFolderError(out)
    with ExitStack() as stack:
        stack.enter_context(locked(out))
        folder = Folder(root, recursive=recursive, rest=rest, without=out)
        watcher = _Watcher(folder, Verdicts(out), eye, again, trouble or (lambda _: None))
        if webhook is not None:
            stack.enter_context(webhook)
        for row in _rows(watcher, folder, recursive, scan_every, ending):
            if webhook is not None:
                webhook.look()
            if progress is not None:
                progress(row)


def _rows(
    watcher: "_Watcher", folder: Folder, recursive: bool, scan_every: float, ending: Event
) -> Iterator[Row]:
    scanned = -scan_every
    for changes in changes_in(
        folder.root,
        watch_filter=None,
        debounce=int(1000 * PULSE),
        rust_timeout=int(1000 * PULSE),
        yield_on_timeout=True,
        stop_event=ending,
        recursive=recursive,
    ):
        for _, path in changes:
            folder.note(Path(path))
        if time.monotonic() - scanned >= scan_every:
            folder.scan()
            scanned = time.monotonic()
        for row in watcher.turn():
            yield row
            if ending.is_set():
                return


class _Watcher:
    """Deals with the files that rest."""

    def __init__(
        self, folder: Folder, verdicts: Verdicts, eye: Eye, again: bool, trouble: Callable[[str], None]
    ) -> None:
        self._folder, self._verdicts, self._eye, self._again = folder, verdicts, eye, again
        self._trouble, self._delays, self._not_before = trouble, delays(), 0.0
        self._unreadable: set[Path] = set()

    def turn(self) -> Iterator[Row]:
        """Look at what rests; a line for each image that is new."""
        for folder in self._folder.closed:
            self._cannot_read(folder, "permission denied")
        if time.monotonic() < self._not_before:
            return
        for path, state in self._folder.resting():
            try:
                row = self._dealt_with(path, state)
            except NotNowError as error:
                delay = error.seconds or next(self._delays)
                self._not_before = time.monotonic() + delay
                self._trouble(f"{error}\nImages wait; again in {delay:g} s.")
                return
            if row is not None:
                yield row

    def _dealt_with(self, path: Path, state: State) -> Row | None:
        """The line of a file; none where there is nothing to tell, or where it changed meanwhile."""
        try:
            content = path.read_bytes()
        except OSError as error:
            self._cannot_read(path, error.strerror or str(error))
            return None
        self._unreadable.discard(path)
        sha256 = hashlib.sha256(content).hexdigest()
        shot = Shot(self._folder.name(path), state.size, state.modified, sha256)
        if self._verdicts.told(shot, self._again):
            self._folder.settle(path, state)
            return None
        said = self._said(path, content)
        if state_of(path) != state:
            return None
        row = {"id": shot.id, "image": shot.name, **said, "moment": datetime.now(UTC).isoformat()}
        row |= {"size": shot.size, "modified": shot.modified, "sha256": shot.sha256}
        self._verdicts.add(row)
        self._folder.settle(path, state)
        return row

    def _said(self, path: Path, content: bytes) -> Row:
        try:
            said = self._eye(path, content)
        except UnseenError as error:
            said = {"verdict": "ERROR", "score": None, "error": str(error)}
        self._delays = delays()
        return said

    def _cannot_read(self, path: Path, reason: str) -> None:
        """It waits; said once."""
        if path not in self._unreadable and path.exists():
            self._unreadable.add(path)
            self._trouble(f"Cannot read {path}: {reason}. It waits until that is mended.")
