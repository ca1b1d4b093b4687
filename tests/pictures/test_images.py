"""Files to tensors at full precision, and wrong files to named errors."""

import io
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps

from flawtrace.ground.errors import FlawtraceError, OutputError
from flawtrace.pictures.decoding import MAX_PIXELS, decode, upright
from flawtrace.pictures.errors import (
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    NotAnImageError,
    SeveralPagesError,
    UnreadableImageError,
    UnsupportedPixelsError,
    ValueRangeError,
)
from flawtrace.pictures.images import (
    BAND,
    OUTLINE,
    as_picture,
    digest,
    fit,
    fit_mask,
    image_size,
    outline,
    overlay,
    read_image,
    write_map,
    write_mask,
    write_picture,
)
from flawtrace.pictures.mask_files import read_mask

Array = np.ndarray[Any, Any]
HEIGHT, WIDTH = 18, 23


def noise(dtype: Any, channels: int = 1) -> Array:
    """Every value of the type can occur, so a byte that is cut off shows."""
    generator = np.random.default_rng(0)
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    if np.dtype(dtype).kind == "f":
        return generator.random(shape, dtype)
    return generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def png(values: Array, width: int = 0, height: int = 0, interlaced: bool = False) -> bytes:
    """A PNG made by hand: Pillow can write none with 16-bit colour, nor one that lies about its size."""
    stacked = values.reshape(*values.shape[:2], -1)
    rows, columns, channels = stacked.shape
    starts = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    passes = [stacked[y::dy, x::dx] for y, x, dy, dx in starts] if interlaced else [stacked]
    big_endian = [part.astype(values.dtype.newbyteorder(">")) for part in passes]
    lines = b"".join(b"\0" + line.tobytes() for part in big_endian if part.size for line in part)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    depth = values.dtype.itemsize * 8
    header = struct.pack(">IIBBBBB", width or columns, height or rows, depth, colour_type, 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def tiff(values: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if "photometric" not in options:
        options["photometric"] = "rgb" if values.ndim == 3 else "minisblack"
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def with_tags(content: bytes, **values: int) -> bytes:
    """A TIFF that says something else about itself."""
    patched = bytearray(content)
    order: Literal["little", "big"] = "little" if content[:1] == b"I" else "big"
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        for name, value in values.items():
            tag = file.pages[0].tags[name]
            packed = value.to_bytes(2 if tag.dtype.name == "SHORT" else 4, order)
            patched[tag.valueoffset : tag.valueoffset + len(packed)] = packed
    return bytes(patched)


def encoded(values: Array | Pillow.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = values if isinstance(values, Pillow.Image) else Pillow.fromarray(values)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def saved(folder: Path, content: bytes, name: str = "image.png") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def expected(values: Array) -> torch.Tensor:
    """By hand: the value over the greatest possible one, channels first, grey three times."""
    scale = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    stacked = values[..., None].repeat(3, axis=-1) if values.ndim == 2 else values
    return torch.tensor(stacked.astype(np.float64) / scale).permute(2, 0, 1).float()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("write", "dtype"),
    [(png, np.uint8), (png, np.uint16), (tiff, np.uint8), (tiff, np.uint16), (tiff, np.float32)],
)
def test_no_precision_is_lost(tmp_path: Path, write: Any, dtype: Any, channels: int) -> None:
    values = noise(dtype, channels)
    path = saved(tmp_path, write(values))
    assert torch.equal(read_image(path), expected(values))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_16_bit_png_keeps_its_lower_byte_and_drops_alpha(
    tmp_path: Path, channels: int, interlaced: bool
) -> None:
    values = noise(np.uint16, channels)
    colours = values if channels == 1 else values[..., : channels - 1 if channels != 3 else 3].squeeze()
    path = saved(tmp_path, png(values, interlaced=interlaced))
    assert np.array_equal(decode(path), colours)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_a_tiff_reads_the_same_however_it_is_stored(
    tmp_path: Path, compression: str | None, byteorder: Any, planarconfig: Any
) -> None:
    values = noise(np.uint16, 3)
    stored = values if planarconfig == "contig" else np.moveaxis(values, -1, 0).copy()
    content = tiff(stored, compression=compression, byteorder=byteorder, planarconfig=planarconfig)
    assert np.array_equal(decode(saved(tmp_path, content, "image.tif")), values)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw"])
def test_tiffs_by_another_program_read_like_their_png(tmp_path: Path, mode: str, compression: str) -> None:
    """LZW is beyond tifffile alone; Pillow's libtiff reads it."""
    if mode in ("I;16", "F"):
        picture = Pillow.fromarray(noise(np.uint16 if mode == "I;16" else np.float32))
    else:
        picture = Pillow.fromarray(noise(np.uint8, 3)).convert(mode)
    read = decode(saved(tmp_path, encoded(picture, "TIFF", compression=compression)))
    shown = picture if mode in ("1", "L", "I;16", "F") else picture.convert("RGB")
    assert np.array_equal(read, np.asarray(shown))


def lzw(content: bytes) -> bytes:
    """Literals only: 256 clears the table, 257 ends, and nine bits are enough in between."""
    parts = [content[start : start + 200] for start in range(0, len(content), 200)]
    codes = [code for part in parts for code in (256, *part)] + [257]
    bits = "".join(f"{code:09b}" for code in codes)
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8))


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_16_bit_colour_tiff_in_lzw_keeps_its_lower_byte(tmp_path: Path, byteorder: Any) -> None:
    values = noise(np.uint16, 3)
    stored = iter([lzw(values.astype(values.dtype.newbyteorder(byteorder)).tobytes())])
    layout = {"shape": values.shape, "dtype": values.dtype, "byteorder": byteorder, "rowsperstrip": HEIGHT}
    content = tiff(stored, photometric="rgb", compression="deflate", **layout)
    patched = with_tags(content, Compression=5)
    assert np.array_equal(decode(saved(tmp_path, patched)), values)


