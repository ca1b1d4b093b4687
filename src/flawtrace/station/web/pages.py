"""Pages: templates filled in with what every page shows."""

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment

from flawtrace.report import environment, style, template
from flawtrace.station.store.jobs import jobs
from flawtrace.station.store.versions import at_work
from flawtrace.station.web.guard import User
from flawtrace.station.work.station import Station

STYLE = Path(__file__).parents[1] / "static" / "station.css"


def _station(request: Request) -> Station:
    station: Station = request.app.state.station
    return station


def _user(request: Request) -> User:
    user: User = request.state.user
    return user


AtWork = Annotated[Station, Depends(_station)]
Who = Annotated[User, Depends(_user)]


def page(request: Request, name: str, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> HTMLResponse:
    """A filled-in template, with what stands at the top of every page."""
    shared = _shared(request)
    return HTMLResponse(_environment().get_template(f"{name}.html.jinja").render(**shared | context), status)


def _shared(request: Request) -> dict[str, Any]:
    """What stands at the top of every page; who has not said who they are learns nothing of the station."""
    station, user = _station(request), request.state.user
    known = {"path": request.url.path, "user": user, "closed": request.app.state.rules.closed}
    if user is None:
        return known | {"workspace": "flawtrace"}
    with station.workspace.database.reading() as session:
        running, detector = list(jobs(session, "running", "waiting")), at_work(session)
    return known | {"workspace": station.workspace.root.name, "running": running, "detector": detector}


def problem(request: Request, message: str, status: HTTPStatus) -> Response:
    """A page that says what went wrong, and the way out."""
    what, *rest = message.split("\n")
    return page(request, "problem", status, what=what, rest=rest)


def back(address: str) -> RedirectResponse:
    """To a page, after something was changed: reloading it changes nothing again."""
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


@cache
def _sheet() -> str:
    colours = {name: getattr(style, name) for name in ("NORMAL", "PREDICTED", "INK")}
    return template("tokens.css.jinja").render(colours=colours) + STYLE.read_text()


def style_sheet() -> Response:
    """The one style sheet; its colours are the report's."""
    return Response(_sheet(), media_type="text/css", headers={"Cache-Control": "max-age=300"})


@cache
def _environment() -> Environment:
    made = environment("flawtrace.station")
    made.filters["moment"] = lambda value: value.strftime("%Y-%m-%d %H:%M UTC") if value else ""
    return made
