"""The lines of a file of verdicts that a receiver has not heard of yet."""

import json
from collections.abc import Iterator
from pathlib import Path

from flawtrace.ground.files import read_json, write_json
from flawtrace.station.delivery.webhook import Line
from flawtrace.station.watch.verdicts import VERDICTS_NAME

CURSOR_NAME = "webhook.json"
"""How many bytes of the file of verdicts are delivered."""


class Undelivered:
    """Lines of the file in a folder; how far they are delivered is kept in a file beside it."""

    def __init__(self, folder: Path) -> None:
        self._file, self._cursor = folder / VERDICTS_NAME, folder / CURSOR_NAME

    def waiting(self) -> Iterator[Line]:
        """What is not delivered, in order; a line that is being written is none yet.

        Raises:
            DamagedFileError: the file that keeps how far it was is damaged.
        """
        end = read_json(self._cursor)["delivered"] if self._cursor.exists() else 0
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            if end > file.seek(0, 2):  # the file of verdicts is another one
                end = 0
            file.seek(end)
            for line in file:
                if line.endswith(b"\n"):
                    end += len(line)
                    content = line.rstrip(b"\n")
                    yield Line(content, str(json.loads(content).get("id", "")), end)

    def delivered(self, line: Line) -> None:
        """Keep that all lines up to this one are delivered.

        Raises:
            OutputError: it cannot be kept.
        """
        write_json(self._cursor, {"delivered": line.end})
