"""How requests of machines are refused, for `/openapi.json` and the page `/docs`, in words of the errors."""

from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.errors import NotAnImageError
from flawtrace.station import errors
from flawtrace.station.web.answers import HASH, Problem, Told
from flawtrace.station.web.guard import MOST_BYTES
from flawtrace.station.web.statuses import status_of
from flawtrace.station.work.inspector import MOST_WAITING

Answers: TypeAlias = dict[int | str, dict[str, Any]]
"""By status, as FastAPI wants them."""
NO_DETECTOR = errors.NoDetectorYetError()
NO_PICTURE = NotAnImageError(Path("image"), b"text")
TOO_LARGE = errors.TooMuchError("The request", f"{MOST_BYTES // 2**20} MB")
BUSY = errors.BusyError(MOST_WAITING)


def refusal(
    model: type[Told], reason: str, *said: FlawtraceError | str, status: HTTPStatus | None = None
) -> Answers:
    """An answer without a verdict, of the one field of `model`; what is `said` then are its examples.

    Its status is that of the errors among them, unless it is given.
    """
    [field] = model.model_fields
    [status] = [status] if status else {status_of(one) for one in said if isinstance(one, FlawtraceError)}
    examples = {str(number): {"value": {field: str(one)}} for number, one in enumerate(said, start=1)}
    content = {"application/json": {"examples": examples}}
    return {status.value: {"model": model, "description": reason, "content": content}}


_REFUSALS = (
    refusal(
        Problem,
        "There is no such image here, or the detector has not looked at it.",
        errors.NoImageError(HASH),
        errors.NotSeenError(3),
    )
    | refusal(Problem, "No detector is at work yet.", NO_DETECTOR)
    | refusal(Problem, "The request is too large.", TOO_LARGE)
    | refusal(
        Problem,
        "What was sent is neither an image nor a form.",
        errors.ForeignContentError("application/json"),
    )
    | refusal(
        Problem,
        "The image cannot be read, or a parameter cannot be used.",
        NO_PICTURE,
        errors.NothingSentError("image"),
    )
    | refusal(Problem, "Too many images wait; come back after Retry-After seconds.", BUSY)
    | refusal(Problem, "The form is damaged.", errors.DamagedFormError("Missing boundary in multipart."))
)


def refusals(*statuses: HTTPStatus) -> Answers:
    """Those of the addresses below /v1 that have these statuses."""
    return {status.value: _REFUSALS[status.value] for status in statuses}