@pytest.mark.parametrize(
    ("channels", "planarconfig", "said"),
    [(3, "separate", "16-bit colours one after the other"), (2, "contig", "16-bit grey with alpha")],
)
def test_what_only_half_of_could_be_read_of_a_tiff_in_lzw_is_refused(
    tmp_path: Path, channels: int, planarconfig: Any, said: str
) -> None:
    values = noise(np.uint16, 3)[..., :channels]
    stored = values if planarconfig == "contig" else np.moveaxis(values, -1, 0).copy()
    photometric: Any = "rgb" if channels == 3 else "minisblack"
    content = tiff(stored, photometric=photometric, compression="deflate", planarconfig=planarconfig)
    path = saved(tmp_path, with_tags(content, Compression=5))
    with pytest.raises(UnsupportedPixelsError, match=rf"{said}, compressed by LZW.*\n.*\nSave the image"):
        decode(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_inverted(tmp_path: Path, dtype: Any) -> None:
    values = noise(dtype)
    path = saved(tmp_path, tiff(values, photometric="miniswhite"))
    assert np.array_equal(decode(path), np.iinfo(dtype).max - values)


def test_grey_of_two_bits_spans_black_to_white(tmp_path: Path) -> None:
    values = Pillow.fromarray(np.tile(np.array([0, 255], np.uint8), (16, 8)))
    path = saved(tmp_path, encoded(values.convert("1"), "PNG"))
    assert read_image(path).unique().tolist() == [0, 1]


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    picture = Pillow.fromarray(noise(np.uint8, 3)).quantize(16)
    path = saved(tmp_path, encoded(picture, "PNG", transparency=b"\0\x80"))
    assert torch.equal(read_image(path), expected(np.asarray(picture.convert("RGB"))))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_dropped(tmp_path: Path, mode: str) -> None:
    picture = Pillow.fromarray(noise(np.uint8, 3)).convert(mode)
    colours = expected(np.asarray(picture.convert(mode[:-1])))
    picture.putalpha(0)
    assert torch.equal(read_image(saved(tmp_path, encoded(picture, "PNG"))), colours)


def test_a_cmyk_jpeg_is_read_as_rgb(tmp_path: Path) -> None:
    red = Pillow.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK")
    image = read_image(saved(tmp_path, encoded(red, "JPEG"), "red.jpg"))
    assert torch.allclose(image.mean(dim=(1, 2)), torch.tensor([1.0, 0, 0]), atol=0.02)


def test_the_extension_need_not_match_the_content(tmp_path: Path) -> None:
    values = noise(np.uint8, 3)
    path = saved(tmp_path, encoded(values, "BMP"), "image.jpg")
    assert torch.equal(read_image(path), expected(values))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_agrees_with_pillow(orientation: int) -> None:
    picture = Pillow.fromarray(noise(np.uint8))
    picture.getexif()[0x0112] = orientation
    turned = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(upright(np.asarray(picture), orientation), turned)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]
)
def test_the_size_is_that_of_the_upright_image(tmp_path: Path, kind: str, options: Any) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    values = noise(np.uint8, 3)
    path = saved(tmp_path, encoded(values, kind, exif=exif, **options))
    assert image_size(path) == (WIDTH, HEIGHT)
    assert torch.equal(read_image(path), expected(np.rot90(values, -1).copy()))


