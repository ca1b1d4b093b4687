from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from flawtrace.pictures.errors import UnknownTextureError
from flawtrace.pictures.synthetic import PAINTERS, TEXTURES, make_dataset, render_defect

each_type = pytest.mark.parametrize("defect_type", ["scratch", "hole", "stain"])
each_size = pytest.mark.parametrize("shape", [(64, 64), (256, 256), (96, 160), (80, 64, 3)])
each_seed = pytest.mark.parametrize("seed", range(5))


def small(root: Path, seed: int = 0, texture: str = "brick", num_normal: int = 3) -> Path:
    return make_dataset(
        root, seed, texture, side=64, num_normal=num_normal, num_test_normal=2, num_per_type=2
    )


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def calm(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).normal(0.45, 0.02, shape)


def test_the_folders_are_those_of_mvtec(tmp_path: Path) -> None:
    assert sorted(contents(small(tmp_path))) == [
        "ground_truth/hole/000_mask.png",
        "ground_truth/hole/001_mask.png",
        "ground_truth/scratch/000_mask.png",
        "ground_truth/scratch/001_mask.png",
        "ground_truth/stain/000_mask.png",
        "ground_truth/stain/001_mask.png",
        "test/good/000.png",
        "test/good/001.png",
        "test/hole/000.png",
        "test/hole/001.png",
        "test/scratch/000.png",
        "test/scratch/001.png",
        "test/stain/000.png",
        "test/stain/001.png",
        "train/good/000.png",
        "train/good/001.png",
        "train/good/002.png",
    ]


def test_the_returned_folder_is_the_given_one(tmp_path: Path) -> None:
    assert small(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    assert contents(small(tmp_path / "a", seed=3)) == contents(small(tmp_path / "b", seed=3))


def test_another_seed_writes_other_images(tmp_path: Path) -> None:
    first, second = contents(small(tmp_path / "a", seed=3)), contents(small(tmp_path / "b", seed=4))
    assert all(first[name] != second[name] for name in first)


def test_no_two_images_of_a_dataset_are_the_same(tmp_path: Path) -> None:
    written = contents(small(tmp_path))
    assert len(set(written.values())) == len(written)


def test_a_larger_dataset_begins_with_the_smaller_one(tmp_path: Path) -> None:
    fewer, more = contents(small(tmp_path / "a")), contents(small(tmp_path / "b", num_normal=5))
    assert len(more) == len(fewer) + 2
    assert fewer.items() <= more.items()


@pytest.mark.parametrize("texture", TEXTURES)
def test_every_file_is_an_8_bit_grey_png_of_the_asked_size(tmp_path: Path, texture: str) -> None:
    for path in small(tmp_path, texture=texture).rglob("*.png"):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (64, 64))


def test_every_mask_is_black_and_white_not_empty_and_below_a_third(tmp_path: Path) -> None:
    for path in (small(tmp_path) / "ground_truth").rglob("*.png"):
        mask = np.asarray(Image.open(path))
        assert set(np.unique(mask)) == {0, 255}
        assert 0 < (mask == 255).mean() < 1 / 3


def test_training_never_sees_the_half_of_the_photograph_that_tests_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = np.hstack([np.full((512, 256), 30, np.uint8), np.full((512, 256), 220, np.uint8)])
    monkeypatch.setitem(TEXTURES, "brick", lambda: halves)
    root = small(tmp_path)
    assert all(np.asarray(Image.open(path)).max() < 90 for path in root.glob("train/*/*.png"))
    assert all(np.asarray(Image.open(path)).min() > 150 for path in root.glob("test/good/*.png"))


def test_an_unknown_texture_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownTextureError, match="brick, grass, gravel"):
        make_dataset(tmp_path, texture="marble")
    assert not contents(tmp_path)


def test_an_unknown_defect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="scratch, hole, stain"):
        render_defect(calm((64, 64)), "dent", np.random.default_rng(0))


def test_the_tests_cover_every_defect_type() -> None:
    assert set(PAINTERS) == {"scratch", "hole", "stain"}


@each_type
@each_size
@each_seed
def test_a_defect_marks_some_of_the_image_and_less_than_a_third(
    defect_type: str, shape: tuple[int, ...], seed: int
) -> None:
    image, mask = render_defect(calm(shape), defect_type, np.random.default_rng(seed))
    assert image.shape == shape
    assert mask.shape == shape[:2]
    assert 0 < mask.mean() < 1 / 3


@each_type
@each_size
@each_seed
def test_a_defect_changes_its_mask_and_hardly_anything_else(
    defect_type: str, shape: tuple[int, ...], seed: int
) -> None:
    before = calm(shape)
    after, mask = render_defect(before, defect_type, np.random.default_rng(seed))
    change = np.abs(after - before)
    beyond = ~binary_dilation(mask, iterations=3)
    assert change[mask].mean() > 0.03
    assert change[beyond].max() < 0.05
    assert change[beyond].mean() < 0.002


@each_type
def test_a_rendered_image_stays_in_its_range_and_type(defect_type: str) -> None:
    for level in (0.0, 1.0):
        before = np.full((64, 64), level, np.float32)
        after, _ = render_defect(before, defect_type, np.random.default_rng(0))
        assert after.dtype == np.float32
        assert 0 <= after.min() <= after.max() <= 1


@each_type
def test_rendering_leaves_the_given_image_as_it_was(defect_type: str) -> None:
    before = calm((64, 64))
    kept = before.copy()
    render_defect(before, defect_type, np.random.default_rng(0))
    assert np.array_equal(before, kept)


@each_type
def test_rendering_depends_on_nothing_but_the_generator(defect_type: str) -> None:
    first, again = (render_defect(calm((64, 64)), defect_type, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
