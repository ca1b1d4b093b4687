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
from starlette.staticfiles import StaticFiles

from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.errors import ImageError
from flawtrace.station import errors
from flawtrace.station.web import (
    comparing,
    entering,
    helping,
    images,
    looking,
    painting,
    reporting,
    start,
    training,
)
from flawtrace.station.web.guard import Guard, Rules
from flawtrace.station.web.pages import problem, style_sheet
from flawtrace.station.work.station import Station

STATIC = Path(__file__).parents[1] / "static"
STATUS = {
    errors.NoImageError: HTTPStatus.NOT_FOUND,
    errors.NotSeenError: HTTPStatus.NOT_FOUND,
    errors.NoJobError: HTTPStatus.NOT_FOUND,
    errors.NoDetectorYetError: HTTPStatus.CONFLICT,
    errors.NotAllowedError: HTTPStatus.UNAUTHORIZED,
    errors.StaleMaskError: HTTPStatus.PRECONDITION_FAILED,
    errors.MaskShapeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.WorkerEndedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooMuchError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ImageError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Of errors; all others are the request's fault in some way."""
RETRY_AFTER = 2
"""Seconds after which to come back where too many wait."""
ROOMS = (start, images, looking, painting, training, comparing, reporting, helping, entering)


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
    for room in ROOMS:
        app.include_router(room.router)
    app.add_api_route("/static/station.css", style_sheet, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(FlawtraceError, _explained)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_middleware(Guard, rules=app.state.rules)
    return app


def _explained(request: Request, error: Exception) -> Response:
    """An error that its reader can mend."""
    status = next((said for kind, said in STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
    return _answer(request, str(error), status)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, str(error.detail), HTTPStatus(error.status_code))


def _misunderstood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return _answer(request, said, HTTPStatus.UNPROCESSABLE_ENTITY)


def _answer(request: Request, message: str, status: HTTPStatus) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if "text/html" in request.headers.get("accept", ""):
        answer = problem(request, message, status)
        answer.headers.update(headers)
        return answer
    return JSONResponse({"detail": message}, status, headers)
