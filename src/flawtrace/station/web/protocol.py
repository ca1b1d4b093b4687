"""The Open Inference Protocol, version 2, as KServe, Triton and their clients speak it: JSON tensors."""

from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import Field

from flawtrace.station.errors import NoDetectorYetError, NoModelError, TensorError
from flawtrace.station.store.versions import at_work
from flawtrace.station.web.answers import Told
from flawtrace.station.web.api import looked_at
from flawtrace.station.web.pages import AtWork
from flawtrace.station.web.refusals import BUSY, NO_DETECTOR, NO_PICTURE, TOO_LARGE, Answers, refusal
from flawtrace.station.web.tensors import Given, Tensor, asked_outputs, image_of, outputs_of
from flawtrace.station.work.station import Station

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
MODEL = "detector"
Name = Annotated[str, Path(description="`detector`: the one at work.", examples=[MODEL])]
Version = Annotated[str, Path(description="Version of the detector at work.", examples=["1"])]


class Refusal(Told):
    """Why there is no other answer."""

    error: str


_REFUSED = refusal(
    Refusal, "There is no such model, or not in this version.", NoModelError("other", f"`{MODEL}`")
) | refusal(Refusal, "No detector is at work yet.", NO_DETECTOR)
_REFUSED_INPUT = (
    _REFUSED
    | refusal(Refusal, "The tensors are not those of the model.", TensorError("it has 0 inputs"))
    | refusal(Refusal, "The request is too large.", TOO_LARGE)
    | refusal(Refusal, "The request is no inference request, or holds no readable image.", NO_PICTURE)
    | refusal(Refusal, "Too many images wait; come back after Retry-After seconds.", BUSY)
)


class Server(Told):
    name: str = Field(examples=["flawtrace"])
    version: str = Field(examples=["0.1.0"])
    extensions: tuple[str, ...] = ()


class Live(Told):
    live: bool


class Ready(Told):
    ready: bool


class ModelReady(Told):
    name: str = Field(examples=[MODEL])
    ready: bool


def _not_ready(said: Ready | ModelReady) -> Answers:
    """The answer while no detector is at work, for the documents."""
    content = {"application/json": {"examples": {"1": {"value": said.model_dump()}}}}
    return {503: {"model": type(said), "description": "No detector is at work yet.", "content": content}}


class TensorKind(Told):
    """What a tensor is like; -1 is any size."""

    name: str
    datatype: str
    shape: list[int]


class Model(Told):
    """What the detector takes and gives."""

    name: str = Field(examples=[MODEL])
    versions: list[str] = Field(examples=[["1"]])
    platform: str = "flawtrace"
    inputs: tuple[TensorKind, ...] = (TensorKind(name="image", datatype="UINT8", shape=[-1, -1, 3]),)
    """Colours are RGB, from 0 to 255. Or BYTES of shape [1]: the file of an image in base64."""
    outputs: tuple[TensorKind, ...] = (
        TensorKind(name="verdict", datatype="BYTES", shape=[1]),
        TensorKind(name="score", datatype="FP32", shape=[1]),
        TensorKind(name="map", datatype="FP32", shape=[-1, -1]),
    )
    """`map`, one number per pixel, is given only where a request asks for it."""


class Inference(Told):
    """What the detector says. The verdict is in the history before it is sent."""

    model_name: str = Field(examples=[MODEL])
    model_version: str = Field(examples=["1"])
    id: str | None = None
    """As in the request."""
    parameters: dict[str, str | int] = Field(examples=[{"entry": 42, "image": "3f0c1d…", "doubt": ""}])
    """`entry`: number of the line of the history; `image`: SHA-256 of the image; `doubt`: why a person should
    look at it."""
    outputs: list[Tensor]


@router.get("")
def server() -> Server:
    """What answers here."""
    return Server(name="flawtrace", version=version("flawtrace"))


@router.get("/health/live")
def live() -> Live:
    """Whether the station answers at all."""
    return Live(live=True)


@router.get("/health/ready", responses=_not_ready(Ready(ready=False)))
def ready(station: AtWork) -> JSONResponse:
    """Whether the station can give verdicts."""
    there = _version(station) is not None
    status = HTTPStatus.OK if there else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"ready": there}, status)


@router.get("/models/{name}", responses=_REFUSED)
def model(station: AtWork, name: Name) -> Model:
    """What the model takes and gives."""
    return Model(name=name, versions=[_named(station, name)])


@router.get("/models/{name}/versions/{version}", responses=_REFUSED)
def model_version(station: AtWork, name: Name, version: Version) -> Model:
    """The same of one version."""
    return Model(name=name, versions=[_named(station, name, version)])


@router.get(
    "/models/{name}/ready",
    responses=_REFUSED | _not_ready(ModelReady(name=MODEL, ready=False)),
)
def model_ready(station: AtWork, name: Name) -> JSONResponse:
    """Whether the model can give verdicts."""
    if name != MODEL:
        raise NoModelError(name, f"`{MODEL}`")
    there = _version(station) is not None
    status = HTTPStatus.OK if there else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"name": name, "ready": there}, status)


@router.get("/models/{name}/versions/{version}/ready", responses=_REFUSED)
def model_version_ready(station: AtWork, name: Name, version: Version) -> ModelReady:
    """Whether one version can give verdicts."""
    _named(station, name, version)
    return ModelReady(name=name, ready=True)


@router.post("/models/{name}/infer", responses=_REFUSED_INPUT)
def infer(station: AtWork, name: Name, given: Given) -> Inference:
    """Look at an image. The answer has `verdict` and `score`, and `map` where the request asks for it."""
    return _inferred(station, _named(station, name), given)


@router.post("/models/{name}/versions/{version}/infer", responses=_REFUSED_INPUT)
def infer_version(station: AtWork, name: Name, version: Version, given: Given) -> Inference:
    """The same of one version."""
    return _inferred(station, _named(station, name, version), given)


def _inferred(station: Station, named: str, given: Given) -> Inference:
    """Refuses what is wrong with a request before the image is looked at."""
    asked, image = asked_outputs(given), image_of(given)
    entry, found = looked_at(station, image)
    file = station.workspace.found_file(entry.detector or 0, entry.image)
    return Inference(
        model_name=MODEL,
        model_version=str(entry.detector or named),
        id=given.id,
        parameters={"entry": entry.id, "image": entry.image, "doubt": found.doubt or ""},
        outputs=outputs_of(asked, found, file),
    )


def _version(station: Station) -> int | None:
    with station.workspace.database.reading() as session:
        detector = at_work(session)
    return None if detector is None else detector.id


def _named(station: Station, name: str, version: str | None = None) -> str:
    """The version at work, which is what a request asks for.

    Raises:
        NoModelError: it asks for something else.
        NoDetectorYetError: none is at work.
    """
    if name != MODEL:
        raise NoModelError(name, f"`{MODEL}`")
    if (working := _version(station)) is None:
        raise NoDetectorYetError
    if version not in (None, str(working)):
        raise NoModelError(f"{name} in version {version}", f"version {working}, which is at work")
    return str(working)
