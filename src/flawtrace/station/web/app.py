"""The application: its rooms, its guard, and what an error looks like."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.staticfiles import StaticFiles

from flawtrace.ground.errors import FlawtraceError
from flawtrace.station.store.intake import told
from flawtrace.station.web import (
    api,
    comparing,
    deciding,
    describing,
    entering,
    helping,
    images,
    looking,
    metrics,
    painting,
    protocol,
    reporting,
    start,
    training,
)
from flawtrace.station.web.guard import HEADERS, MOST_BYTES, TOO_MUCH, Guard, Rules, for_people
from flawtrace.station.web.metrics import Metrics
from flawtrace.station.web.pages import problem, style_sheet
from flawtrace.station.web.statuses import RETRY_AFTER, status_of
from flawtrace.station.work.station import Station

STATIC = Path(__file__).parents[1] / "static"
PAGES = (start, images, looking, painting, training, comparing, deciding, reporting, helping, entering)
FOR_MACHINES = (api, protocol, metrics, describing)
FAULT = "Something went wrong here.\nThe station's log says what; please report it with `flawtrace doctor`."


def create_app(station: Station, rules: Rules | None = None) -> FastAPI:
    """The application of an open station; it is closed when the application ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        station.close()

    app = FastAPI(
        title="flawtrace station",
        version=version("flawtrace"),
        summary="Looks for defects in product images.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.station, app.state.rules = station, rules or Rules()
    app.state.metrics = Metrics(station)
    for room in PAGES + FOR_MACHINES:
        app.include_router(room.router)
    app.add_api_route("/static/station.css", style_sheet, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(FlawtraceError, _explained)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MOST_BYTES)
    guarded = {"rules": app.state.rules, "database": station.workspace.database, "answer": _answer}
    app.add_middleware(Guard, **guarded)
    return app


def _explained(request: Request, error: Exception) -> Response:
    """An error that its reader can mend."""
    assert isinstance(error, FlawtraceError)
    station: Station = request.app.state.station
    return _answer(request, told(error, station.workspace), status_of(error))


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    too_much = error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return _answer(request, TOO_MUCH if too_much else str(error.detail), HTTPStatus(error.status_code))


def _misunderstood(request: Request, error: Exception) -> Response:
    """What is wrong with a request, and never what it said: that may be a password."""
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return _answer(request, said, HTTPStatus.UNPROCESSABLE_ENTITY)


def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 (its log has the traceback)
    """A fault of ours. This answer does not pass the guard, so it brings the headers itself."""
    answer = _answer(request, FAULT, HTTPStatus.INTERNAL_SERVER_ERROR)
    answer.headers.update(HEADERS)
    return answer


def _answer(request: Request, message: str, status: HTTPStatus) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if for_people(request):
        answer = problem(request, message, status)
        answer.headers.update(headers)
        return answer
    key = "error" if request.url.path.startswith("/v2") else "detail"  # as the Open Inference Protocol has it
    return JSONResponse({key: message}, status, headers)
