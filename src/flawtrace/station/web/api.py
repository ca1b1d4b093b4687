"""What machines ask for: look at an image, or at several, and what was found in it."""

import base64
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.images import map_file_content, mask_file_content
from flawtrace.station.errors import DamagedFormError, ForeignContentError, NothingSentError
from flawtrace.station.store.intake import safe_path, told
from flawtrace.station.store.shelf import add_image
from flawtrace.station.store.tables import EntryRow
from flawtrace.station.store.versions import needed_at_work
from flawtrace.station.web.answers import Outcome, Problem, Region, Thresholds, Verdict
from flawtrace.station.web.pages import AtWork
from flawtrace.station.web.refusals import Answers, refusal, refusals
from flawtrace.station.web.statuses import status_of
from flawtrace.station.work.looking import Found
from flawtrace.station.work.station import Station

router = APIRouter(prefix="/v1", tags=["Verdicts"])
FORM = "multipart/form-data"
TYPES = ("image/png", "image/jpeg", "image/tiff", "image/bmp", "image/webp")
"""Named in the documents; the content decides, and any `image/…` is read."""
FILE = {"type": "string", "format": "binary"}
HASHES = "^[0-9a-f]{64}$"
MOST_AT_ONCE = 100
"""Images of one batch."""


def _form(properties: dict[str, Any], **others: Any) -> dict[str, Any]:
    """What a request holds, for the documents: its body is read here, and not by FastAPI."""
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}, **others}}}


def _of_found(kind: str) -> Answers:
    """The answers of an address of what was found in an image, for the documents."""
    no_hash = refusal(
        Problem,
        "A parameter cannot be used.",
        f"path.image: String should match pattern '{HASHES}'",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
    )
    refused = refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT) | no_hash
    return {HTTPStatus.OK.value: {"content": {kind: {"schema": FILE}}}, **refused}


ONE_IMAGE = _form({"image": FILE}, **{kind: {"schema": FILE} for kind in TYPES})
SEVERAL_IMAGES = _form({"images": {"type": "array", "items": FILE, "minItems": 1, "maxItems": MOST_AT_ONCE}})
Include = Annotated[
    str | None,
    Query(
        pattern=r"^(mask|map)(,(mask|map))*$",
        description="What to add to the answer, as base64: `mask`, `map`, or `mask,map`.",
        examples=["mask,map"],
    ),
]
Hash = Annotated[str, Path(pattern=HASHES, description="SHA-256 of the image's file.")]
Version = Annotated[
    int | None, Query(ge=1, lt=2**31, description="Version of the detector; by itself the one at work.")
]


@dataclass(frozen=True)
class Sent:
    """The file of an image, and what its sender calls it."""

    content: bytes
    name: str


async def sent(
    request: Request,
    name: Annotated[
        str | None, Query(max_length=200, description="What to call an image that is sent by itself.")
    ] = None,
) -> Sent:
    """The image of a request, which is its body or the file `image` of its form."""
    kind = _kind(request)
    if kind.startswith("image/"):
        return Sent(await request.body(), safe_path(name or "image").name)
    if kind != FORM:
        raise ForeignContentError(kind)
    async with _form_of(request, 1) as form:
        file = form.get("image")
        if not isinstance(file, UploadFile):
            raise NothingSentError("image")
        return await _read(file)


async def sent_together(request: Request) -> list[Sent]:
    """The files `images` of a form."""
    if _kind(request) != FORM:
        raise ForeignContentError(_kind(request))
    async with _form_of(request, MOST_AT_ONCE) as form:
        files = [file for file in form.getlist("images") if isinstance(file, UploadFile)]
        if not files:
            raise NothingSentError("images")
        return [await _read(file) for file in files]


