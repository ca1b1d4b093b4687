"""From pictures as programs hold them (paths, Pillow's pictures, arrays, tensors) to images."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from flawtrace.ground.shapes import Image
from flawtrace.pictures.decoding import MIN_SIDE, Pixels, in_memory
from flawtrace.pictures.errors import NotAPictureError, NotPicturesError
from flawtrace.pictures.images import as_image, read_image

AnyPicture: TypeAlias = Path | str | Pillow.Image | Pixels | Tensor
Order: TypeAlias = Literal["rgb", "bgr"]
"""Of colour channels in arrays and tensors; OpenCV reads and films in `bgr`."""

ROUNDING = 1e-5
"""So far beyond [0, 1] floats are taken for rounded ones, as resizing leaves them."""
WHOLE = ("uint8", "uint16")
CHANNELS = (1, 3, 4)


def image_of(picture: AnyPicture, order: Order = "rgb") -> Image:
    """A picture of any kind as (3, h, w) in [0, 1]; the same picture is the same tensor, whatever it came as.

    A path (`str` or `Path`) or a picture of Pillow is read as `read_image` reads a file. Arrays of NumPy and
    tensors are (h, w), (h, w, c) or (c, h, w) with 1, 3 or 4 channels, the fourth of which is dropped:
    uint8, where 255 is white, uint16, where 65535 is, or floats in [0, 1]. `order` says how an array or a
    tensor orders its colours; files and Pillow's pictures say it themselves.

    Raises:
        ImageError: the file is not a single whole picture of a size and kind that we take.
        NotAPictureError: it is nothing of the above; what it is, and what would be right.
    """
    if order not in ("rgb", "bgr"):
        raise NotAPictureError(f"colours in the order {order!r}", "Say order='rgb' or order='bgr'.")
    if isinstance(picture, str | Path):
        return read_image(Path(picture))
    if isinstance(picture, Pillow.Image):
        return as_image(in_memory(picture))
    return as_image(_colours_last(_values(picture), order))


def images_of(pictures: Iterable[AnyPicture], order: Order = "rgb") -> Iterator[Image]:
    """Several: any iterable of them, or an array or tensor with one axis more.

    Raises:
        NotPicturesError: it is a single picture, or cannot be iterated over.
    """
    axes = getattr(pictures, "ndim", 4)
    if isinstance(pictures, str | Path | Pillow.Image) or axes != 4 or not isinstance(pictures, Iterable):
        raise NotPicturesError(described(pictures))
    return (image_of(picture, order) for picture in pictures)


def _values(picture: object) -> Pixels:
    """An array of a kind that we take, with its values in range."""
    if isinstance(picture, Tensor):
        picture = picture.detach().cpu()
        picture = (picture.float() if picture.dtype == torch.bfloat16 else picture).numpy()
    if not isinstance(picture, np.ndarray):
        raise NotAPictureError(described(picture), _way_out(picture))
    if picture.size == 0:
        raise NotAPictureError(described(picture), "There is nothing in it.")
    if picture.dtype.kind == "f":
        return _between_black_and_white(picture)
    if picture.dtype.name not in WHOLE:
        raise NotAPictureError(described(picture), _way_out(picture))
    return picture


def _between_black_and_white(values: Pixels) -> Pixels:
    low, high = float(values.min()), float(values.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise NotAPictureError(f"{described(values)} from {low:g} to {high:g}", _scaled(low, high))
    return values if low >= 0 and high <= 1 else values.clip(0, 1)


def _scaled(low: float, high: float) -> str:
    if not np.isfinite([low, high]).all():
        return "Some values are not finite; set them to what they stand for."
    if low < -ROUNDING:
        return "Undo the normalisation: 0 is black and 1 is white."
    return f"Divide by {255 if high <= 255 else 65535}, or pass whole numbers (uint8 or uint16)."


def _colours_last(values: Pixels, order: Order) -> Pixels:
    """(h, w) or (h, w, 3), in the order red, green, blue."""
    if values.ndim == 2 and min(values.shape) >= MIN_SIDE:
        return values
    if values.ndim != 3:
        raise NotAPictureError(described(values), _reshaped(values))
    if values.shape[2] in CHANNELS and min(values.shape[:2]) >= MIN_SIDE:
        channels = values
    elif values.shape[0] in CHANNELS and min(values.shape[1:]) >= MIN_SIDE:
        channels = np.moveaxis(values, 0, -1)
    else:
        raise NotAPictureError(described(values), _reshaped(values))
    colours = channels[..., :3]
    if colours.shape[2] == 1:
        return colours[..., 0]
    return colours[..., ::-1] if order == "bgr" else colours


def _reshaped(values: Pixels) -> str:
    if values.ndim == 4:
        return "This is a batch: `predict` takes one picture, `predict_all` several."
    return f"Give height and width, at least {MIN_SIDE} pixels each, and channels last or first."


def _way_out(picture: object) -> str:
    if isinstance(picture, np.ndarray) and picture.dtype.kind == "b":
        return "This looks like a mask: pass the photograph."
    if isinstance(picture, np.ndarray) and picture.dtype.kind in "iu":
        return "Convert it with .astype('uint8') if its values are 0 to 255, 'uint16' if they are 0 to 65535."
    if isinstance(picture, list | tuple):
        return "For several pictures there is `predict_all`; for nested numbers, numpy.asarray(…)."
    if picture is None:
        return "A camera or cv2.imread that fails returns None: check what it returned."
    return "Convert it to a NumPy array first."


def described(picture: object) -> str:
    """Type, kind of values and shape, in words."""
    kind = f"{type(picture).__module__}.{type(picture).__qualname__}".removeprefix("builtins.")
    if isinstance(picture, np.ndarray | Tensor):
        values = str(picture.dtype).removeprefix("torch.")
        return f"{kind} of {values}, shape {tuple(picture.shape)}"
    return kind
