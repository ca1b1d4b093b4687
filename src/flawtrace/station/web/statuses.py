"""Which status of HTTP each error has."""

from http import HTTPStatus

from flawtrace.detector import DamagedDetectorError, ForeignDetectorError, MissingExtraError
from flawtrace.ground.errors import DamagedFileError, FlawtraceError, OutputError
from flawtrace.pictures.errors import ImageError
from flawtrace.station import errors

STATUS: dict[type[FlawtraceError], HTTPStatus] = {
    errors.NoImageError: HTTPStatus.NOT_FOUND,
    errors.NotSeenError: HTTPStatus.NOT_FOUND,
    errors.NoJobError: HTTPStatus.NOT_FOUND,
    errors.NoModelError: HTTPStatus.NOT_FOUND,
    errors.NoDetectorYetError: HTTPStatus.CONFLICT,
    errors.NoVerdictError: HTTPStatus.CONFLICT,
    errors.StaleMaskError: HTTPStatus.PRECONDITION_FAILED,
    errors.MaskShapeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NothingSentError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ForeignContentError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.WorkerEndedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooMuchError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ImageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    OutputError: HTTPStatus.INSUFFICIENT_STORAGE,
    DamagedFileError: HTTPStatus.INTERNAL_SERVER_ERROR,
    DamagedDetectorError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ForeignDetectorError: HTTPStatus.INTERNAL_SERVER_ERROR,
    MissingExtraError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Of errors and those derived from them."""
RETRY_AFTER = 2
"""Seconds after which to come back where too many wait."""


def status_of(error: FlawtraceError) -> HTTPStatus:
    """The status of an error; those that are not listed are the request's fault in some way.

    >>> status_of(errors.BusyError(16))
    <HTTPStatus.SERVICE_UNAVAILABLE: 503>
    """
    return next((said for kind, said in STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
