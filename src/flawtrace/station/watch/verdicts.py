"""The file of verdicts: one line per image, which is also the memory of what was told."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawtrace.ground.files import append_json, read_jsonl

VERDICTS_NAME = "verdicts.jsonl"


@dataclass(frozen=True)
class Shot:
    """One image as it lay in the folder."""

    name: str
    """Its path below the folder."""
    size: int
    modified: int
    """In nanoseconds."""
    sha256: str

    @property
    def id(self) -> str:
        """32 hex digits, the same whenever this image is told of, so that a receiver can tell repetitions."""
        words = (self.name, str(self.size), str(self.modified), self.sha256)
        return hashlib.sha256(b"\0".join(map(os.fsencode, words))).hexdigest()[:32]


class Verdicts:
    """The file in a folder, in which no other process writes meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Reads what was told before.

        Raises:
            DamagedFileError: the file is not as we wrote it.
        """
        self.file = folder / VERDICTS_NAME
        self._told: set[str] = set()
        self._contents: set[str] = set()
        for row in read_jsonl(self.file):
            self._remember(row)

    def __len__(self) -> int:
        return len(self._told)

    def told(self, shot: Shot, again: bool) -> bool:
        """Whether this very image was told of; or, unless `again`, any with the same content."""
        return shot.id in self._told or (not again and shot.sha256 in self._contents)

    def add(self, row: Mapping[str, Any]) -> None:
        """Tell of an image: the line is on the disk when this returns."""
        append_json(self.file, dict(row))
        self._remember(row)

    def _remember(self, row: Mapping[str, Any]) -> None:
        self._told.add(str(row.get("id")))
        self._contents.add(str(row.get("sha256")))
