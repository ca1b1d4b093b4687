"""Masks are read as they were meant, or asked about."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawtrace.pictures.errors import TwoMeaningsError
from flawtrace.pictures.images import read_image
from flawtrace.pictures.mask_files import read_mask

SIDE = 24


def drawn(*values: int) -> np.ndarray:
    """A column of four pixels for each value, the rest 0."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    for place, value in enumerate(values):
        pixels[4:8, place] = value
    return pixels


@pytest.mark.parametrize("values", [(255,), (1,), (100, 255), (1, 2, 3), (7,), (128,)])
def test_any_value_but_black_is_a_defect(values: tuple[int, ...], tmp_path: Path) -> None:
    Image.fromarray(drawn(*values)).save(tmp_path / "m.png")
    assert int(read_mask(tmp_path / "m.png").sum()) == 4 * len(values)


def test_classes_beside_255_are_asked_about(tmp_path: Path) -> None:
    Image.fromarray(drawn(1, 255)).save(tmp_path / "m.png")
    with pytest.raises(TwoMeaningsError, match=r"1, 255.*\n.*\n.*voc"):
        read_mask(tmp_path / "m.png")


def test_smoothed_masks_are_cut_in_the_middle(tmp_path: Path) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "m.png")
    assert int(read_mask(tmp_path / "m.png").sum()) == 128


def test_in_a_palette_any_entry_but_the_first_counts_whatever_its_colour(tmp_path: Path) -> None:
    picture = Image.fromarray(drawn(1, 8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0] + [10] * 30)
    picture.save(tmp_path / "m.png")
    assert int(read_mask(tmp_path / "m.png").sum()) == 8


def test_a_defect_in_the_alpha_channel_is_found(tmp_path: Path) -> None:
    colours = np.full((SIDE, SIDE, 4), 255, np.uint8)
    colours[..., 3] = drawn(255)
    Image.fromarray(colours).save(tmp_path / "m.png")
    assert int(read_mask(tmp_path / "m.png").sum()) == 4


def test_an_alpha_channel_that_is_the_same_everywhere_says_nothing(tmp_path: Path) -> None:
    colours = np.repeat(drawn(255)[..., None], 4, axis=2)
    colours[..., 3] = 255
    Image.fromarray(colours).save(tmp_path / "m.png")
    assert int(read_mask(tmp_path / "m.png").sum()) == 4


def test_webp_is_read(tmp_path: Path) -> None:
    Image.fromarray(drawn(255)).save(tmp_path / "a.webp", lossless=True)
    Image.fromarray(drawn(255)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.webp").equal(read_image(tmp_path / "a.png"))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_compression_does_not_turn_white_into_black(compression: str | None, tmp_path: Path) -> None:
    values = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) * 100
    Image.fromarray(values).save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0})
    expected = (65535 - values.astype(np.float32)) / 65535
    assert np.allclose(read_image(tmp_path / "a.tif")[0].numpy(), expected, atol=1e-6)


def test_without_a_black_pixel_greys_are_cut_in_the_middle(tmp_path: Path) -> None:
    pixels = np.full((SIDE, SIDE), 10, np.uint8)
    pixels[4:8, 4:8] = 245
    Image.fromarray(pixels).save(tmp_path / "m.png")
    assert int(read_mask(tmp_path / "m.png").sum()) == 16


def test_one_value_all_over_is_a_defect_all_over(tmp_path: Path) -> None:
    Image.fromarray(np.ones((SIDE, SIDE), np.uint8)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").all()
