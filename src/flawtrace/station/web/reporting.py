"""What happened lately, and what to label next."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from flawtrace.detector import facts_of
from flawtrace.pictures.traits import MEANINGS
from flawtrace.station.store.shelf import cards, image_row
from flawtrace.station.store.statistics import drift, mistakes, per_day, per_type, rate
from flawtrace.station.store.tables import ImageRow
from flawtrace.station.store.versions import at_work
from flawtrace.station.web.pages import AtWork, page
from flawtrace.station.work.looking import proposals

router = APIRouter(include_in_schema=False)
CONSIDERED = 200
"""Unlabelled images, the newest, among which the next to label are looked for."""
PROPOSED = 12


@router.get("/report")
def report(request: Request, station: AtWork) -> HTMLResponse:
    """Verdicts per day, errors that people found, and what has moved since training."""
    with station.workspace.database.reading() as session:
        detector, days, wrong = at_work(session), per_day(session), mistakes(session)
        kinds, changes = per_type(session), None
        if detector is not None:
            facts = facts_of(station.run_of(detector))
            changes = drift(session, detector.id, facts.familiar, facts.held_out.get("normal", []))
    return page(
        request,
        "report",
        days=days,
        most=max((day.total for day in days), default=0),
        mistakes=wrong,
        escapes=rate(wrong.escapes, wrong.verdicts),
        overkill=rate(wrong.overkill, wrong.verdicts),
        types=kinds,
        drift=changes,
        meanings=MEANINGS,
    )


@router.get("/next")
def following(request: Request, station: AtWork) -> HTMLResponse:
    """The page on which images to label appear as soon as they are found."""
    with station.workspace.database.reading() as session:
        unlabelled = len(cards(session, "unlabelled", CONSIDERED))
        working = at_work(session)
    return page(request, "next", unlabelled=unlabelled, working=working)


@router.get("/next/proposals")
def proposed(station: AtWork) -> JSONResponse:
    """The images whose labels would teach the detector at work most, the best first, with reasons."""
    with station.workspace.database.reading() as session:
        shown, detector = cards(session, "unlabelled", CONSIDERED), at_work(session)
    if detector is None or not shown:
        return JSONResponse([])
    files = [station.workspace.image_file(card.image) for card in shown]
    found = station.inspector.ask(proposals, station.run_of(detector), files, PROPOSED)
    with station.workspace.database.reading() as session:
        rows: list[ImageRow] = [image_row(session, Path(one["image"]).stem) for one in found]
    answer = [{**one, "image": row.hash, "name": row.name} for one, row in zip(found, rows, strict=True)]
    return JSONResponse(answer)
