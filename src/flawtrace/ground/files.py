"""Files that are whole or absent: a reader never sees half of one, whatever happens to the writer."""

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flawtrace.ground.errors import DamagedFileError, FolderInUseError, OutputError

LOCK_NAME = ".lock"
UNFINISHED = ".part"
"""Ending of a file that is being written; its name begins with a dot."""
LEFT = f".*{UNFINISHED}"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, or leave it as it was.

    The bytes go to a temporary file in the same folder and onto the disk before the name moves over.

    Raises:
        OutputError: the folder cannot be made or written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Like `write_bytes`, for UTF-8 text; bytes of names that are no UTF-8 are shown by their numbers."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Like `write_bytes`, for a JSON document that people read too."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """A document that `write_json` wrote.

    Raises:
        DamagedFileError: it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(path, str(error)) from error


@contextmanager
def locked(folder: Path, *inside: str) -> Iterator[None]:
    """Inside, no other process works in `folder`; the system frees it when this one ends, however it ends.

    What a killed process was writing there, or anywhere in the folders `inside` it, is cleared away.

    Raises:
        FolderInUseError: another process is inside.
        OutputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_NAME, is_singleton=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FolderInUseError(folder) from error
    except OSError as error:
        raise OutputError(folder, error) from error
    try:
        _clear(folder.glob(LEFT))
        for name in inside:
            _clear((folder / name).rglob(LEFT))
        yield
    finally:
        lock.release()


def _clear(found: Iterable[Path]) -> None:
    """Take away what `write_bytes` left unfinished."""
    for left in list(found):
        if re.fullmatch(rf"\..+\.[a-z0-9_]{{8}}{re.escape(UNFINISHED)}", left.name):
            with suppress(OSError):
                left.unlink()


def content_of(path: Path) -> str:
    """16 hex digits that tell files apart by what they hold; empty if there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def in_use(folder: Path) -> bool:
    """Whether a process works in `folder` now, as far as that can be told without writing there."""
    if not (folder / LOCK_NAME).exists():
        return False
    lock = FileLock(folder / LOCK_NAME, is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def append_json(path: Path, row: dict[str, Any]) -> None:
    """Add one line to a JSONL log, in one piece and onto the disk; what a killed writer left unfinished goes.

    Raises:
        OutputError: the file cannot be written, or the disk is full; then no part of the line is left.
    """
    line = (json.dumps(row) + "\n").encode()
    try:
        with path.open("ab+", buffering=0) as file:
            end = _mend(file)
            if file.write(line) < len(line):
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(path, error) from error


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL log; a last line that a killed writer left unfinished is passed over.

    One that is whole but for its end of line, as editors leave it, is a row.

    Raises:
        DamagedFileError: another line is not JSON, or no row.
    """
    if not path.exists():
        return
    try:
        *lines, last = path.read_text().split("\n")
    except (OSError, ValueError) as error:
        raise DamagedFileError(path, str(error)) from error
    for number, line in enumerate([*lines, *([last] if _whole(last) else [])], start=1):
        yield _row(path, number, line)


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, f"line {number}: {error}") from error
    if not isinstance(row, dict):
        raise DamagedFileError(path, f"line {number} is {line[:40]}, which is not a row")
    return row


def _mend(file: FileIO) -> int:
    """Bring a log to the end of a line: what was left unfinished is cut off. Returns where that is."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 1))
    if file.read(1) in (b"", b"\n"):
        return end
    file.seek(0)
    last = file.readall().rpartition(b"\n")[2]
    if _whole(last):
        return end + file.write(b"\n")
    file.truncate(end - len(last))
    return end - len(last)


def _whole(line: str | bytes) -> bool:
    """Whether this is a row; no beginning of one is."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _sync_folder(folder: Path) -> None:
    """Have the folder's entries written, where the file system can: some of shared drives cannot."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