@pytest.mark.parametrize("write", [png, tiff])
def test_too_small_an_image_is_refused_with_its_numbers(tmp_path: Path, write: Any) -> None:
    path = saved(tmp_path, write(np.zeros((3, 40), np.uint8)))
    with pytest.raises(ImageTooSmallError, match=r"40 x 3 pixels .*\nExpected at least 16"):
        read_image(path)


@pytest.mark.parametrize("side", [10_001, 20_000, 2_000_000])
def test_too_large_an_image_is_refused_before_decoding(tmp_path: Path, side: int) -> None:
    """There is nothing behind this header: decoding would say "truncated"."""
    path = saved(tmp_path, png(np.zeros((16, 16), np.uint8), width=side, height=side))
    with pytest.raises(ImageTooLargeError, match=f"{side} x {side} = {side * side:,} pixels") as caught:
        image_size(path)
    assert f"{MAX_PIXELS:,}" in str(caught.value)


def test_too_large_a_tiff_is_refused_before_decoding(tmp_path: Path) -> None:
    content = tiff(np.zeros((16, 16), np.uint8), metadata=None)
    path = saved(tmp_path, with_tags(content, ImageWidth=20_000, ImageLength=20_000), "image.tif")
    with pytest.raises(ImageTooLargeError, match="20000 x 20000"):
        read_image(path)


def test_a_tiff_of_more_bytes_than_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    content = tiff(np.zeros((16, 16, 3), np.float64), metadata=None, photometric="rgb")
    path = saved(tmp_path, with_tags(content, ImageWidth=3_200, ImageLength=3_200), "image.tif")
    with pytest.raises(ImageTooLargeError, match="at most 10,000,000 pixels"):
        read_image(path)


def test_a_length_in_a_file_that_is_not_true_takes_no_memory(tmp_path: Path) -> None:
    """Behind the pixels, a PNG's chunk says that it has 4 GB."""
    whole = png(np.zeros((16, 16), np.uint8))
    place = whole.index(b"IDAT") - 4
    path = saved(tmp_path, whole[:place] + b"\xff\xff\xff\xf0" + whole[place + 4 :])
    tracemalloc.start()
    with suppress(UnreadableImageError):
        read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


