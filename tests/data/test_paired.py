"""Images that are sorted by what their masks show, into train, val and test or not at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawtrace.data import read_category
from flawtrace.data.errors import MisplacedMasksError, UnlabelledError
from flawtrace.data.folders import survey
from flawtrace.data.inspection import inspect
from flawtrace.data.splits import draw_available

Naming = Callable[[str, str], tuple[str, str]]
"""From a part and a name to the paths of an image and its mask."""


def photograph(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(path.as_posix().encode())
    Image.fromarray(np.random.default_rng(seed).integers(50, 200, (32, 32), np.uint8)).save(path)
    return path


def drawing(path: Path, marked: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((32, 32), np.uint8)
    pixels[4:8, 4:8] = 255 * marked
    Image.fromarray(pixels).save(path)
    return path


def product(root: Path, naming: Naming, parts: tuple[str, ...]) -> Path:
    """Six images for each part; every other shows a defect."""
    for part in parts:
        for index in range(6):
            image, mask = naming(part, f"{part}{index}")
            photograph(root / image)
            drawing(root / mask, marked=index % 2 == 1)
    return root


IN_FOLDERS: tuple[Naming, ...] = (
    lambda part, name: (f"{part}/images/{name}.png", f"{part}/masks/{name}.png"),
    lambda part, name: (f"images/{part}/{name}.png", f"masks/{part}/{name}_mask.png"),
    lambda part, name: (f"{part}/{name}.jpg", f"{part}/{name}.png"),
    lambda part, name: (f"{part}/{name}.png", f"{part}/{name}_label.bmp"),
)
FLAT: tuple[Naming, ...] = (
    lambda _, name: (f"images/{name}.png", f"gt/{name}.png"),
    lambda _, name: (f"{name}.jpg", f"{name}.png"),
    lambda _, name: (f"{name}.png", f"{name}_1.png"),
)


@pytest.mark.parametrize("naming", IN_FOLDERS)
def test_an_empty_mask_says_that_an_image_is_normal_and_parts_stay_apart(
    naming: Naming, tmp_path: Path
) -> None:
    found = read_category(product(tmp_path, naming, ("train", "val", "test")))
    assert [sample.image.stem for sample in found.normal] == ["train0", "train2", "train4"]
    assert [sample.image.stem for sample in found.anomalous] == ["train1", "train3", "train5"]
    assert {sample.image.stem[:-1] for sample in found.test_normal} == {"val", "test"}
    assert {sample.image.stem[:-1] for sample in found.test_anomalous} == {"val", "test"}
    assert all(sample.mask for sample in found.anomalous + found.test_anomalous)
    assert survey(tmp_path).ignored == ()


@pytest.mark.parametrize("naming", FLAT)
def test_without_parts_a_fifth_of_the_normal_images_is_kept_for_testing(
    naming: Naming, tmp_path: Path
) -> None:
    found = read_category(product(tmp_path, naming, ("a", "b")))
    assert (len(found.normal), len(found.test_normal), len(found.anomalous)) == (5, 1, 6)
    assert found.test_anomalous == ()


def test_labels_are_drawn_from_the_part_for_training_alone(tmp_path: Path) -> None:
    category = read_category(product(tmp_path, IN_FOLDERS[0], ("train", "test")))
    split = draw_available(category, 2, seed=0)
    assert {sample.image.stem[:-1] for sample in split.labelled} == {"train"}
    assert sum(sample.anomalous for sample in split.test) == 1 + 3


@pytest.mark.parametrize(
    ("naming", "ignored"),
    [(IN_FOLDERS[0], "train/ignored"), (IN_FOLDERS[1], "ignored/train"), (IN_FOLDERS[2], "train/ignored")],
)
def test_pixels_to_ignore_belong_to_their_image(naming: Naming, ignored: str, tmp_path: Path) -> None:
    product(tmp_path, naming, ("train",))
    for name in ("train0", "train1"):
        drawing(tmp_path / ignored / f"{name}.png", marked=True)
    found = read_category(tmp_path)
    with_ignored = [sample for sample in found.samples if sample.ignored]
    assert {(sample.image.stem, sample.anomalous) for sample in with_ignored} == {
        ("train0", False),
        ("train1", True),
    }
    assert survey(tmp_path).ignored == ()


def test_sub_folders_are_types_of_defects(tmp_path: Path) -> None:
    for kind, marked in (("dent", True), ("good", False)):
        photograph(tmp_path / f"train/images/{kind}/0.png")
        if marked:
            drawing(tmp_path / f"train/masks/{kind}/0.png", marked)
    found = read_category(tmp_path)
    assert (len(found.normal), set(found.defect_types)) == (1, {"dent"})


@pytest.mark.parametrize("marked", [True, False], ids=["side by side", "good parts alone"])
@pytest.mark.parametrize("region", ["region.png", "region.json"])
def test_a_region_of_interest_is_neither_an_image_nor_a_label(
    region: str, marked: bool, tmp_path: Path
) -> None:
    for index in range(6):
        photograph(tmp_path / f"{index}.jpg")
        if marked:
            drawing(tmp_path / f"{index}.png", marked=index % 2 == 1)
    if region == "region.png":
        drawing(tmp_path / region, marked=True)
    else:
        (tmp_path / region).write_text('{"size": [32, 32], "polygons": [[[4, 4], [4, 8], [8, 8], [8, 4]]]}')
    found = read_category(tmp_path)
    images = {sample.image.name for sample in found.samples}
    assert images == {f"{index}.jpg" for index in range(6)}
    assert region not in inspect(tmp_path).ignored


def test_an_image_without_a_mask_among_those_that_have_one_is_asked_about(tmp_path: Path) -> None:
    product(tmp_path, IN_FOLDERS[0], ("train",))
    (tmp_path / "train/masks/train0.png").unlink()
    with pytest.raises(
        UnlabelledError, match=r"train0\.png.*\n.*empty \(black\).*\n.*--unlabelled-are-normal"
    ):
        read_category(tmp_path)


def test_inspection_names_each_part_and_counts_it(tmp_path: Path) -> None:
    found = inspect(product(tmp_path, IN_FOLDERS[0], ("train", "test")))
    assert "images for testing in test/images/, masks in test/masks/" in found.seen
    assert (found.ok, found.normal, found.test_normal, found.defects["defect"].images) == (True, 3, 3, 6)


def test_masks_of_the_same_name_among_normal_images_are_refused_and_not_counted(tmp_path: Path) -> None:
    for index in range(4):
        photograph(tmp_path / f"normal/{index}.jpg")
        drawing(tmp_path / f"normal/{index}.png", marked=False)
    with pytest.raises(MisplacedMasksError, match="and 3 more"):
        read_category(tmp_path)
    found = inspect(tmp_path)
    assert found.normal + found.test_normal == 4


def test_masks_beside_images_of_defects_are_their_masks(tmp_path: Path) -> None:
    photograph(tmp_path / "normal/0.png")
    photograph(tmp_path / "defects/dent/1.jpg")
    drawing(tmp_path / "defects/dent/1.png", marked=True)
    found = read_category(tmp_path)
    assert [(s.image.name, s.mask and s.mask.name) for s in found.anomalous] == [("1.jpg", "1.png")]
    assert found.unmasked == ()


def test_a_folder_with_a_word_for_normal_in_its_name_is_proposed(tmp_path: Path) -> None:
    photograph(tmp_path / "MT_Free/0.png")
    photograph(tmp_path / "MT_Crack/0.png")
    assert "--normal MT_Free --defects ." in inspect(tmp_path).problems[0]
