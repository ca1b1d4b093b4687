"""The page that explains, and the one that shows every component."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from flawtrace.station.web.pages import page

router = APIRouter(include_in_schema=False)


@router.get("/help")
def explain(request: Request) -> HTMLResponse:
    """The round in words, and all keys."""
    return page(request, "help")


@router.get("/components")
def components(request: Request) -> HTMLResponse:
    """Every component in every state, to look at when the style sheet changes."""
    return page(request, "components")
