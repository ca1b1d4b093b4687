"""Taking apart what a program wrote, with errors that say in which file."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from flawtrace.data.formats.annotated import Entry
from flawtrace.data.formats.errors import LabelFileError
from flawtrace.ground.errors import FlawtraceError

Row = TypeVar("Row")
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading a document raises that is not as its format says."""


def json_in(path: Path) -> Any:
    """The document in a file, whatever it is.

    Raises:
        LabelFileError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise LabelFileError(path, f"it is not JSON ({error})") from error


def text_in(path: Path) -> str:
    """The text of a file in UTF-8, or in what old programs of Windows write.

    Raises:
        LabelFileError: it cannot be opened.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabelFileError(path, error.strerror or str(error)) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def each(path: Path, rows: Iterable[Row], entry: Callable[[Row], Entry]) -> Iterator[Entry | FlawtraceError]:
    """The entry of each row, or what is wrong with it, so that one bad row costs one row."""
    for row in rows:
        try:
            yield entry(row)
        except FlawtraceError as error:
            yield error
        except DAMAGED as error:
            yield LabelFileError(path, reason(error))


def reason(error: Exception) -> str:
    """In words.

    >>> reason(KeyError("shapes"))
    'it has no shapes'
    """
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    return str(error) or type(error).__name__


def dumped(document: Any) -> bytes:
    """A JSON document that people can read too."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogateescape")
