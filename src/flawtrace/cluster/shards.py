"""Images in shards, and a part with their rows for each shard: written whole or not at all, never twice.

A shard is a list of images that never changes once it is written. What is done is what has a part; no other
record of it is kept, so none can disagree. Of what is not done, notes say which images workers died of.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flawtrace.cluster.errors import ManifestError
from flawtrace.ground.errors import DamagedFileError, OutputError
from flawtrace.ground.files import write_bytes
from flawtrace.verbs import Row

SHARDS, PARTS = "shards", "parts"
"""Folders in the output."""
MANIFEST = ".parquet"
NOTES = ".tries"
"""Of a shard that is not done, beside it."""
DEATHS = 2
"""Workers that died while they looked at an image, after which nobody looks at it again."""
COLUMN = "image"
REGION = pa.struct(
    [(name, pa.int64()) for name in ("left", "top", "width", "height", "area")]
    + [(name, pa.float64()) for name in ("peak", "mean")]
)
ROWS = pa.schema(
    [
        (COLUMN, pa.string()),
        ("verdict", pa.string()),
        ("score", pa.float64()),
        ("defective_share", pa.float64()),
        ("doubt", pa.string()),
        ("error", pa.string()),
        ("runtime", pa.string()),
        ("regions", pa.list_(REGION)),
    ]
)
"""Columns of a part; a region is its box in pixels, its area, and the map's peak and mean in it."""


class Shards:
    """The shards and parts of one output folder; use it inside `ground.files.locked`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, images: Iterable[Path], size: int) -> None:
        """New shards, of at most `size` images each, with those images that are in no shard yet.

        Raises:
            OutputError, DamagedFileError: a shard cannot be written, or one that is there cannot be read.
        """
        known = {image for number in self.numbers() for image in self.images(number)}
        new = [name for name in dict.fromkeys(map(str, images)) if name not in known]
        starts = range(0, len(new), size)
        for number, start in enumerate(starts, start=len(self.numbers())):
            _write(self._file(SHARDS, number), pa.table({COLUMN: new[start : start + size]}))

    def numbers(self) -> list[int]:
        """Of all shards."""
        return sorted(int(file.stem) for file in (self._folder / SHARDS).glob(f"*{MANIFEST}"))

    def left(self, retry: bool = False) -> list[int]:
        """Those without a part; with `retry` also those with an image that could not be looked at."""
        return [
            number
            for number in self.numbers()
            if not self.done(number) or (retry and "ERROR" in self._verdicts(number))
        ]

    def done(self, number: int) -> bool:
        return self._file(PARTS, number).exists()

    def images(self, number: int) -> list[str]:
        return _column(self._file(SHARDS, number), COLUMN)

    def rows(self, number: int) -> dict[str, dict[str, Any]]:
        """Of a shard, by image; none, if it has no part."""
        if not self.done(number):
            return {}
        return {row[COLUMN]: row for row in _table(self._file(PARTS, number), ROWS.names).to_pylist()}

    def write_part(self, number: int, rows: Sequence[Row]) -> None:
        """The rows of a shard; if it has a part, these are its new ones, and it keeps the others.

        Raises:
            OutputError: the part cannot be written; then what was there is there.
        """
        whole = self.rows(number) | {row.image: _flat(row) for row in rows}
        table = pa.Table.from_pylist([whole[image] for image in self.images(number)], schema=ROWS)
        _write(self._file(PARTS, number), table)
        self._notes(number).unlink(missing_ok=True)

    def next_try(self, number: int) -> "Try":
        """To look at the images of a shard."""
        return Try(self._notes(number))

    def verdicts(self) -> Counter[str]:
        """How many rows of all parts have which verdict."""
        found: Counter[str] = Counter()
        for number in self.numbers():
            if self.done(number):
                found.update(self._verdicts(number))
        return found

    def failed(self) -> Iterator[tuple[str, str]]:
        """Images that could not be looked at, and why."""
        for number in self.numbers():
            if self.done(number) and "ERROR" in self._verdicts(number):
                yield from (
                    (image, row["error"])
                    for image, row in self.rows(number).items()
                    if row["verdict"] == "ERROR"
                )

    def _verdicts(self, number: int) -> list[str]:
        return _column(self._file(PARTS, number), "verdict")

    def _file(self, kind: str, number: int) -> Path:
        return self._folder / kind / f"{number:08d}{MANIFEST}"

    def _notes(self, number: int) -> Path:
        return self._file(SHARDS, number).with_suffix(NOTES)


class Try:
    """A worker's try to look at a shard, and its notes: a line for each try, with the images it came to.

    The first try notes no images, since hardly any worker dies; so an image is known after three deaths.
    """

    def __init__(self, notes: Path) -> None:
        """Begin one.

        Raises:
            OutputError: the notes cannot be written.
        """
        self._notes = notes
        before = notes.read_text().splitlines() if notes.exists() else []
        self._noting = bool(before)
        self._deaths = Counter(came[-1] for line in before if (came := line.split()[1:]))
        self._note("\ntry" if before else "try")

    def deadly(self, place: int) -> bool:
        """Whether workers died of the image at this place in the shard, again and again."""
        return self._deaths[str(place)] >= DEATHS

    def comes_to(self, place: int) -> None:
        if self._noting:
            self._note(f" {place}")

    def _note(self, text: str) -> None:
        try:
            with self._notes.open("a") as file:
                file.write(text)
        except OSError as error:
            raise OutputError(self._notes, error) from error


def listed(manifest: Path) -> Iterator[Path]:
    """The images that a manifest lists; relative paths are relative to its folder.

    Raises:
        ManifestError: it is no Parquet file with a column of paths.
    """
    if not manifest.is_file():
        raise ManifestError(manifest, "there is no such file")
    try:
        columns = pq.read_schema(manifest).names
        names = (
            pq.read_table(manifest, columns=[COLUMN]).column(COLUMN).to_pylist()
            if COLUMN in columns
            else None
        )
    except (OSError, pa.ArrowException) as error:
        raise ManifestError(manifest, str(error).partition("\n")[0]) from error
    if names is None:
        raise ManifestError(
            manifest, f"it has no column `{COLUMN}`, but {', '.join(columns) or 'none at all'}"
        )
    if not names:
        raise ManifestError(manifest, "it lists no image")
    for name in names:
        if not isinstance(name, str):
            raise ManifestError(manifest, f"a row has {name!r} where an image is named")
        yield manifest.parent / name


def _write(file: Path, table: pa.Table) -> None:
    content = io.BytesIO()
    pq.write_table(table, content)
    write_bytes(file, content.getvalue())


def _column(file: Path, name: str) -> list[str]:
    return list(_table(file, [name]).column(name).to_pylist())


def _table(file: Path, names: list[str]) -> pa.Table:
    try:
        return pq.read_table(file, columns=names)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DamagedFileError(file, str(error).partition("\n")[0]) from error


def _flat(row: Row) -> dict[str, Any]:
    regions = [{name: getattr(region, name) for name in REGION.names} for region in row.regions]
    return {name: getattr(row, name) for name in ROWS.names} | {"regions": regions}
