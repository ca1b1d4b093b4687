"""Images and answers as tensors in JSON, as the Open Inference Protocol has them."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field

from flawtrace.pictures.images import png
from flawtrace.station.errors import TensorError
from flawtrace.station.web.answers import Told
from flawtrace.station.web.api import Sent
from flawtrace.station.work.looking import Found, read_found

Output: TypeAlias = Literal["verdict", "score", "map"]
BY_ITSELF: tuple[Output, ...] = ("verdict", "score")
"""What is answered where a request asks for nothing."""


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class GivenTensor(_Asked):
    """One input."""

    name: Literal["image"]
    datatype: Literal["UINT8", "BYTES"]
    shape: list[int] = Field(examples=[[64, 64, 3]])
    """[height, width, 3] for UINT8, [1] for BYTES."""
    data: list[Any]
    """Numbers from 0 to 255, flat or nested, colours as RGB; or the file of an image in base64."""


class AskedOutput(_Asked):
    """One output that is wanted."""

    name: Output


class Given(_Asked):
    """An inference request."""

    id: str | None = Field(None, max_length=200)
    """Comes back in the answer."""
    inputs: list[GivenTensor] = Field(
        examples=[[{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["iVBORw0KGgo…"]}]]
    )
    outputs: list[AskedOutput] | None = Field(None, examples=[[{"name": "verdict"}, {"name": "map"}]])
    """By itself `verdict` and `score`."""


class Tensor(Told):
    """One output; `data` is flat, rows first."""

    name: Output
    datatype: Literal["BYTES", "FP32"]
    shape: list[int]
    data: list[str] | list[float]


def image_of(given: Given) -> Sent:
    """The image of a request; pixels become a PNG, which keeps them as they are.

    Raises:
        TensorError: the request holds none.
    """
    if len(given.inputs) != 1:
        raise TensorError(f"it has {len(given.inputs)} inputs")
    [tensor] = given.inputs
    name = f"{given.id or 'image'}"
    if tensor.datatype == "BYTES":
        return Sent(_file(tensor), name)
    return Sent(png(torch.from_numpy(_pixels(tensor))), name)


def asked_outputs(given: Given) -> list[Output]:
    """What to answer."""
    return list(BY_ITSELF) if given.outputs is None else [output.name for output in given.outputs]


def outputs_of(asked: Sequence[Output], found: Found, file: Path) -> list[Tensor]:
    """The tensors of an answer; the map comes from the `file` that `look` wrote."""
    return [_output(name, found, file) for name in asked]


def _output(name: Output, found: Found, file: Path) -> Tensor:
    if name == "verdict":
        return Tensor(name=name, datatype="BYTES", shape=[1], data=[found.verdict])
    if name == "score":
        return Tensor(name=name, datatype="FP32", shape=[1], data=[found.score])
    values, _ = read_found(file)
    return Tensor(name=name, datatype="FP32", shape=list(values.shape), data=values.flatten().tolist())


def _file(tensor: GivenTensor) -> bytes:
    if tensor.shape != [1] or len(tensor.data) != 1 or not isinstance(tensor.data[0], str):
        raise TensorError(f"a BYTES tensor of shape {tensor.shape} with {len(tensor.data)} elements")
    try:
        return base64.b64decode(tensor.data[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise TensorError(f"what should be base64 is not ({error})") from error


def _pixels(tensor: GivenTensor) -> npt.NDArray[np.uint8]:
    match tensor.shape:
        case [height, width, 3] if height > 0 and width > 0:
            pass
        case shape:
            raise TensorError(f"a UINT8 tensor of shape {shape}")
    try:
        values = np.array(tensor.data)
    except ValueError as error:
        raise TensorError("the rows of its data differ in length") from error
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise TensorError("its data are not whole numbers from 0 to 255")
    if values.size != height * width * 3:
        raise TensorError(f"{values.size} numbers for {height} x {width} x 3")
    return values.astype(np.uint8).reshape(height, width, 3)
