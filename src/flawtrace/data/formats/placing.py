"""A folder of files: all of them are written or none, and never over others."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from flawtrace.data.formats.errors import OccupiedError
from flawtrace.ground.errors import OutputError
from flawtrace.ground.files import content_of, write_bytes

Contents: TypeAlias = Mapping[str, bytes | Path]
"""What is to be written, or the file to be copied bit by bit, by path below the folder."""


def place(out: Path, contents: Contents) -> None:
    """Write those that are not there yet.

    Raises:
        OccupiedError: one is there with other content; then none is written.
        OutputError: the folder cannot be written, or the disk is full; then none is left either.
    """
    missing = {
        out / name: content for name, content in contents.items() if not _is_there(out / name, content)
    }
    written: list[Path] = []
    try:
        for target, content in missing.items():
            write_bytes(target, content.read_bytes() if isinstance(content, Path) else content)
            written.append(target)
    except BaseException as error:
        for target in written:
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(out, error) from error
        raise


def _is_there(target: Path, content: bytes | Path) -> bool:
    if not target.exists():
        return False
    same = (
        content_of(target) == content_of(content)
        if isinstance(content, Path)
        else target.is_file() and target.read_bytes() == content
    )
    if not same:
        raise OccupiedError(target)
    return True
