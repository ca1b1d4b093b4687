"""Versions of the detector: compared on images that neither has seen, promoted, and rolled back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from flawtrace.detector import facts_of
from flawtrace.ground.files import read_json
from flawtrace.ground.run_files import SUMMARY_NAME
from flawtrace.report import COMPARISON_NAME, REPORT_NAME
from flawtrace.station.store.tables import DetectorRow
from flawtrace.station.store.versions import at_work, before_it, detector_row, promote, versions
from flawtrace.station.web.deciding import knowledge_of
from flawtrace.station.web.pages import AtWork, Who, back, page
from flawtrace.station.work.station import Station
from flawtrace.station.work.teaching import CHECKED_NAME, COMPARED_NAME
from flawtrace.training import by_reason

router = APIRouter(include_in_schema=False)
METRICS_NAME = "metrics.json"


@dataclass(frozen=True)
class Version:
    """What is known of one version."""

    row: DetectorRow
    summary: dict[str, Any]
    metrics: dict[str, Any] | None
    """On images that it has not seen."""
    compared: dict[str, Any] | None
    """With the version that was at work when it was made."""
    checked: dict[str, Any] | None
    """How far the exported file is from the original."""
    thresholds: dict[str, float]
    images: dict[str, str]
    """Hashes of compared images, by the names of their files."""
    doubtful: dict[str, list[str]]
    """Hashes of training images that are worth a second look: normal ones from which nothing was learnt,
    because they look defective (`aside`), those most unlike the others where no label says what a defect is
    (`unusual`), and images that look defective where their label says that nothing is (`label`).
    """


@router.get("/compare")
def compare(request: Request, station: AtWork) -> HTMLResponse:
    """All versions, and the newest beside the one at work."""
    with station.workspace.database.reading() as session:
        rows, working, earlier = versions(session), at_work(session), before_it(session)
    shown = [_version(station, row) for row in rows]
    knowledge = knowledge_of(station, working) if working else None
    return page(request, "compare", versions=shown, working=working, earlier=earlier, knowledge=knowledge)


@router.post("/detectors/{version}/promote")
def put_to_work(station: AtWork, user: Who, version: int) -> RedirectResponse:
    """Let this version look at images from now on; an earlier one, to roll back."""
    with station.workspace.database.writing() as session:
        promote(session, version, user.name or "engineer")
    return back("/compare")


@router.get("/detectors/{version}/report")
def report(station: AtWork, version: int) -> FileResponse:
    """The report of its training, to keep or to send."""
    return _file(station, version, REPORT_NAME)


@router.get("/detectors/{version}/comparison")
def comparison(station: AtWork, version: int) -> FileResponse:
    """The page of its comparison, to keep or to send."""
    return _file(station, version, COMPARISON_NAME)


@router.get("/detectors/{version}/onnx")
def exported(station: AtWork, version: int) -> FileResponse:
    """The exported detector, for other programs."""
    return _file(station, version, "detector.onnx")


def _file(station: Station, version: int, name: str) -> FileResponse:
    with station.workspace.database.reading() as session:
        run = station.run_of(detector_row(session, version))
    return FileResponse(run / name, filename=f"detector-{version}-{name}")


def _version(station: Station, row: DetectorRow) -> Version:
    run = station.run_of(row)
    compared, summary = _maybe(run / COMPARED_NAME), _maybe(run / SUMMARY_NAME) or {}
    changed = [] if compared is None else compared["changed"]
    return Version(
        row=row,
        summary=summary,
        metrics=_maybe(run / METRICS_NAME),
        compared=compared,
        checked=_maybe(run / CHECKED_NAME),
        thresholds=vars(facts_of(run).thresholds),
        images={one["image"]: Path(one["image"]).stem for one in changed},
        doubtful=_doubtful(summary.get("suspects", [])),
    )


def _doubtful(suspects: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Hashes of suspects by what is the matter with them, each once, though several of its tiles be meant."""
    hashes = {
        reason: [Path(one["file"]).stem for one in some] for reason, some in by_reason(suspects).items()
    }
    return {reason: list(dict.fromkeys(some)) for reason, some in hashes.items()}


def _maybe(file: Path) -> dict[str, Any] | None:
    document: dict[str, Any] | None = read_json(file) if file.exists() else None
    return document
