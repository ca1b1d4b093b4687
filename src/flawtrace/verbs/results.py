"""The folder of predictions: whose it is, what of it is done, and its table."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from flawtrace.detector import AnyDetector, Prediction, Region
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import append_json, read_json, read_jsonl, write_json, write_text
from flawtrace.ground.groups import RuntimeName
from flawtrace.ground.shapes import Image
from flawtrace.pictures.images import overlay, write_map, write_mask, write_picture
from flawtrace.report import Shown, captioned, gallery

MANIFEST_NAME = "predict.json"
"""Says that `predict` made the folder, and with which detector."""
ROWS_NAME = "predictions.jsonl"
TABLE_NAME = "predictions.csv"
GALLERY_NAME = "index.html"
PLACES = ("maps", "masks", "overlays")


class OtherPredictionsError(FlawtraceError):
    def __init__(self, folder: Path, said: Any, now: dict[str, Any]) -> None:
        before = said if isinstance(said, dict) else {}
        other = {name for name in now if before.get(name) != now[name]}
        if "made by" in other and before.get("made by"):
            how = f"made by `{before['made by']}`, not `{now['made by']}`"
        elif other == {"min_area"}:
            how = f"with --min-area {before.get('min_area')}, not {now['min_area']}"
        elif other <= {"min_area", "thresholds"}:
            how = "by other thresholds (--threshold, or `flawtrace decide`)"
        else:
            how = "of another detector"
        super().__init__(
            f"{folder} holds predictions {how}.\n"
            "Expected predictions made in the same way, as all of them stand in one table.\n"
            "Choose another folder with -o, or delete this one."
        )


@dataclass(frozen=True)
class Row:
    """What `predict` found in one image, or why it could not look."""

    image: str
    score: float | None
    verdict: str
    """OK, DEFECT, UNSURE or ERROR."""
    defective_share: float | None
    """Of the image's pixels."""
    doubt: str | None = None
    """Why the detector is unsure."""
    error: str | None = None
    name: str | None = None
    """Of the files in maps, masks and overlays, without what follows the point."""
    runtime: RuntimeName | None = None
    """What computed the map."""
    regions: tuple[Region, ...] = ()
    """Of the mask, largest first."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**_flat(self), "regions": [region.to_json() for region in self.regions]}


class Results:
    """One folder of predictions; use it inside `ground.files.locked`."""

    def __init__(self, folder: Path, made_by: dict[str, Any]) -> None:
        """For a detector that `made_by` tells from others.

        Raises:
            OtherPredictionsError: the folder holds predictions of another detector.
        """
        self._folder, self._made_by = folder, made_by
        manifest = folder / MANIFEST_NAME
        if manifest.exists():
            if (before := read_json(manifest)) != made_by:
                raise OtherPredictionsError(folder, before, made_by)
        else:
            write_json(manifest, made_by)
        lines = (said for said in read_jsonl(folder / ROWS_NAME) if {"key", "place"} <= said.keys())
        kept = [(said["key"], said["place"], _row(said)) for said in lines]
        self._done = {key: row for key, _, row in kept}
        self._latest = {place: _reached(row, place) for _, place, row in kept}
        """Of each file that this call or an earlier one has looked at."""
        self._owners = {row.name: place for place, row in self._latest.items() if row.name}
        """The file whose results have a name."""

    def done(self, file: Path) -> Row | None:
        """The row of a file that was looked at before, and has not changed since."""
        row = self._done.get(_key(file))
        return None if row is None or row.verdict == "ERROR" else replace(row, image=str(file))

    def free(self, file: Path, name: str) -> str:
        """The name, with a number behind it where results of another file have it already."""
        place, number, found = _place(file), 2, name
        while self._owners.get(found, place) != place:
            number, found = number + 1, f"{name}-{number}"
        return found

    def add(self, file: Path, row: Row) -> None:
        place = _place(file)
        append_json(self._folder / ROWS_NAME, {"key": _key(file), "place": place, **row.to_json()})
        self._latest[place] = row
        if row.name:
            self._owners[row.name] = place

    def write(self, name: str, image: Image, found: Prediction, outline: float) -> None:
        """Map, mask and overlay of one image."""
        maps, masks, overlays = (self._folder / place for place in PLACES)
        write_map(maps / f"{name}.tiff", found.anomaly_map)
        write_mask(masks / f"{name}.png", found.mask)
        painted = overlay(image, found.anomaly_map, outline, found.mask)
        write_picture(overlays / f"{name}.png", captioned(painted, found.verdict, found.score))

    def write_table(self, rows: Sequence[Row]) -> None:
        """The rows of one call, then those of other files from earlier calls, as a table, in which regions
        are counted, and as a page of overlays.
        """
        now = {_place(row.image) for row in rows}
        rows = [*rows, *(row for place, row in self._latest.items() if place not in now)]
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**_flat(row), "regions": len(row.regions)} for row in rows)
        write_text(self._folder / TABLE_NAME, text.getvalue())
        title = self._folder.resolve().name
        page = gallery(title, [_shown(row) for row in rows], self._made_by["thresholds"])
        write_text(self._folder / "overlays" / GALLERY_NAME, page)


def predictions_identity(detector: AnyDetector, min_area: int) -> dict[str, Any]:
    """What tells predictions of this detector, as it decides now, from those of others."""
    facts = detector.facts
    return {
        "made by": "flawtrace predict",
        "fingerprint": facts.fingerprint,
        "held_out": facts.held_out,
        "thresholds": vars(detector.thresholds),
        "min_area": min_area,
    }


def _row(said: dict[str, Any]) -> Row:
    known = {field.name: said[field.name] for field in fields(Row) if field.name in said}
    return Row(**{**known, "regions": tuple(_region(one) for one in said["regions"])})


def _place(image: Path | str) -> str:
    """Where a file lies, whatever way it was named."""
    return str(Path(image).resolve())


def _key(file: Path) -> str:
    """Of a file and its content, as far as its size and time tell."""
    try:
        stat = file.stat()
    except OSError:
        return _place(file)
    return json.dumps([_place(file), stat.st_size, stat.st_mtime_ns])


def _reached(row: Row, place: str) -> Row:
    """The row of an earlier call, with a name that leads to its file from here, too."""
    return row if _place(row.image) == place else replace(row, image=place)


def _region(said: dict[str, Any]) -> Region:
    left, top, width, height = said["box"]
    contour = tuple((x, y) for x, y in said["contour"])
    return Region(left, top, width, height, said["area"], said["peak"], said["mean"], contour)


def _shown(row: Row) -> Shown:
    note = row.doubt or row.error or ""
    picture = f"{row.name}.png" if row.name else None
    name = f"{row.name}{Path(row.image).suffix}" if row.name else Path(row.image).name
    return Shown(name, row.verdict, row.score, note.split("\n")[0], picture, len(row.regions))


def _flat(row: Row) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "regions"}