@router.post(
    "/inspect",
    openapi_extra=ONE_IMAGE,
    responses=refusals(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def inspect(station: AtWork, image: Annotated[Sent, Depends(sent)], include: Include = None) -> Verdict:
    """Look at an image with the detector at work.

    The image is added to the workspace, and the verdict is in the history before it is sent. The same image
    sent again is looked at again, and gives another line.
    """
    return verdict_of(station, image, wanted(include))


@router.post(
    "/inspect/batch",
    openapi_extra=SEVERAL_IMAGES,
    responses=refusals(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    )
    | refusal(Problem, "No file was sent, or a parameter cannot be used.", NothingSentError("images")),
)
def inspect_batch(
    station: AtWork, images: Annotated[list[Sent], Depends(sent_together)], include: Include = None
) -> list[Outcome]:
    """Look at several images, one after the other.

    Each has a verdict or an error, in the order of the files.
    """
    _need_detector(station)
    return [_outcome(station, image, wanted(include)) for image in images]


@router.get(
    "/images/{image}/mask.png",
    response_class=Response,
    responses=_of_found("image/png"),
)
def mask(station: AtWork, image: Hash, detector: Version = None) -> Response:
    """The pixels in which the detector sees a defect: a PNG of the image's size, 255 where there is one."""
    return Response(mask_file_content(station.found(image, detector)[1]), media_type="image/png")


@router.get(
    "/images/{image}/map.tiff",
    response_class=Response,
    responses=_of_found("image/tiff"),
)
def anomaly_map(station: AtWork, image: Hash, detector: Version = None) -> Response:
    """The probability of a defect for each pixel, to three digits: a TIFF of the image's size, float32."""
    return Response(map_file_content(station.found(image, detector)[0]), media_type="image/tiff")


def wanted(include: str | None) -> frozenset[str]:
    """What to add to an answer.

    >>> sorted(wanted("mask,map"))
    ['map', 'mask']
    """
    return frozenset(include.split(",")) if include else frozenset()


def looked_at(station: Station, image: Sent) -> tuple[EntryRow, Found]:
    """Add an image, and look at it; the verdict is in the history when this returns.

    Raises:
        NoDetectorYetError: nobody can look at it, so it is not added either.
    """
    _need_detector(station)
    row, _ = add_image(station.workspace, image.content, image.name)
    return station.inspect(row.hash)


def _need_detector(station: Station) -> None:
    with station.workspace.database.reading() as session:
        needed_at_work(session)


def verdict_of(station: Station, image: Sent, include: Collection[str] = ()) -> Verdict:
    """Look at an image; what a machine is told of it."""
    entry, found = looked_at(station, image)
    assert entry.detector is not None
    place = f"/v1/images/{entry.image}"
    said = Verdict(
        image=entry.image,
        entry=entry.id,
        entry_hash=entry.hash,
        moment=entry.moment,
        verdict=found.verdict,  # type: ignore[arg-type]  # pydantic checks it
        score=found.score,
        doubt=found.doubt,
        regions=[Region(**region) for region in found.regions],
        thresholds=Thresholds(**found.thresholds),
        detector=entry.detector,
        mask_url=f"{place}/mask.png?detector={entry.detector}",
        map_url=f"{place}/map.tiff?detector={entry.detector}",
    )
    if not include:
        return said
    values, marked, _ = station.found(entry.image, entry.detector)
    files = {"map": map_file_content(values), "mask": mask_file_content(marked)}
    return said.model_copy(update={name: base64.b64encode(files[name]).decode() for name in include})


def _outcome(station: Station, image: Sent, include: Collection[str]) -> Outcome:
    try:
        said = verdict_of(station, image, include)
    except FlawtraceError as error:
        return Outcome(name=image.name, status=status_of(error), detail=told(error, station.workspace))
    return Outcome(name=image.name, status=HTTPStatus.OK, result=said)


def _kind(request: Request) -> str:
    """The type of a request's content, without what follows it."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def _form_of(request: Request, most: int) -> AsyncIterator[FormData]:
    """The form of a request, with at most so many files.

    Raises:
        DamagedFormError: it is none.
    """
    try:
        form = await request.form(max_files=most)
    except HTTPException as error:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            raise DamagedFormError(error.detail) from error
        raise
    try:
        yield form
    finally:
        await form.close()


async def _read(file: UploadFile) -> Sent:
    return Sent(await file.read(), safe_path(file.filename or "image").name)
