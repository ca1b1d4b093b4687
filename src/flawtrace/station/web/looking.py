"""One image: what the detector sees in it, and what people say."""

import json
from typing import Annotated, Any, Literal

import torch
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from flawtrace.detector import facts_of
from flawtrace.pictures.images import OUTLINE, heat, line_width, outline, png
from flawtrace.station.store.shelf import Filter, image_row, label, neighbours, types
from flawtrace.station.store.tables import EntryRow, Kind
from flawtrace.station.store.versions import at_work, needed_at_work
from flawtrace.station.web.deciding import knowledge_of
from flawtrace.station.web.pages import AtWork, Who, back, page
from flawtrace.station.work.looking import profile
from flawtrace.station.work.station import overrule

router = APIRouter(include_in_schema=False)


@router.get("/images/{image}")
def look(request: Request, station: AtWork, image: str, show: Filter = "all") -> HTMLResponse:
    """One image, with all that is known of it."""
    with station.workspace.database.reading() as session:
        row, detector = image_row(session, image), at_work(session)
        entries, kinds = _entries(session, image), types(session)
        before, after = neighbours(session, image, show)
    entry = entries[0] if entries else None
    said = next((one for one in entries if not one.who), None)
    knowledge = knowledge_of(station, detector) if detector else None
    seen = detector is not None and station.workspace.found_file(detector.id, image).exists()
    return page(
        request,
        "look",
        image=row,
        entry=entry,
        said=said,
        entries=entries,
        seen=seen,
        types=kinds,
        before=before,
        after=after,
        show=show,
        knowledge=knowledge,
        outdated=said is not None and knowledge is not None and _outdated(said, knowledge),
    )


@router.post("/images/{image}/inspect")
def inspect(station: AtWork, image: str, show: Annotated[Filter, Form()] = "all") -> RedirectResponse:
    """Look at it with the detector at work."""
    station.inspect(image)
    return back(f"/images/{image}?show={show}")


@router.post("/images/{image}/overrule")
def overruled(
    *,
    station: AtWork,
    user: Who,
    image: str,
    verdict: Annotated[Literal["OK", "DEFECT"], Form()],
    who: Annotated[str, Form(max_length=100)] = "",
    why: Annotated[str, Form(max_length=500)] = "",
    show: Annotated[Filter, Form()] = "all",
) -> RedirectResponse:
    """Put a person's verdict in the place of the detector's."""
    with station.workspace.database.writing() as session:
        overrule(session, image, verdict, who=user.name or who or "inspector", why=why)
    return back(f"/images/{image}?show={show}")


@router.post("/images/{image}/label")
def label_one(
    station: AtWork,
    image: str,
    kind: Annotated[Kind, Form()],
    defect_type: Annotated[str | None, Form(max_length=60)] = None,
    show: Annotated[Filter, Form()] = "all",
) -> RedirectResponse:
    """Say what it shows."""
    with station.workspace.database.writing() as session:
        label(session, image, kind, defect_type)
    return back(f"/images/{image}?show={show}")


@router.get("/images/{image}/heat/{version}")
def heat_of(station: AtWork, image: str, version: int) -> Response:
    """Where a version sees a defect, as colours to lie over the image."""
    anomaly_map, _, detector = station.found(image, version)
    threshold = facts_of(station.run_of(detector)).thresholds.outline
    return _picture(heat(anomaly_map, threshold))


@router.get("/images/{image}/outline/{version}")
def outline_of(station: AtWork, image: str, version: int) -> Response:
    """The regions that a version found, as a line to lie over the image."""
    anomaly_map, mask, _ = station.found(image, version)
    line = outline(mask, line_width(anomaly_map))
    return _picture(torch.cat([OUTLINE.expand(*line.shape, 3), 255 * line[..., None].byte()], dim=-1))


@router.get("/images/{image}/predicted/{version}")
def predicted(station: AtWork, image: str, version: int) -> Response:
    """The mask that a version found, to begin painting with."""
    _, mask, _ = station.found(image, version)
    return _picture(255 * mask.byte())


@router.get("/images/{image}/profile")
def profile_of(station: AtWork, image: str) -> Response:
    """The loss profile of each cell: float32, little-endian; the shape is in the header `X-Shape`."""
    with station.workspace.database.reading() as session:
        row, detector = image_row(session, image), needed_at_work(session)
    shape, values = station.inspector.ask(
        profile, station.run_of(detector), station.workspace.image_file(row)
    )
    headers = {"X-Shape": ",".join(map(str, shape))}
    return Response(values, media_type="application/octet-stream", headers=headers)


def _entries(session: Session, image: str) -> list[EntryRow]:
    """What the history has about an image, the last line first."""
    query = select(EntryRow).where(EntryRow.image == image).order_by(EntryRow.id.desc())
    return list(session.scalars(query))


def _outdated(said: EntryRow, knowledge: dict[str, Any]) -> bool:
    """Whether the detector at work, as it decides now, is another than the one that said this."""
    then = json.loads(said.thresholds).get("defect")
    return bool(said.detector != knowledge["version"] or then != knowledge["thresholds"]["defect"])


def _picture(values: torch.Tensor) -> Response:
    return Response(png(values), media_type="image/png")
