"""Masks: given with their tag, and taken from who began with the newest."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Header, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from flawtrace.station.store.shelf import Filter, image_row, neighbours, types
from flawtrace.station.store.strokes import save_mask, tag
from flawtrace.station.store.versions import at_work
from flawtrace.station.web.pages import AtWork, page

router = APIRouter(include_in_schema=False)


@router.get("/images/{image}/paint")
def paint(
    request: Request,
    station: AtWork,
    image: str,
    show: Filter = "all",
    back: Literal["next"] | None = None,
) -> HTMLResponse:
    """The page on which a mask is painted; after it comes the next image, or the page `back`."""
    with station.workspace.database.reading() as session:
        row, detector, kinds = image_row(session, image), at_work(session), types(session)
        before, after = neighbours(session, image, show)
    seen = detector is not None and station.workspace.found_file(detector.id, image).exists()
    return page(
        request, "paint", image=row, types=kinds, seen=seen, show=show, before=before, after=after, back=back
    )


@router.get("/images/{image}/painted")
def painted(station: AtWork, image: str) -> Response:
    """The mask, a PNG of 0 and 255 at the image's own size; 204 where there is none. Its tag is the ETag."""
    with station.workspace.database.reading() as session:
        row = image_row(session, image)
    headers = {"ETag": quoted(tag(row)), "Cache-Control": "no-cache"}
    if row.mask is None:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    return FileResponse(station.workspace.mask_file(row.mask), media_type="image/png", headers=headers)


@router.put("/images/{image}/painted")
def save(
    station: AtWork,
    image: str,
    content: Annotated[bytes, Body(media_type="image/png")],
    if_match: Annotated[str, Header()],
    defect_type: str | None = None,
) -> Response:
    """Store a mask; 412 where somebody else has stored one since, so that no strokes are lost unseen."""
    saved = save_mask(station.workspace, image, content, if_match.strip('"'), defect_type or None)
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"ETag": quoted(saved)})


def quoted(tag_of_mask: str) -> str:
    """As a header has it.

    >>> quoted("none")
    '"none"'
    """
    return f'"{tag_of_mask}"'
