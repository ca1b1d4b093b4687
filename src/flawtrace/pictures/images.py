"""One image file to one tensor and back; the pictures that people look at."""

import hashlib
import io
from pathlib import Path

import matplotlib
import numpy as np
import tifffile
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from PIL import Image as Pillow
from scipy import ndimage
from torch import Tensor

from flawtrace.ground.files import write_bytes
from flawtrace.ground.shapes import AnomalyMap, Image, Images, Mask, Picture
from flawtrace.pictures.decoding import Pixels, decode, header_size

OUTLINE = torch.tensor([0, 255, 255], dtype=torch.uint8)
"""Cyan: no colour of the heat scale, and rare on products."""
BAND = 256
"""Rows of a large picture that are painted at a time, so that little more than itself is in memory."""
_TABLE = torch.tensor(matplotlib.colormaps["inferno"](np.arange(256))[:, :3], dtype=torch.float32)


def read_image(path: Path) -> Image:
    """The image in `path` as (3, h, w) in [0, 1], at the full precision of the file.

    Grey is repeated to three channels, alpha dropped, EXIF orientation applied; PNG, JPEG, BMP and TIFF,
    whatever the extension says.

    Raises:
        ImageError: the file is not a single whole picture of a size and kind that we take.
    """
    return as_image(decode(path))


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) from the header, after EXIF orientation; nothing is decoded."""
    return header_size(path)


def as_image(pixels: Pixels) -> Image:
    """Decoded pixels as (3, h, w) in [0, 1]."""
    channels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    values = np.empty((3, *channels.shape[1:]), np.float32)
    np.divide(channels, full_range(pixels), out=values, dtype=np.float32)
    return torch.from_numpy(values)


def full_range(pixels: Pixels) -> float:
    """The value that stands for white.

    >>> full_range(np.zeros((2, 2), np.uint16))
    65535.0
    """
    return float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0


def digest(image: Image) -> str:
    """16 hex digits that tell pictures apart by what they show, whatever file they come from."""
    content = hashlib.sha256(str(tuple(image.shape)).encode())
    content.update(image.detach().cpu().contiguous().numpy().data)
    return content.hexdigest()[:16]


def fit(image: Image, height: int, width: int | None = None) -> Float[Tensor, "c {height} _"]:
    """`image` at `height` x `width` pixels (a square unless told), bilinear with antialiasing; its aspect is
    not kept.
    """
    size = height, width or height
    return image if image.shape[1:] == size else _antialiased(image[None], size)[0]


def squared(images: Images, side: int) -> Float[Tensor, "b c {side} {side}"]:
    """The same of images of one size, in one operation."""
    return _antialiased(images, (side, side))


def fit_mask(mask: Mask, height: int, width: int | None = None) -> Bool[Tensor, "{height} _"]:
    """`mask` at `height` x `width` pixels (a square unless told), each the nearest old one: no value in
    between appears.
    """
    size = height, width or height
    if mask.shape == size:
        return mask
    return F.interpolate(mask[None, None].float(), size=size, mode="nearest-exact")[0, 0].bool()


def write_map(path: Path, anomaly_map: AnomalyMap) -> None:
    """Float32 TIFF: the numbers themselves."""
    write_bytes(path, map_file_content(anomaly_map))


def map_file_content(anomaly_map: AnomalyMap) -> bytes:
    """What `write_map` writes."""
    buffer = io.BytesIO()
    values = anomaly_map.detach().cpu().float().numpy()
    tifffile.imwrite(buffer, values, photometric="minisblack", metadata=None)
    return buffer.getvalue()


def write_mask(path: Path, mask: Mask) -> None:
    """Grey PNG: 255 is defect, 0 is not."""
    write_bytes(path, mask_file_content(mask))


def mask_file_content(mask: Mask) -> bytes:
    """What `write_mask` writes."""
    return png(mask.to(torch.uint8) * 255)


def write_picture(path: Path, picture: Picture) -> None:
    """RGB PNG."""
    write_bytes(path, png(picture))


def as_picture(image: Image) -> Picture:
    """With 8 bits per channel."""
    return (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()


def _antialiased(images: Images, size: tuple[int, int]) -> Float[Tensor, "b c {size[0]} {size[1]}"]:
    return F.interpolate(images, size=size, mode="bilinear", antialias=True).clamp(0, 1)


def png(values: Tensor) -> bytes:
    """The file of bytes (h, w) in grey, (h, w, 3) in colour, or (h, w, 4) with how much of each shows."""
    buffer = io.BytesIO()
    Pillow.fromarray(values.cpu().contiguous().numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(picture: Picture, quality: int = 88) -> bytes:
    """The file of a picture for people; what is measured comes from the image itself."""
    buffer = io.BytesIO()
    Pillow.fromarray(picture.cpu().contiguous().numpy()).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def heat(anomaly_map: AnomalyMap, threshold: float) -> Tensor:
    """Bytes (h, w, 4): the heat that `overlay` lays over an image, by itself."""
    colours, weight = _heat(anomaly_map, min(0.0, float(anomaly_map.min())), threshold)
    return (torch.cat([colours, weight[..., None]], dim=-1) * 255).round().to(torch.uint8)


def overlay(image: Image, anomaly_map: AnomalyMap, threshold: float, region: Mask | None = None) -> Picture:
    """`image` with the heat of `anomaly_map` over it, and `region` or what reaches `threshold` outlined.

    Heat goes from the map's zero (or its least value, if below zero) to twice the threshold. Painted some
    rows at a time, so that a large image needs little more memory than itself.
    """
    image, anomaly_map = image.cpu(), anomaly_map.cpu()
    low = min(0.0, float(anomaly_map.min()))
    picture = torch.empty(*anomaly_map.shape, 3, dtype=torch.uint8)
    for top in range(0, len(picture), BAND):
        rows = slice(top, top + BAND)
        colours, weight = _heat(anomaly_map[rows], low, threshold)
        picture[rows] = as_picture(image[:, rows].lerp(colours.permute(2, 0, 1), weight))
    marked = anomaly_map >= threshold if region is None else region
    picture[outline(marked, line_width(anomaly_map))] = OUTLINE
    return picture


def outline(region: Mask, width: int) -> Mask:
    """A line of `width` pixels around `region`, outside of it so that it hides no defect.

    Where the region leaves the image, the line runs along the edge.

    >>> outline(torch.tensor([[False, False, False, True]]), 1).tolist()
    [[False, False, True, True]]
    """
    grown = ndimage.maximum_filter(region.numpy(), 2 * width + 1, mode="constant")
    edge = torch.ones_like(region)
    edge[width:-width, width:-width] = False
    return torch.where(region, edge, torch.from_numpy(grown))


def _heat(values: AnomalyMap, low: float, threshold: float) -> tuple[Tensor, AnomalyMap]:
    """Colours (h, w, 3) of a map's values, and how much of them shows, both in [0, 1]."""
    strength = ((values - low) / max(threshold - low, 1e-12)).clamp(0, 2)
    return _TABLE[(strength / 2 * 255).long()], 0.5 * _smoothstep((strength - 0.5) / 0.7)


def _smoothstep(values: AnomalyMap) -> AnomalyMap:
    """0 below 0, 1 above 1, and no visible edge between."""
    values = values.clamp(0, 1)
    return values * values * (3 - 2 * values)


def line_width(anomaly_map: AnomalyMap) -> int:
    """One pixel, and one more for each 512 on the shorter side."""
    return 1 + min(anomaly_map.shape) // 512
