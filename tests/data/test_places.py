"""Folders are known by the names that plants give them."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flawtrace.data import Named, read_category
from flawtrace.data.errors import (
    MaskSizeError,
    MisplacedMasksError,
    UnclearFoldersError,
    UnlikeMasksError,
)
from flawtrace.data.folders import survey
from flawtrace.data.inspection import inspect
from flawtrace.data.masks import mask_of
from flawtrace.data.places import DEFECTS, MASK_SUFFIXES, MASKS, NORMAL


def paint(path: Path, side: int = 32, mark: tuple[int, int] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((side, side), np.uint8) + (0 if mark else 90)
    if mark:
        pixels[mark[0] : mark[0] + 4, mark[1] : mark[1] + 4] = 255
    Image.fromarray(pixels).save(path)
    return path


def plant(
    root: Path, normal: str = "normal", defects: str = "defects", masks: str = "masks", suffix: str = ""
) -> Path:
    for index in range(6):
        paint(root / normal / f"n{index}.png")
    for index in range(2):
        paint(root / defects / "dent" / f"{index}.png")
        paint(root / masks / "dent" / f"{index}{suffix}.png", mark=(4, 4))
    return root


cases = st.sampled_from([str.lower, str.upper, str.title])
names = st.tuples(*(st.sampled_from(sorted(some)) for some in (NORMAL, DEFECTS, MASKS)))


@given(names, cases, st.sampled_from(["", *MASK_SUFFIXES]), cases)
def test_what_folders_and_masks_are_called_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    called: tuple[str, ...],
    case: object,
    suffix: str,
    ending: object,
) -> None:
    root = tmp_path_factory.mktemp("plant")
    found = read_category(plant(root, *(case(name) for name in called), suffix=ending(suffix)))
    usual = read_category(plant(tmp_path_factory.mktemp("usual")))
    for part in ("normal", "test_normal", "anomalous"):
        assert [s.image.name for s in getattr(found, part)] == [s.image.name for s in getattr(usual, part)]
    assert all(sample.mask is not None for sample in found.anomalous)
    shutil.rmtree(root)


def test_two_folders_that_could_be_normal_are_asked_about(tmp_path: Path) -> None:
    plant(tmp_path)
    paint(tmp_path / "OK/1.png")
    with pytest.raises(UnclearFoldersError, match="--normal"):
        read_category(tmp_path)
    assert len(read_category(tmp_path, Named(normal=Path("OK"))).normal) == 1


def test_a_folder_whose_name_says_nothing_is_asked_about_and_can_be_named(tmp_path: Path) -> None:
    plant(tmp_path, defects="wrong")
    with pytest.raises(UnclearFoldersError, match=r"wrong/.*\n.*\n.*--defects wrong"):
        read_category(tmp_path)
    assert len(read_category(tmp_path, Named(defects=Path("wrong"))).anomalous) == 2


def test_classes_in_folders_of_their_own_are_read_when_told_so(tmp_path: Path) -> None:
    plant(tmp_path, normal="Free", defects=".", masks="gt")
    assert set(read_category(tmp_path, Named(defects=Path())).defect_types) == {"dent"}


def test_nothing_but_images_of_good_parts_is_a_product(tmp_path: Path) -> None:
    for index in range(5):
        paint(tmp_path / f"{index}.png")
    found = read_category(tmp_path)
    assert (len(found.normal), len(found.test_normal), found.anomalous) == (4, 1, ())


def test_masks_beside_images_are_not_taken_as_good_parts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        paint(tmp_path / f"{name}.png")
        paint(tmp_path / f"{name}_mask.png", mark=(4, 4) if name == "a" else (40, 40))
    found = read_category(tmp_path)
    assert [sample.image.name for sample in found.normal] == ["b.png"]
    assert [sample.image.name for sample in found.anomalous] == ["a.png"]


@pytest.mark.parametrize("masks", [["0_1.png", "0_2.png"], ["0/000.png", "0/001.png"]])
def test_one_mask_for_each_defect_makes_one_mask(tmp_path: Path, masks: list[str]) -> None:
    plant(tmp_path)
    (tmp_path / "masks/dent/0.png").unlink()
    for place, name in enumerate(masks):
        paint(tmp_path / "masks/dent" / name, mark=(4, 4 + 10 * place))
    first = read_category(tmp_path).anomalous[0]
    assert len(first.more_masks) == 1
    assert mask_of(first).sum() == 32


def test_masks_of_one_image_must_be_alike_in_size(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "masks/dent/0.png").unlink()
    paint(tmp_path / "masks/dent/0_1.png", mark=(4, 4))
    paint(tmp_path / "masks/dent/0_2.png", side=40, mark=(4, 4))
    with pytest.raises(UnlikeMasksError, match="differ in size"):
        read_category(tmp_path)


def test_defects_without_a_mask_are_kept_apart_and_told_once(tmp_path: Path) -> None:
    plant(tmp_path)
    for index in range(3):
        paint(tmp_path / f"defects/dent/x{index}.png")
    found = read_category(tmp_path)
    assert (len(found.anomalous), len(found.unmasked)) == (2, 3)
    told = [line for line in inspect(tmp_path).warnings if "without a mask" in line]
    assert len(told) == 1
    assert "and 2 more" in told[0]


def test_masks_among_normal_images_are_refused(tmp_path: Path) -> None:
    plant(tmp_path)
    paint(tmp_path / "normal/n0_mask.png")
    with pytest.raises(MisplacedMasksError, match=r"n0_mask.png"):
        read_category(tmp_path)


def test_pixels_to_ignore_belong_to_their_image(tmp_path: Path) -> None:
    plant(tmp_path)
    paint(tmp_path / "ignored/dent/1.png", mark=(0, 0))
    assert [sample.ignored for sample in read_category(tmp_path).anomalous] == [
        None,
        tmp_path / "ignored/dent/1.png",
    ]


def test_normal_images_of_which_pixels_are_ignored_are_known(tmp_path: Path) -> None:
    plant(tmp_path)
    paint(tmp_path / "ignored/normal/n0.png", mark=(0, 0))
    found = survey(tmp_path)
    normal = {sample.image.stem: sample.ignored for sample in found.category.normal}
    assert normal.pop("n0") == tmp_path / "ignored/normal/n0.png"
    assert not any(normal.values())
    assert found.ignored == ()


def test_a_mask_of_ignored_pixels_has_the_size_of_its_image(tmp_path: Path) -> None:
    plant(tmp_path)
    paint(tmp_path / "ignored/dent/1.png", side=30)
    with pytest.raises(MaskSizeError, match=r"ignored/dent/1\.png"):
        read_category(tmp_path)


def test_normal_images_for_validation_are_for_testing(tmp_path: Path) -> None:
    for name in ("train/good", "validation/good", "test/good"):
        paint(tmp_path / name / f"{name[:2]}.png")
    found = survey(tmp_path)
    assert [sample.image.name for sample in found.category.test_normal] == ["va.png", "te.png"]
    assert not found.ignored


def test_inspection_says_what_it_takes_for_what(tmp_path: Path) -> None:
    plant(tmp_path, "OK", "ng", "gt", "_GT")
    assert inspect(tmp_path).seen == "normal images in OK/; images of defects in ng/; masks in gt/"


def test_the_order_of_files_on_disk_changes_nothing(tmp_path: Path) -> None:
    made = list(range(12))
    random.Random(3).shuffle(made)
    for index in made:
        paint(tmp_path / "ok" / f"{index}.png")
    assert [int(s.image.stem) for s in read_category(tmp_path).normal] == sorted(
        int(s.image.stem) for s in read_category(tmp_path).normal
    )
