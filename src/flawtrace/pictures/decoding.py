"""Image files to arrays at the precision of the file; `images` makes tensors of them.

The content decides the decoder, not the extension, and only the decoders named here run. Sizes are read
from the header and checked before a pixel is decoded: a PNG of 1.2 MB can hold 1.2 gigapixels.
"""

import io
import logging
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image as Pillow
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from flawtrace.pictures.errors import (
    ImageTooLargeError,
    ImageTooSmallError,
    NotAnImageError,
    NotOpenedError,
    SeveralPagesError,
    UnreadableImageError,
    UnsupportedPixelsError,
    ValueRangeError,
)

MIN_SIDE = 16
"""Pixels; a smaller image is a mistake, or nothing that a patch fits in."""
MAX_PIXELS = 40_000_000
"""480 MB as float32 with three channels: reading needs less than 1 GB in all."""
MAX_BYTES = 6 * MAX_PIXELS
"""Of a decoded TIFF, which can have more bytes for a pixel than three channels of 16 bits."""

Pixels: TypeAlias = npt.NDArray[Any]
"""(h, w) if grey, (h, w, 3) if colour; bool, uint8, uint16, or float32 in [0, 1]."""
_DECODERS: dict[bytes, type[ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"BM": BmpImageFile,
    b"RIFF": WebPImageFile,
}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXIF_ORIENTATION = 0x0112
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AttributeError,
    struct.error,
    zlib.error,
    LZMAError,
    MemoryError,
    Pillow.DecompressionBombError,
)

# tifffile logs damage besides raising; without a handler that lands on the user's terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def decode(path: Path) -> Pixels:
    """The pixels as the file has them, upright as its EXIF orientation says.

    Alpha is dropped, not composited: a detector looks at colours, whatever a viewer would hide. Palettes,
    CMYK, YCbCr and Lab become RGB. Of a JPEG with several pictures (MPO), the primary one counts.

    Raises:
        ImageError: one of its subclasses says what is wrong with the file.
    """
    with _reading(path) as file:
        read = _decode_tiff if _is_tiff(file) else _decode_picture
        return _valid(path, read(path, file))


@dataclass(frozen=True)
class Layers:
    """What a picture says besides its colours, which `decode` gives: of a mask it may be all that counts."""

    indices: Pixels | None
    """Entries of its palette (h, w), if it has one; where the first is not black and another is, those two
    have changed places."""
    alpha: Pixels | None
    """How much of each pixel (h, w) shows, if it says so."""


def decode_layers(path: Path) -> Layers:
    """Of PNG, JPEG, BMP and WebP files; of a TIFF, nothing.

    Raises:
        ImageError: one of its subclasses says what is wrong with the file.
    """
    with _reading(path) as file:
        if _is_tiff(file):
            return Layers(None, None)
        picture = _open(path, file)
        orientation = _orientation(picture)
        indices = upright(_black_first(picture), orientation) if picture.mode == "P" else None
        has_alpha = picture.mode in ("RGBA", "LA")
        alpha = upright(np.asarray(picture.getchannel("A")), orientation) if has_alpha else None
        return Layers(indices, alpha)


def _black_first(picture: Pillow.Image) -> Pixels:
    """Entries of the palette; programs that reduce colours put the background anywhere."""
    indices = np.array(picture)
    colours = np.array(picture.getpalette("RGB")).reshape(-1, 3)
    black = [entry for entry in np.unique(indices) if entry < len(colours) and not colours[entry].any()]
    if colours[0].any() and black:
        first, other = indices == 0, indices == black[0]
        indices[first], indices[other] = black[0], 0
    return indices


def in_memory(picture: Pillow.Image) -> Pixels:
    """The same of a picture that Pillow has opened or made.

    Raises:
        ImageError: as above; also for colours of 16 bits that Pillow has yet to read, and would halve.
    """
    name = Path(getattr(picture, "filename", "") or f"a picture of Pillow's mode {picture.mode}")
    _check_size(name, picture.height, picture.width)
    if isinstance(picture, ImageFile) and ";16" in _rawmode(picture) and not picture.mode.startswith("I"):
        raise UnsupportedPixelsError(name, "Pillow keeps 8 of its 16 bits per colour; pass the path instead")
    with _named(name):
        picture.load()  # a TIFF is turned by this, and says so
        orientation = _known_orientation(picture.getexif().get(_EXIF_ORIENTATION))
        return _valid(name, upright(_eight_bits(picture), orientation))


