"""The grid of images: add, filter, label, look at many."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import write_bytes
from flawtrace.ground.shapes import Image
from flawtrace.pictures.decoding import decode
from flawtrace.pictures.images import as_image, as_picture, fit, jpeg
from flawtrace.station.errors import TooMuchError
from flawtrace.station.store.intake import Taken, safe_path, take_file, take_folder, unpack
from flawtrace.station.store.jobs import ask, waiting_like
from flawtrace.station.store.shelf import Filter, cards, counts, hashes, image_row, label, types
from flawtrace.station.store.tables import Kind
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.web.pages import AtWork, page

router = APIRouter(include_in_schema=False)
ON_A_PAGE = 60
MOST_BYTES = 250 * 2**20
"""Of one file: no image that is taken is larger."""
MOST_FILES = 1000
"""In one form."""
DARK = 0.25
"""Share of the range, of more than 8 bits, below which an image is shown brighter."""
PREVIEW = 320
"""Longest side of a small preview."""
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""What is named by its content never changes."""
Find = Annotated[str, Query(max_length=200)]
"""What the names of images are to contain."""
ZIP = b"PK\3\4"


@router.get("/images")
def grid(
    request: Request, station: AtWork, show: Filter = "all", start: int = 0, find: Find = ""
) -> HTMLResponse:
    """A page of images, the newest first."""
    start = max(0, start)
    with station.workspace.database.reading() as session:
        shown, there = cards(session, show, ON_A_PAGE, start, find=find), counts(session, find=find)
        kinds = types(session)
    place: dict[str, Any] = {"show": show, "start": start, "find": find, "step": ON_A_PAGE}
    return page(request, "images", cards=shown, counts=there, types=kinds, **place)


@router.get("/images/hashes")
def all_of(station: AtWork, show: Filter = "all", find: Find = "") -> JSONResponse:
    """All images that a filter lets through, on whatever page they are shown."""
    with station.workspace.database.reading() as session:
        return JSONResponse(hashes(session, show, find=find))


async def _sent(request: Request) -> list[tuple[str, bytes]]:
    """Names and contents of the files in a form."""
    async with request.form(max_files=MOST_FILES) as form:
        files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
        return [(file.filename or "unnamed", await file.read(MOST_BYTES + 1)) for file in files]


@router.post("/images")
def add(
    station: AtWork,
    files: Annotated[list[tuple[str, bytes]], Depends(_sent)],
    batch: UUID | None = None,
) -> JSONResponse:
    """Add files; those of a `batch`, a folder, wait until all of it is here. Returns what became of each."""
    taken: list[Taken] = []
    for name, content in files:
        if len(content) > MOST_BYTES:
            raise TooMuchError(name, f"{MOST_BYTES // 2**20} MB")
        if content.startswith(ZIP):
            taken += _of_archive(station.workspace, content, name)
        elif batch is not None:
            write_bytes(_incoming(station.workspace, batch) / safe_path(name), content)
        else:
            taken.append(take_file(station.workspace, content, Path(safe_path(name)).name))
    return JSONResponse([asdict(one) for one in taken])


@router.post("/images/batches/{batch}")
def add_batch(station: AtWork, batch: UUID) -> JSONResponse:
    """All files of a batch are here: add them, with the labels that their folders tell."""
    folder = _incoming(station.workspace, batch)
    taken = list(take_folder(station.workspace, folder))
    shutil.rmtree(folder, ignore_errors=True)
    return JSONResponse([asdict(one) for one in taken])


class Labels(BaseModel):
    """What some images show."""

    images: list[str]
    kind: Kind
    defect_type: str | None = None


@router.post("/images/labels")
def label_all(station: AtWork, labels: Labels) -> JSONResponse:
    """Label several images at once."""
    with station.workspace.database.writing() as session:
        for image in labels.images:
            label(session, image, labels.kind, labels.defect_type)
    return JSONResponse({"labelled": len(labels.images)})


class Wanted(BaseModel):
    """Which images are to be looked at."""

    show: Filter = "all"


@router.post("/images/look")
def look_at_all(station: AtWork, wanted: Wanted) -> JSONResponse:
    """Let the detector look at all images that a filter lets through, as a job."""
    options = {"show": wanted.show}
    with station.workspace.database.writing() as session:
        row = waiting_like(session, "look", options) or ask(session, "look", options)
        return JSONResponse({"job": row.id})


@router.get("/images/{image}/file")
def original(station: AtWork, image: str) -> Response:
    """The file as it was added."""
    with station.workspace.database.reading() as session:
        row = image_row(session, image)
    return FileResponse(station.workspace.image_file(row), filename=f"{Path(row.name).stem}{row.suffix}")


@router.get("/images/{image}/preview/{size}")
def preview(station: AtWork, image: str, size: Literal["small", "full"]) -> Response:
    """A picture that any browser shows, upright and with 8 bits; `full` has all pixels."""
    with station.workspace.database.reading() as session:
        row = image_row(session, image)
    side = PREVIEW if size == "small" else max(row.height, row.width)
    file = station.workspace.preview_file(image, side)
    brighter = file.with_stem(f"{file.stem}-brighter")
    if brighter.exists():
        file = brighter
    elif not file.exists():
        picture, stretched = visible(station.workspace.image_file(row))
        file = brighter if stretched else file
        scale = min(1.0, side / max(row.height, row.width))
        picture = fit(picture, max(1, round(row.height * scale)), max(1, round(row.width * scale)))
        write_bytes(file, jpeg(as_picture(picture)))
    told = {"X-Brighter": "yes"} if file == brighter else {}
    return FileResponse(file, media_type="image/jpeg", headers=FOREVER | told)


def visible(file: Path) -> tuple[Image, bool]:
    """An image as people should see it. What a camera with 10 or 12 bits puts into 16 would look black: where
    less than a quarter of so wide a range is used, it is stretched. Returns whether it was, too.
    """
    pixels = decode(file)
    picture = as_image(pixels)
    brightest = float(picture.max())
    stretched = pixels.dtype != np.uint8 and 0 < brightest < DARK
    return picture / brightest if stretched else picture, stretched


def _incoming(workspace: Workspace, batch: UUID) -> Path:
    return workspace.root / "incoming" / batch.hex


def _of_archive(workspace: Workspace, content: bytes, name: str) -> list[Taken]:
    """What became of the files in an archive; of one that cannot be unpacked, that alone is told."""
    try:
        return _unpacked(workspace, content, name)
    except FlawtraceError as error:
        return [Taken(name, "refused", str(error))]


def _unpacked(workspace: Workspace, content: bytes, name: str) -> list[Taken]:
    folder = _incoming(workspace, uuid4()) / safe_path(name).stem
    packed = folder.with_name(f".{folder.name}.zip")
    write_bytes(packed, content)
    try:
        unpack(packed, folder)
        return list(take_folder(workspace, folder))
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
