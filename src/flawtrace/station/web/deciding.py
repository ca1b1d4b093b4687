"""Where the thresholds lie, what others would do to images that were held out, and how they are changed."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from flawtrace.detector import facts_of
from flawtrace.ground.files import read_json
from flawtrace.ground.run_files import SUMMARY_NAME
from flawtrace.station.store.tables import DetectorRow
from flawtrace.station.store.versions import detector_row
from flawtrace.station.web.pages import AtWork
from flawtrace.station.work.looking import decide
from flawtrace.station.work.station import Station

router = APIRouter(include_in_schema=False)


class Threshold(BaseModel):
    """The score from which an image is DEFECT."""

    threshold: float = Field(ge=0, le=1)


@router.post("/detectors/{version}/threshold")
def set_threshold(station: AtWork, version: int, chosen: Threshold) -> JSONResponse:
    """Decide anew, without training again; what was exported of the detector follows."""
    with station.workspace.database.reading() as session:
        run = station.run_of(detector_row(session, version))
    station.inspector.ask(decide, run, chosen.threshold)
    return JSONResponse(vars(facts_of(run).thresholds))


def knowledge_of(station: Station, detector: DetectorRow) -> dict[str, Any]:
    """What pages need of a detector: its thresholds, held-out scores and usual loss profiles."""
    facts, summary = facts_of(station.run_of(detector)), station.run_of(detector) / SUMMARY_NAME
    return {
        "version": detector.id,
        "thresholds": vars(facts.thresholds),
        "held_out": {kind: sorted(facts.held_out.get(kind, [])) for kind in ("normal", "anomalous")},
        "profiles": read_json(summary).get("profiles", {}) if summary.exists() else {},
    }
