"""What machines are told, in words that `/openapi.json` and the page `/docs` repeat."""

from datetime import datetime
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

HASH = "3f0c1d0f7a3f4f1e8a5d9d1c2b7e6a4f5c8b9a0d1e2f3a4b5c6d7e8f90a1b2c3"
"""Of an image, in examples."""


class Told(BaseModel):
    """An answer; what stands below a field is what the documents say of it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Problem(Told):
    """Why there is no other answer: what is wrong, what was expected, and the way out."""

    detail: str


class Region(Told):
    """Connected pixels in which the detector sees a defect."""

    box: tuple[int, int, int, int] = Field(examples=[(24, 30, 12, 9)])
    """Left, top, width and height, in pixels."""
    area: int = Field(examples=[71])
    """In pixels."""
    peak: float = Field(examples=[0.97])
    """Highest probability in it."""
    mean: float = Field(examples=[0.81])
    """Mean probability."""
    contour: list[tuple[float, float]] = Field(
        examples=[[(24.0, 30.0), (36.0, 30.0), (36.0, 39.0), (24.0, 30.0)]]
    )
    """Points (x, y) of its outer outline, in pixels; the last is the first again."""


class Thresholds(Told):
    """By which the verdict was reached."""

    outline: float = Field(examples=[0.3])
    """The probability from which a pixel belongs to a region."""
    peak: float = Field(examples=[0.5])
    """The probability that a region has to reach somewhere."""
    defect: float = Field(examples=[0.5])
    """The score from which an image is DEFECT."""
    unsure: float = Field(examples=[0.4])
    """The score from which an image is UNSURE."""


class Verdict(Told):
    """What the detector at work says about an image. It is in the history before it is sent."""

    image: str = Field(examples=[HASH])
    """SHA-256 of the file, by which the station knows the image."""
    entry: int = Field(examples=[42])
    """Number of the line of the history that keeps this verdict."""
    entry_hash: str = Field(examples=[HASH])
    """Hash of that line: keep it elsewhere, and nobody can change the history up to here unnoticed."""
    moment: datetime
    """When the verdict was written into the history, in UTC."""
    verdict: Literal["OK", "UNSURE", "DEFECT"] = Field(examples=["DEFECT"])
    score: float = Field(examples=[0.93])
    """From 0 to 1; higher is worse."""
    doubt: str | None = Field(examples=[None])
    """Why a person should look at the image."""
    regions: list[Region]
    """Largest first."""
    thresholds: Thresholds
    detector: int = Field(examples=[3])
    """Version of the detector."""
    mask_url: str = Field(examples=[f"/v1/images/{HASH}/mask.png?detector=3"])
    """The pixels of all regions: a PNG of the image's size, 255 where there is a defect."""
    map_url: str = Field(examples=[f"/v1/images/{HASH}/map.tiff?detector=3"])
    """The probability of a defect for each pixel: a TIFF of the image's size, float32."""
    mask: str | None = Field(default=None, examples=[None])
    """The same mask as base64, with `include=mask`."""
    map: str | None = Field(default=None, examples=[None])
    """The same map as base64, with `include=map`."""


class Outcome(Told):
    """What became of one image of several: its verdict, or why there is none."""

    name: str = Field(examples=["part-0001.png"])
    """What its sender calls it."""
    status: int = Field(examples=[HTTPStatus.OK.value])
    """The status that it would have by itself; one with 503 may be sent again."""
    result: Verdict | None = None
    detail: str | None = None
    """What is wrong with it."""