def header_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright image, without decoding it."""
    size, orientation = _header(path)
    return size[::-1] if orientation >= 5 else size


def is_turned(path: Path) -> bool:
    """Whether the EXIF orientation turns or mirrors the image, without decoding it."""
    return _header(path)[1] != 1


def _header(path: Path) -> tuple[tuple[int, int], int]:
    """(height, width) as the file has them, and the EXIF orientation."""
    with _reading(path) as file:
        if _is_tiff(file):
            with tifffile.TiffFile(file) as tiff:
                page = _only_page(path, tiff)
                return (page.imagelength, page.imagewidth), _tiff_orientation(page)
        picture = _open(path, file)
        return (picture.height, picture.width), _orientation(picture)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the rotation or mirroring that an EXIF orientation (1 to 8) stands for.

    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """The open file; what is wrong with it has a name."""
    with _named(path), _Bounded(path.open("rb", buffering=0)) as file:
        yield file


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever a decoder raises or warns about becomes one named error or silence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.strerror:
            raise NotOpenedError(path, error.strerror) from error
        cause = str(error)
        raise UnreadableImageError(path, cause.rstrip(".") or type(error).__name__) from error


class _Bounded(io.BufferedReader):
    """Never makes room for more than the file still has: a damaged length can say 4 GB."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self._size = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _is_tiff(file: BinaryIO) -> bool:
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    return start in _TIFF


def _check_size(path: Path, height: int, width: int, most: int = MAX_PIXELS) -> None:
    if min(height, width) < MIN_SIDE:
        raise ImageTooSmallError(path, height, width, MIN_SIDE)
    if height * width > most:
        raise ImageTooLargeError(path, height, width, most)


def _valid(path: Path, pixels: Pixels) -> Pixels:
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 1):
            raise ValueRangeError(path, low, high)
        pixels = pixels.astype(np.float32)
    if pixels.dtype not in (np.bool_, np.uint8, np.uint16, np.float32):
        raise UnsupportedPixelsError(path, f"values have type {pixels.dtype}")
    return np.ascontiguousarray(pixels)


# PNG, JPEG, BMP, WebP


def _open(path: Path, file: BinaryIO) -> ImageFile:
    """Header only."""
    start = file.read(64)
    file.seek(0)
    decoder = next((known for magic, known in _DECODERS.items() if start.startswith(magic)), None)
    if decoder is None:
        raise NotAnImageError(path, start) if start else UnreadableImageError(path, "it is empty")
    picture = decoder(file)
    _check_size(path, picture.height, picture.width)
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise SeveralPagesError(path, frames)
    return picture


def _decode_picture(path: Path, file: BinaryIO) -> Pixels:
    picture = _open(path, file)
    orientation = _orientation(picture)
    return upright(_pillow_pixels(path, picture, file), orientation)


def _orientation(picture: ImageFile) -> int:
    """From the header: `PngImageFile.getexif` itself would decode the picture to look behind it."""
    return _known_orientation(Pillow.Image.getexif(picture).get(_EXIF_ORIENTATION))


def _known_orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pillow_pixels(path: Path, picture: ImageFile, file: BinaryIO) -> Pixels:
    rawmode = _rawmode(picture)
    if ";16" in rawmode and not picture.mode.startswith("I"):
        return _sixteen_bits(path, type(picture), file, rawmode)
    return _eight_bits(picture)


def _eight_bits(picture: Pillow.Image) -> Pixels:
    """What Pillow makes of a picture; of grey ones and floats that is all there is."""
    if picture.mode in ("1", "L", "F", "RGB", "I", "I;16", "I;16B", "I;16L"):
        return _native(np.asarray(picture))
    if picture.mode in ("LA", "RGBA", "RGBX"):
        return np.asarray(picture)[..., : 1 if picture.mode == "LA" else 3].squeeze()
    return np.asarray(picture.convert("RGB"))