READING = """
import sys
from pathlib import Path
from flawtrace.pictures.images import read_image

def peak():
    (peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(peak) // 1024

before = peak()
print(*read_image(Path(sys.argv[1])).shape)
print(peak() - before, file=sys.stderr)
"""
"""What reading adds to the peak of this process, in MiB.

The whole peak depends on the build of PyTorch: importing that for CUDA takes 400 MiB more. That of
`getrusage` begins with the parent's.
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.uint8, np.uint16], ids=["8 bits", "16 bits"])
def test_reading_the_largest_image_adds_less_than_750_megabytes(tmp_path: Path, kind: type) -> None:
    colours = np.broadcast_to(np.arange(18, dtype=kind).reshape(6, 1, 3), (6, 6_666, 3))
    rows = np.ascontiguousarray(np.tile(colours, (1_000, 1, 1)))
    path = tmp_path / "large.tif"
    tifffile.imwrite(path, rows, photometric="rgb", compression="zlib")
    del rows
    told = subprocess.run([sys.executable, "-c", READING, path], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["3", "6000", "6666"]
    assert int(told.stderr) < 750


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF"])
def test_several_pictures_in_one_file_are_refused(tmp_path: Path, kind: str) -> None:
    frames = [Pillow.fromarray(noise(np.uint8)), Pillow.fromarray(255 - noise(np.uint8))]
    path = saved(tmp_path, encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    with pytest.raises(UnreadableImageError if kind == "GIF" else SeveralPagesError):
        read_image(path)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, 200.0, float("nan"), float("inf")])
def test_floats_outside_0_to_1_are_refused(tmp_path: Path, wrong: float) -> None:
    values = noise(np.float32)
    values[3, 5] = wrong
    with pytest.raises(ValueRangeError, match="from 0 "):
        read_image(saved(tmp_path, tiff(values), "image.tif"))


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.complex64])
def test_other_kinds_of_numbers_are_refused(tmp_path: Path, dtype: Any) -> None:
    with pytest.raises(UnsupportedPixelsError, match="8-bit or 16-bit PNG"):
        read_image(saved(tmp_path, tiff(np.zeros((16, 16), dtype)), "image.tif"))


def test_a_volume_in_a_tiff_is_refused(tmp_path: Path) -> None:
    volume = np.zeros((9, 32, 32), np.uint8)
    content = tiff(volume, photometric="minisblack", planarconfig="separate")
    with pytest.raises(ImageError):
        read_image(saved(tmp_path, content, "image.tif"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"not an image, but text", "it is text"),
        (b"GIF89a\1\0", "it looks like a GIF"),
        (b"PK\3\4\0\0", "weights of PyTorch"),
        (b'\x20\1\0\0\0\0\0\0{"__metadata__"', "it looks like a detector"),
        (b"\0\1\2\3", "its content is in another format"),
    ],
)
def test_what_is_no_image_is_told_apart_from_damage(tmp_path: Path, content: bytes, found: str) -> None:
    with pytest.raises(NotAnImageError, match=rf"image\.png is no image .*: .*{found}.*\n.*\nCheck the path"):
        read_image(saved(tmp_path, content))


def test_a_path_without_a_file_is_no_damage(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.png"):
        with pytest.raises(UnreadableImageError, match=r"Cannot open .*\n.*\nCheck the path"):
            read_image(path)


@pytest.mark.parametrize("content", [b"", b"BM", b"II*\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    path = saved(tmp_path, content)
    for read in (read_image, read_mask, image_size):
        with pytest.raises(UnreadableImageError, match=r"image\.png: .+\.\nExpected a complete PNG"):
            read(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(UnreadableImageError, match=str(path)):
            read_image(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_half_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    content = encoded(noise(np.uint8, 3), kind)
    with pytest.raises(UnreadableImageError):
        read_image(saved(tmp_path, content[: len(content) * 3 // 4]))


SEEDS = [
    encoded(noise(np.uint8, 3), "PNG"),
    png(noise(np.uint16, 3)),
    encoded(noise(np.uint8, 3), "JPEG"),
    encoded(noise(np.uint8), "BMP"),
    tiff(noise(np.uint16, 3), compression="deflate"),
    encoded(noise(np.uint8, 3), "TIFF", compression="tiff_lzw"),
]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.data(),
)
def test_a_damaged_file_is_read_or_named_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, seed: bytes, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    content = bytearray(seed[: data.draw(st.integers(0, len(seed)))])
    for position, value in changes:
        if position < len(content):
            content[position] = value
    path = saved(tmp_path_factory.getbasetemp(), bytes(content), "damaged")
    try:
        image = read_image(path)
    except FlawtraceError:
        return
    assert image.shape[0] == 3
    assert 0 <= image.min() <= image.max() <= 1


def test_a_warning_of_the_decoder_does_not_leak(tmp_path: Path) -> None:
    content = bytearray(encoded(noise(np.uint8, 3), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\0broken"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_image(saved(tmp_path, bytes(content)))
    assert not caught


@pytest.mark.parametrize(
    ("dtype", "below", "at"), [(np.uint8, 127, 128), (np.uint16, 32767, 32768), (np.float32, 0.49, 0.5)]
)
def test_a_mask_starts_at_half_of_the_full_range(tmp_path: Path, dtype: Any, below: float, at: float) -> None:
    values = np.full((16, 16), below, dtype)
    values[4, 7] = at
    assert read_mask(saved(tmp_path, tiff(values))).nonzero().tolist() == [[4, 7]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_of_zeros_and_ones_counts(tmp_path: Path, dtype: Any) -> None:
    values = np.zeros((16, 16), dtype)
    values[4, 7] = 1
    assert read_mask(saved(tmp_path, png(values))).nonzero().tolist() == [[4, 7]]


def test_a_black_mask_marks_nothing(tmp_path: Path) -> None:
    assert not read_mask(saved(tmp_path, png(np.zeros((16, 16), np.uint8)))).any()


def test_a_mask_in_any_colour_or_in_one_bit_counts(tmp_path: Path) -> None:
    drawn = Pillow.new("RGB", (16, 16))
    drawn.putpixel((7, 4), (255, 0, 0))
    one_bit = drawn.convert("L").point(lambda value: 255 * (value > 0)).convert("1")
    for picture in (drawn, drawn.quantize(2), one_bit):
        assert read_mask(saved(tmp_path, encoded(picture, "PNG"))).nonzero().tolist() == [[4, 7]]


@given(st.integers(16, 90), st.integers(16, 90), st.integers(16, 90))
def test_fitting_keeps_the_range_and_fitting_twice_is_fitting_once(
    height: int, width: int, side: int
) -> None:
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0)).round()
    fitted = fit(image, side)
    assert fitted.shape == (3, side, side)
    assert 0 <= fitted.min() <= fitted.max() <= 1
    assert torch.equal(fit(fitted, side), fitted)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(64).expand(3, 128, 128)
    assert torch.allclose(fit(stripes, 32), torch.tensor(0.5), atol=0.1)


@given(st.integers(16, 90), st.integers(1, 4))
def test_an_enlarged_mask_shrinks_back_to_itself(side: int, factor: int) -> None:
    mask = torch.rand(side, side, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.equal(fit_mask(fit_mask(mask, side * factor), side), mask)


def test_what_is_written_is_read_again(tmp_path: Path, rng: torch.Generator) -> None:
    values, mask = torch.rand(20, 30, generator=rng), torch.rand(20, 30, generator=rng) > 0.5
    image = (torch.rand(3, 20, 30, generator=rng) * 255).round() / 255
    write_map(tmp_path / "map.tiff", values * 7 - 3)
    write_mask(tmp_path / "mask.png", mask)
    write_picture(tmp_path / "image.png", as_picture(image))
    assert torch.equal(torch.from_numpy(tifffile.imread(tmp_path / "map.tiff")), values * 7 - 3)
    assert torch.equal(read_mask(tmp_path / "mask.png"), mask)
    assert torch.equal(read_image(tmp_path / "image.png"), image)


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_mask(tmp_path / "file" / "mask.png", torch.zeros(16, 16, dtype=torch.bool))


def test_an_overlay_without_heat_is_the_image(rng: torch.Generator) -> None:
    image = torch.rand(3, 32, 32, generator=rng)
    assert torch.equal(overlay(image, torch.zeros(32, 32), threshold=0.5), as_picture(image))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_an_overlay_outlines_the_region_from_outside_at_any_scale(scale: float) -> None:
    anomaly_map = torch.zeros(32, 32)
    anomaly_map[10:14, 10:14] = 2 * scale
    drawn = overlay(torch.full((3, 32, 32), 0.5), anomaly_map, threshold=scale)
    line = (drawn == OUTLINE).all(dim=-1)
    around = torch.zeros(32, 32, dtype=torch.bool)
    around[9:15, 9:15] = True
    around[10:14, 10:14] = False
    assert torch.equal(line, around)


@pytest.mark.parametrize("threshold", [-1.0, 0.0, float("inf")])
def test_an_overlay_can_be_painted_for_any_threshold(rng: torch.Generator, threshold: float) -> None:
    image = torch.rand(3, 32, 32, generator=rng)
    assert overlay(image, torch.randn(32, 32, generator=rng), threshold).shape == (32, 32, 3)


def test_an_overlay_is_painted_alike_from_band_to_band(rng: torch.Generator) -> None:
    image, anomaly_map = torch.rand(3, 2 * BAND + 40, 20, generator=rng), torch.rand(2 * BAND + 40, 20)
    whole, part = overlay(image, anomaly_map, 2.0), overlay(image[:, BAND:], anomaly_map[BAND:], 2.0)
    assert whole[BAND:].equal(part)


def test_a_region_that_fills_the_image_is_outlined_along_the_edge() -> None:
    assert outline(torch.ones(20, 20, dtype=torch.bool), 1).sum() == 4 * 19


def test_the_same_picture_has_one_digest_in_any_format(tmp_path: Path) -> None:
    values = noise(np.uint8, 3)
    contents = [
        encoded(values, "PNG"),
        encoded(values, "BMP"),
        tiff(values),
        png(values.astype(np.uint16) * 257),
    ]
    assert len({digest(read_image(saved(tmp_path, content))) for content in contents}) == 1


def test_one_grey_level_or_another_shape_changes_the_digest(tmp_path: Path) -> None:
    values = noise(np.uint8)
    changed = values.copy()
    changed[5, 5] ^= 1
    pictures = [
        read_image(saved(tmp_path, png(each))) for each in (values, changed, values.reshape(WIDTH, HEIGHT))
    ]
    assert len({digest(picture) for picture in pictures}) == 3
    assert len(digest(pictures[0])) == 16
