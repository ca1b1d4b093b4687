"""One picture is one tensor, whichever way a program hands it over; what is no picture is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from flawtrace.pictures.arrays import AnyPicture, image_of, images_of
from flawtrace.pictures.errors import (
    ImageTooSmallError,
    NotAPictureError,
    NotPicturesError,
    UnsupportedPixelsError,
)
from flawtrace.pictures.images import read_image

sizes = st.tuples(st.integers(16, 40), st.integers(16, 40))
seeds = st.integers(0, 99)


def colours(size: tuple[int, int], seed: int, kind: Any = np.uint8) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(kind).max, (*size, 3), dtype=kind, endpoint=True)


@given(sizes, seeds)
def test_a_colour_picture_is_the_same_bits_through_every_door(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], seed: int
) -> None:
    pixels = colours(size, seed)
    file = tmp_path_factory.mktemp("doors") / "picture.png"
    Pillow.fromarray(pixels).save(file)
    expected = read_image(file)
    opaque = np.dstack([pixels, np.full(size, 255, np.uint8)])
    doors: list[AnyPicture] = [
        str(file),
        file,
        Pillow.open(file),
        Pillow.fromarray(pixels),
        Pillow.fromarray(opaque),
        pixels,
        opaque,
        pixels[:, ::-1].copy()[:, ::-1],
        np.moveaxis(pixels, -1, 0),
        pixels / 255,
        (pixels / 255).astype(np.float32),
        torch.from_numpy(pixels),
        torch.from_numpy(pixels).permute(2, 0, 1),
        torch.from_numpy(pixels / 255),
        expected,
        expected.permute(1, 2, 0),
    ]
    assert all(torch.equal(image_of(door), expected) for door in doors)
    flipped: list[AnyPicture] = [pixels[..., ::-1], np.moveaxis(pixels[..., ::-1], -1, 0), expected.flip(0)]
    assert all(torch.equal(image_of(door, "bgr"), expected) for door in flipped)
    with_alpha = np.dstack([pixels[..., ::-1], opaque[..., 3]])
    assert torch.equal(image_of(with_alpha, "bgr"), expected)


@given(sizes, seeds, st.sampled_from([np.uint8, np.uint16]))
def test_a_grey_picture_is_the_same_bits_through_every_door(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], seed: int, kind: Any
) -> None:
    grey = colours(size, seed, kind)[..., 0]
    file = tmp_path_factory.mktemp("doors") / "grey.png"
    Pillow.fromarray(grey).save(file)
    expected = read_image(file)
    white = np.iinfo(kind).max
    doors = [file, Pillow.open(file), Pillow.fromarray(grey), grey, grey[..., None], grey[None], grey / white]
    tensors = [torch.from_numpy(grey), torch.from_numpy(grey)[None], torch.from_numpy(grey / white)]
    assert all(torch.equal(image_of(door), expected) for door in [*doors, *tensors])
    assert torch.equal(image_of(grey, "bgr"), expected)


def test_sixteen_bits_keep_all_of_them() -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert torch.equal(image_of(pixels), image_of(pixels / 65535))
    assert len(image_of(pixels).unique()) == 65536


def test_pillow_that_would_drop_half_of_the_bits_is_not_asked(tmp_path: Path) -> None:
    deep = tmp_path / "deep.tiff"
    pixels = colours((16, 20), 0, np.uint16)
    tifffile.imwrite(deep, pixels, photometric="rgb")
    assert torch.equal(image_of(deep), image_of(pixels))
    with Pillow.open(deep) as opened, pytest.raises(UnsupportedPixelsError, match="pass the path"):
        image_of(opened)


def test_a_turned_photograph_is_upright_from_pillow_too(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    for name in ("turned.jpg", "turned.tiff"):
        Pillow.fromarray(colours((20, 30), 0)).save(tmp_path / name, exif=exif)
        opened, loaded = Pillow.open(tmp_path / name), Pillow.open(tmp_path / name)
        loaded.load()
        assert image_of(opened).shape == (3, 30, 20)
        assert torch.equal(image_of(opened), read_image(tmp_path / name))
        assert torch.equal(image_of(loaded), read_image(tmp_path / name))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "P", "CMYK", "YCbCr", "HSV"])
def test_every_mode_of_pillow_has_its_colours(mode: str) -> None:
    picture = Pillow.fromarray(colours((20, 20), 0)).convert(mode)
    expected = image_of(np.asarray(picture.convert("RGB")))
    assert torch.equal(image_of(picture), expected)


def test_floats_that_rounding_pushed_over_the_edge_are_taken() -> None:
    pixels = np.full((16, 16), 1 + 1e-6, np.float32)
    pixels[0] = -1e-6
    image = image_of(pixels)
    assert (image.min(), image.max()) == (0, 1)


noise = np.random.default_rng(0).random((32, 40, 3))
WRONG: dict[str, tuple[Any, str]] = {
    "floats to 255": (noise * 255, r"from .* to 25.*\n.*\nDivide by 255, or pass whole numbers"),
    "floats to 4095": (noise * 4095, "Divide by 65535"),
    "normalised": (noise - 0.5, "Undo the normalisation"),
    "not a number": (np.where(noise > 0.5, np.nan, noise), "not finite"),
    "infinite": (np.where(noise > 0.5, np.inf, noise), "not finite"),
    "bool": (noise > 0.5, "looks like a mask"),
    "int64": ((noise * 255).astype(np.int64), r"int64, shape \(32, 40, 3\)\.\n.*\n.*astype\('uint8'\)"),
    "tensor of int32": (torch.zeros(3, 20, 20, dtype=torch.int32), r"int32, shape \(3, 20, 20\)"),
    "complex": (noise * 1j, "complex128"),
    "empty": (np.zeros((0, 40, 3), np.uint8), "nothing in it"),
    "channels on both ends": (np.zeros((3, 40, 3), np.uint8), r"shape \(3, 40, 3\)"),
    "two channels": (np.zeros((40, 40, 2), np.uint8), r"shape \(40, 40, 2\)"),
    "many channels": (np.zeros((40, 40, 31), np.uint8), r"shape \(40, 40, 31\)"),
    "tiny": (np.zeros((8, 8, 3), np.uint8), "at least 16 pixels"),
    "a line": (np.zeros(400, np.uint8), r"shape \(400,\)"),
    "a batch": (np.zeros((2, 32, 32, 3), np.uint8), "predict_all"),
    "nothing": (None, "cv2.imread"),
    "a list": ([noise], "predict_all"),
    "bytes": (b"\x89PNG", "bytes"),
    "a number": (3.5, "float"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_picture_is_named_with_what_is_wanted(wrong: str, request: Any) -> None:
    picture, said = WRONG[wrong]
    with pytest.raises(NotAPictureError, match=said) as raised:
        unchecked(image_of)(picture)
    assert "Expected a path, a picture of Pillow, or a NumPy array" in str(raised.value)


def test_an_unknown_order_is_named() -> None:
    with pytest.raises(NotAPictureError, match="order='bgr'"):
        unchecked(image_of)(noise, "BGR")


def test_a_small_picture_of_pillow_is_refused_as_a_file_is() -> None:
    with pytest.raises(ImageTooSmallError):
        image_of(Pillow.new("RGB", (10, 100)))


def test_several_are_each_as_alone() -> None:
    batch = np.stack([colours((20, 30), seed) for seed in range(3)])
    alone = [image_of(one) for one in batch]
    for several in (batch, torch.from_numpy(batch), list(batch), iter(batch)):
        assert all(map(torch.equal, images_of(several), alone))


@pytest.mark.parametrize("one", ["part.png", Path("part.png"), noise, torch.zeros(3, 20, 20), 7])
def test_one_picture_is_not_several(one: Any) -> None:
    with pytest.raises(NotPicturesError, match="put it into a list"):
        unchecked(images_of)(one)


def unchecked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Without the checks of types that only tests have: programs hand over anything."""
    found: Callable[..., Any] = getattr(function, "__wrapped__", function)
    return found