def _native(pixels: Pixels) -> Pixels:
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _sixteen_bits(path: Path, decoder: type[ImageFile], file: BinaryIO, rawmode: str) -> Pixels:
    """Both bytes of each 16-bit sample; Pillow alone keeps the upper one and says nothing.

    Its unpackers for "16B" and "16L" keep the first and the second byte: decoding with each gives both.
    A pixel of 16-bit grey with alpha has four bytes, like one of 8-bit RGBA.
    """
    mode, order = rawmode.split(";16")
    if mode == "LA":
        grey_and_alpha = _raw(decoder, file, "RGBA")
        samples = grey_and_alpha[..., :2]
    elif mode in ("RGB", "RGBX", "RGBA"):
        passes = [_raw(decoder, file, f"{mode};16{byte}")[..., :3] for byte in "BL"]
        samples = np.stack(passes, axis=-1)
    else:
        raise UnsupportedPixelsError(path, f"16-bit {mode}")
    little = order == "L" or (order == "N" and sys.byteorder == "little")
    joined = np.ascontiguousarray(samples).view("<u2" if little else ">u2")[..., 0]
    return joined.astype(np.uint16)


def _rawmode(picture: ImageFile) -> str:
    """How the file lays out a pixel, in Pillow's words; a tile tells it alone or as its first argument."""
    arguments = picture.tile[0].args if picture.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _raw(decoder: type[ImageFile], file: BinaryIO, rawmode: str) -> Pixels:
    file.seek(0)
    picture = decoder(file)
    picture.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in picture.tile
    ]
    return np.asarray(picture)


# TIFF

_COMPRESSIONS = ("NONE", "DEFLATE", "ADOBE_DEFLATE", "PACKBITS", "LZMA")
"""Those that tifffile reads without its large companion imagecodecs; the others go to Pillow's libtiff."""


def _only_page(path: Path, tiff: Any) -> Any:
    if len(tiff.pages) != 1:
        raise SeveralPagesError(path, len(tiff.pages))
    page = tiff.pages[0]
    bits = page.samplesperpixel * page.bitspersample
    _check_size(path, page.imagelength, page.imagewidth, min(MAX_PIXELS, 8 * MAX_BYTES // max(1, bits)))
    return page


def _decode_tiff(path: Path, file: BinaryIO) -> Pixels:
    with tifffile.TiffFile(file) as tiff:
        page = _only_page(path, tiff)
        if page.axes not in ("YX", "YXS", "SYX") or page.samplesperpixel > 5:
            raise UnsupportedPixelsError(path, f"axes {page.axes} with {page.samplesperpixel} channels")
        if _within_tifffile(page):
            return upright(_page_pixels(page), _tiff_orientation(page))
        if page.bitspersample == 16 and (page.axes == "SYX" or page.samplesperpixel == 2):
            layout = "colours one after the other" if page.axes == "SYX" else "grey with alpha"
            raise UnsupportedPixelsError(path, f"16-bit {layout}, compressed by {page.compression.name}")
        white_is_zero = page.photometric.name == "MINISWHITE"
    file.seek(0)
    pixels = _pillow_pixels(path, TiffImageFile(file), file)  # upright already
    return (
        _inverted(pixels) if white_is_zero and pixels.dtype == np.uint16 else pixels
    )  # of 8 bits Pillow does


def _within_tifffile(page: Any) -> bool:
    return (
        page.compression.name in _COMPRESSIONS
        and page.predictor in (1, 2)
        and page.bitspersample in (1, 8, 16, 32, 64)
        and page.photometric.name in ("MINISBLACK", "MINISWHITE", "RGB")
    )


def _page_pixels(page: Any) -> Pixels:
    pixels = _native(page.asarray())
    if page.photometric.name == "MINISWHITE":
        pixels = _inverted(pixels)
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 2:
        return pixels
    return pixels[..., :3] if page.photometric.name == "RGB" else pixels[..., 0]


def _inverted(pixels: Pixels) -> Pixels:
    if pixels.dtype.kind == "b":
        return ~pixels
    return (1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max) - pixels


def _tiff_orientation(page: Any) -> int:
    return _known_orientation(page.tags.valueof(_EXIF_ORIENTATION))
