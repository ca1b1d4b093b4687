"""Taking apart what a program wrote, with errors that say in which file."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from flawtrace.data.formats.annotated import Entry, Unread
from flawtrace.data.formats.errors import DamageError, LabelFileError
from flawtrace.ground.errors import FlawtraceError

Row = TypeVar("Row")
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading a document raises that is not as its format says."""
IN_WORDS = (
    (IndexError, "a list in it is too short"),
    (ValueError, "numbers in it are no numbers, too few or too many"),
    (ArithmeticError, "a number in it is too large"),
    (RecursionError, "it is nested too deeply"),
)
"""What Python says of it is about our code; a person wants to know about the file."""


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


def each(
    path: Path,
    rows: Iterable[Row],
    names: Callable[[Row], tuple[str, ...]],
    entry: Callable[[Row], Entry],
) -> Iterator[Entry | Unread]:
    """The entry of each row, or what is wrong with it, so that one bad row costs one row.

    `names` are those of its image, by which an image is known even where nothing else can be read.
    """
    for row in rows:
        known: tuple[str, ...] = ()
        try:
            known = names(row)
            yield entry(row)
        except FlawtraceError as error:
            yield Unread(known, error)
        except DAMAGED as error:
            of = f"{known[0]}: " if known else ""
            yield Unread(known, LabelFileError(path, of + reason(error)))


def reason(error: Exception) -> str:
    """In words.

    >>> reason(KeyError("shapes"))
    'it has no shapes'
    >>> reason(TypeError("'NoneType' object is not subscriptable"))
    'a part of it is missing or of the wrong kind'
    """
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    if isinstance(error, DamageError):
        return str(error)
    words = [text for kinds, text in IN_WORDS if isinstance(error, kinds)]
    return words[0] if words else "a part of it is missing or of the wrong kind"


def dumped(document: Any) -> bytes:
    """A JSON document that people can read too."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogateescape")
