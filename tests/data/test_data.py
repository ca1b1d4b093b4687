"""Folders to samples: pairing by name, draws by seed, and a named error for each mistake."""

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from flawtrace.data.errors import (
    AmbiguousNameError,
    EmptyMaskError,
    MaskSizeError,
    MissingFolderError,
    NoNormalImagesError,
    StrayMaskError,
    TooFewImagesError,
    UnknownLayoutError,
)
from flawtrace.data.folders import read_category
from flawtrace.data.inspection import inspect
from flawtrace.data.samples import Category, Sample, natural
from flawtrace.data.splits import draw_available, draw_split, scarce
from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.errors import ImageTooSmallError, UnreadableImageError

SIDE = 16


def picture(path: Path, seed: int | None = None, side: int = SIDE, dtype: type = np.uint8) -> Path:
    """Noise by `seed`, or by the file's path so that no two files are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entropy = list(str(path).encode()) if seed is None else seed
    values = np.random.default_rng(entropy).integers(0, 255, (side, side)).astype(dtype)
    Pillow.fromarray(values).save(path)
    return path


def mask(path: Path, side: int = SIDE, rows: slice = slice(4, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((side, side), np.uint8)
    values[rows] = 255
    Pillow.fromarray(values).save(path)
    return path


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    """30 normal images, 4 normal ones for testing, 6 scratches and 5 dents."""
    for index in range(30):
        picture(tmp_path / f"train/good/{index}.png")
    for index in range(4):
        picture(tmp_path / f"test/good/{index}.png")
    for name, count in (("scratch", 6), ("dent", 5)):
        for index in range(count):
            picture(tmp_path / f"test/{name}/{index}.png")
            mask(tmp_path / f"ground_truth/{name}/{index}_mask.png")
    return tmp_path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """20 normal images, 5 defects in the folder itself and 5 scratches in a subfolder."""
    for index in range(20):
        picture(tmp_path / f"normal/{index}.png")
    for index in range(5):
        picture(tmp_path / f"defects/{index}.png")
        mask(tmp_path / f"masks/{index}.png")
        picture(tmp_path / f"defects/scratch/{index}.png")
        mask(tmp_path / f"masks/scratch/{index}_mask.png")
    return tmp_path


def names(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.image.name for sample in samples]


def made_up(counts: dict[str, int]) -> Category:
    anomalous = tuple(
        Sample(Path(f"{name}/{index}.png"), Path(f"{name}/{index}_mask.png"), name)
        for name, count in counts.items()
        for index in range(count)
    )
    normal = tuple(Sample(Path(f"good/{index}.png")) for index in range(3))
    return Category(Path("made-up"), "mvtec", normal[:2], normal[2:], anomalous)


def test_mvtec_folders_become_samples(mvtec: Path) -> None:
    category = read_category(mvtec)
    assert category.layout == "mvtec"
    assert (len(category.normal), len(category.test_normal)) == (30, 4)
    assert {name: len(samples) for name, samples in category.defect_types.items()} == {
        "dent": 5,
        "scratch": 6,
    }
    assert not any(sample.anomalous for sample in category.normal + category.test_normal)


def test_plain_folders_become_samples(plain: Path) -> None:
    category = read_category(plain)
    assert category.layout == "plain"
    assert (len(category.normal), len(category.test_normal)) == (16, 4)
    assert {name: len(samples) for name, samples in category.defect_types.items()} == {
        "defect": 5,
        "scratch": 5,
    }


@pytest.mark.parametrize("folder", ["mvtec", "plain"])
def test_each_mask_is_found_by_the_name_of_its_image(folder: str, request: pytest.FixtureRequest) -> None:
    for sample in read_category(request.getfixturevalue(folder)).anomalous:
        assert sample.mask is not None
        assert sample.mask.stem.removesuffix("_mask") == sample.image.stem
        assert (sample.mask.parent.name == "masks") == (sample.image.parent.name == "defects")


def test_a_mask_may_have_another_format_and_no_suffix(mvtec: Path) -> None:
    old = mvtec / "ground_truth/dent/3_mask.png"
    new = old.with_name("3.BMP")
    Pillow.open(old).save(new)
    old.unlink()
    assert new in {sample.mask for sample in read_category(mvtec).anomalous}


def test_names_are_in_natural_order(mvtec: Path) -> None:
    assert names(read_category(mvtec).normal) == [f"{index}.png" for index in range(30)]


@given(st.lists(st.text(alphabet="a1_0.", max_size=8), unique=True))
def test_natural_order_tells_all_names_apart(words: list[str]) -> None:
    assert len({natural(word) for word in words}) == len(words)


@pytest.mark.parametrize(("images", "kept_back"), [(1, 0), (4, 0), (5, 1), (9, 1), (23, 4)])
def test_a_fifth_of_the_plain_normal_images_is_kept_for_testing(
    tmp_path: Path, images: int, kept_back: int
) -> None:
    for index in range(images):
        picture(tmp_path / f"normal/{index}.png")
    category = read_category(tmp_path)
    assert (len(category.normal), len(category.test_normal)) == (images - kept_back, kept_back)


def test_the_kept_back_images_follow_from_their_names_alone(tmp_path: Path) -> None:
    for index in range(10):
        picture(tmp_path / f"a/normal/{index}.png")
        picture(tmp_path / f"b/normal/{9 - index}.png", side=20)
    first, second = (read_category(tmp_path / name) for name in "ab")
    assert names(first.test_normal) == names(second.test_normal) != ["0.png", "1.png"]


@pytest.mark.parametrize("name", ["Thumbs.db", ".hidden.png", "license.txt", "train/good/notes.txt"])
def test_files_that_are_no_images_are_ignored_and_listed(mvtec: Path, name: str) -> None:
    (mvtec / name).write_text("not an image")
    assert len(read_category(mvtec).normal) == 30
    assert name in inspect(mvtec).ignored


def test_black_masks_of_good_images_are_ignored(mvtec: Path) -> None:
    mask(mvtec / "ground_truth/good/0_mask.png", rows=slice(0))
    assert len(read_category(mvtec).anomalous) == 11


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFolderError, match="absent"):
        read_category(tmp_path / "absent")


def test_an_unknown_layout_says_what_was_found_and_shows_both(tmp_path: Path) -> None:
    picture(tmp_path / "pictures/1.png")
    with pytest.raises(UnknownLayoutError) as caught:
        read_category(tmp_path)
    for part in ("it contains pictures/", "train/good/", "ground_truth/", "normal/", "masks/"):
        assert part in str(caught.value)


@pytest.mark.parametrize("folder", ["train/good", "normal"])
def test_no_normal_image_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(NoNormalImagesError, match=folder):
        read_category(tmp_path)


def test_an_image_without_mask_is_kept_apart(mvtec: Path) -> None:
    (mvtec / "ground_truth/scratch/2_mask.png").unlink()
    found = read_category(mvtec)
    assert [sample.image for sample in found.unmasked] == [mvtec / "test/scratch/2.png"]
    assert mvtec / "test/scratch/2.png" not in [sample.image for sample in found.samples]


def test_masks_are_never_matched_by_order(mvtec: Path) -> None:
    """As many masks as images, but one has another name."""
    (mvtec / "ground_truth/scratch/2_mask.png").rename(mvtec / "ground_truth/scratch/7_mask.png")
    with pytest.raises(StrayMaskError, match="7_mask"):
        read_category(mvtec)


@pytest.mark.parametrize("name", ["scratch/9_mask.png", "hole/0.png"])
def test_a_mask_without_image_is_named(mvtec: Path, name: str) -> None:
    mask(mvtec / "ground_truth" / name)
    with pytest.raises(StrayMaskError, match=name):
        read_category(mvtec)


@pytest.mark.parametrize(
    "name", ["test/dent/2.jpg", "ground_truth/dent/2.png", "ground_truth/dent/2_mask.bmp"]
)
def test_names_that_differ_only_by_extension_are_refused(mvtec: Path, name: str) -> None:
    mask(mvtec / name)
    with pytest.raises(AmbiguousNameError, match="2"):
        read_category(mvtec)


def test_a_mask_that_two_images_could_claim_is_refused(plain: Path) -> None:
    picture(plain / "defects/1_mask.png")
    (plain / "masks/1.png").rename(plain / "masks/1_mask.png")
    with pytest.raises(AmbiguousNameError, match="1_mask"):
        read_category(plain)


def test_a_mask_of_another_size_is_named_with_both_sizes(mvtec: Path) -> None:
    mask(mvtec / "ground_truth/dent/1_mask.png", side=20)
    with pytest.raises(MaskSizeError, match=r"20 x 20 .*\nExpected 16 x 16"):
        read_category(mvtec)


def test_a_mask_without_defect_is_named(mvtec: Path) -> None:
    mask(mvtec / "ground_truth/dent/1_mask.png", rows=slice(0))
    with pytest.raises(EmptyMaskError, match="dent/1_mask"):
        read_category(mvtec)


@pytest.mark.parametrize("name", ["train/good/7.png", "test/dent/2.png", "ground_truth/dent/2_mask.png"])
def test_an_unreadable_image_is_named(mvtec: Path, name: str) -> None:
    (mvtec / name).write_text("not an image")
    with pytest.raises(UnreadableImageError, match=name):
        read_category(mvtec)


def test_too_small_an_image_is_named(mvtec: Path) -> None:
    picture(mvtec / "train/good/7.png", side=3)
    with pytest.raises(ImageTooSmallError, match="3 x 3"):
        read_category(mvtec)


def test_one_problem_does_not_speak_of_more_and_three_do(mvtec: Path) -> None:
    messages = []
    for index in range(3):
        mask(mvtec / f"ground_truth/dent/9{index}_mask.png")
        with pytest.raises(StrayMaskError) as caught:
            read_category(mvtec)
        messages.append(str(caught.value))
    assert "more" not in messages[0]
    assert messages[2].endswith(f"2 more problems: `flawtrace inspect {mvtec}` lists all.")


counts = st.dictionaries(st.sampled_from(["bent", "broken", "glue"]), st.integers(4, 9), min_size=1)
seeds = st.integers(0, 2**40)


@given(counts, st.integers(0, 4), seeds)
def test_a_split_labels_so_many_of_each_type_and_tests_the_rest(
    counts: dict[str, int], labels: int, seed: int
) -> None:
    category = made_up(counts)
    split = draw_split(category, labels, seed)
    drawn = [sample.defect_type for sample in split.labelled]
    assert all(drawn.count(name) == labels for name in counts)
    assert not set(split.labelled) & set(split.test)
    assert set(split.labelled) | set(split.test) == set(category.anomalous + category.test_normal)
    assert split.normal == category.normal


@given(counts, st.integers(0, 4), seeds)
def test_the_draw_of_a_type_does_not_depend_on_the_others(
    counts: dict[str, int], labels: int, seed: int
) -> None:
    together = draw_split(made_up(counts), labels, seed).labelled
    alone = [draw_split(made_up({name: counts[name]}), labels, seed).labelled for name in counts]
    assert set(together) == {sample for drawn in alone for sample in drawn}


@given(counts, st.integers(1, 4), seeds)
def test_a_smaller_draw_is_part_of_a_larger(counts: dict[str, int], labels: int, seed: int) -> None:
    category = made_up(counts)
    smaller, larger = (draw_split(category, number, seed).labelled for number in (labels - 1, labels))
    assert set(smaller) < set(larger)


def test_another_seed_draws_others() -> None:
    category = made_up({"bent": 50})
    assert len({draw_split(category, 5, seed).labelled for seed in range(10)}) > 5


def test_the_draw_of_a_seed_stays_the_same_for_ever() -> None:
    """Published numbers name a seed: a change here changes what they mean."""
    split = draw_split(made_up({"bent": 12, "glue": 12}), labels=3, seed=0)
    bent, glue = ("1.png 4.png 10.png", "0.png 3.png 8.png")
    assert names(split.labelled) == [*bent.split(), *glue.split()]


def test_a_type_may_be_called_what_is_no_utf_8() -> None:
    category = made_up({os.fsdecode(b"h\xf6le"): 6})
    assert len(draw_split(category, 2, 42).labelled) == 2


def test_all_images_of_a_type_may_be_labelled() -> None:
    split = draw_split(made_up({"bent": 4, "glue": 9}), labels=4, seed=0)
    assert {sample.defect_type for sample in split.test} == {None, "glue"}


def test_too_few_images_name_the_greatest_number_of_labels() -> None:
    with pytest.raises(TooFewImagesError, match=r"bent 4, glue 9\.\n.* 5 of each.*\n.*--labels 4"):
        draw_split(made_up({"bent": 4, "glue": 9}), labels=5, seed=0)


def test_of_a_rare_type_all_images_may_be_drawn() -> None:
    category = made_up({"bent": 4, "glue": 9})
    split = draw_available(category, labels=5, seed=0)
    types = Counter(sample.defect_type for sample in split.labelled)
    assert types == {"bent": 4, "glue": 5} == scarce(category, 5) | {"glue": 5}
    assert draw_available(category, labels=3, seed=0) == draw_split(category, labels=3, seed=0)


def test_of_a_product_without_defects_nothing_is_drawn(tmp_path: Path) -> None:
    picture(tmp_path / "normal/0.png")
    category = read_category(tmp_path)
    assert draw_split(category, labels=1, seed=0).labelled == ()


def test_a_sound_folder_is_inspected_without_complaint(mvtec: Path) -> None:
    picture(mvtec / "test/dent/5.png")
    mask(mvtec / "ground_truth/dent/5_mask.png")
    found = inspect(mvtec)
    assert found.ok
    assert not found.warnings
    assert (found.normal, found.test_normal) == (30, 4)
    assert found.sizes == {(16, 16): 46}
    assert found.kinds == {"8-bit grey": 46}
    assert json.loads(json.dumps(found.to_json()))["defects"]["dent"] == {"images": 6, "labelled": 6}


def test_that_no_defect_has_a_mask_is_a_warning(mvtec: Path) -> None:
    for folder in ("test/scratch", "test/dent"):
        shutil.rmtree(mvtec / folder)
    shutil.rmtree(mvtec / "ground_truth")
    found = inspect(mvtec)
    assert found.ok
    assert any("good images and made-up defects alone" in warning for warning in found.warnings)


def test_a_type_that_has_no_more_images_than_labels_is_a_warning(mvtec: Path) -> None:
    (said,) = inspect(mvtec).warnings
    assert "All images of defect type dent would be used as labels" in said


@pytest.mark.parametrize(("dimmed", "told"), [(1.0, False), (0.8, True)])
def test_inspect_tells_where_normal_test_images_were_taken_otherwise(
    mvtec: Path, dimmed: float, told: bool
) -> None:
    """Grey noise whose brightness varies by a tenth; a shift of half a deviation has to be seen."""
    rng = np.random.default_rng(1)
    for folder, count, light in (("train/good", 30, 1.0), ("test/good", 20, dimmed)):
        for index in range(count):
            values = rng.integers(0, 100, (SIDE, SIDE)) + rng.integers(60, 90)
            Pillow.fromarray((light * values).astype(np.uint8)).save(mvtec / folder / f"{index}.png")
    warnings = [text for text in inspect(mvtec).warnings if "differ from the training images" in text]
    assert bool(warnings) == told
    assert not told or "in brightness (0.394 instead of 0.479)" in warnings[0]


def test_inspect_lists_every_problem(mvtec: Path) -> None:
    content = (mvtec / "train/good/7.png").read_bytes()
    (mvtec / "train/good/7.png").write_bytes(content[: len(content) // 2])
    (mvtec / "ground_truth/dent/0_mask.png").unlink()
    mask(mvtec / "ground_truth/dent/1_mask.png", rows=slice(0))
    mask(mvtec / "ground_truth/dent/2_mask.png", side=20)
    mask(mvtec / "ground_truth/dent/9_mask.png")
    found = inspect(mvtec)
    assert len(found.problems) == 4
    assert any("dent/0.png" in warning for warning in found.warnings)
    for part in ("good/7.png", "dent/1_mask", "dent/2_mask", "dent/9_mask"):
        assert any(part in problem for problem in found.problems), part
    assert found.defects["dent"].labelled == 4


def test_inspect_finds_the_truncated_image_that_its_header_hides(mvtec: Path) -> None:
    content = (mvtec / "train/good/7.png").read_bytes()
    (mvtec / "train/good/7.png").write_bytes(content[: len(content) - 40])
    read_category(mvtec)
    assert "train/good/7.png" in inspect(mvtec).problems[0]


@pytest.mark.parametrize("name", ["absent", "."])
def test_inspect_reports_a_folder_that_it_does_not_understand(tmp_path: Path, name: str) -> None:
    found = inspect(tmp_path / name)
    assert found.layout is None
    assert len(found.problems) == 1
    assert not found.ok


def test_inspect_tells_its_progress(mvtec: Path) -> None:
    told: list[tuple[int, int]] = []
    inspect(mvtec, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 45) for done in range(1, 46)]


@pytest.mark.parametrize("name", ["test/good/0.png", "test/dent/0.png"])
def test_the_same_picture_in_training_and_test_is_a_warning(mvtec: Path, name: str) -> None:
    picture(mvtec / "train/good/3.png", seed=1)
    picture(mvtec / name, seed=1)
    assert any(
        re.search(r"same image is in the normal training images and in .*3\.png", text)
        for text in inspect(mvtec).warnings
    )


def test_mixed_sizes_wide_masks_and_few_images_are_warnings(mvtec: Path) -> None:
    picture(mvtec / "train/good/3.png", side=20)
    mask(mvtec / "ground_truth/dent/1_mask.png", rows=slice(1, 16))
    for index in range(12):
        (mvtec / f"train/good/{10 + index}.png").unlink()
    (mvtec / "test/dent/0.png").unlink()
    (mvtec / "ground_truth/dent/0_mask.png").unlink()
    text = "\n".join(inspect(mvtec).warnings)
    for part in ("2 sizes", "dent/1_mask.png", "Only 18 normal", "Only 4 images of defect type dent"):
        assert part in text


def test_16_bit_images_that_are_almost_black_are_a_warning(tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / f"normal/{index}.png", dtype=np.uint16)
    found = inspect(tmp_path)
    assert found.kinds == {"16-bit grey": 3}
    assert any("16-bit images use only" in text for text in found.warnings)


def test_many_sizes_are_summed_up(tmp_path: Path) -> None:
    for index in range(11):
        picture(tmp_path / f"normal/{index}.png", side=20 + index)
    sizes = inspect(tmp_path).to_json()["sizes"]
    assert sizes == {"min": "20 x 20", "median": "25 x 25", "max": "30 x 30"}


@given(content=st.binary(max_size=60))
def test_inspect_never_raises_on_bad_content(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    root = tmp_path_factory.mktemp("bad")
    picture(root / "normal/0.png").write_bytes(content)
    mask(root / "masks/0.png").write_bytes(content)
    picture(root / "defects/0.png")
    assert not inspect(root).ok


@pytest.mark.parametrize(
    ("name", "normal", "test_normal", "anomalous"),
    [
        ("mvtec_ad/grid", 264, 21, 57),
        ("mvtec_ad/screw", 320, 41, 119),
        ("kolektorsdd/kolektorsdd", 249, 84, 50),
        ("mpdd/metal_plate", 53, 27, 71),
    ],
)
def test_real_categories_are_read_whole(
    real_data: Path, name: str, normal: int, test_normal: int, anomalous: int
) -> None:
    category = read_category(real_data / name)
    assert (len(category.normal), len(category.test_normal)) == (normal, test_normal)
    assert len(category.anomalous) == anomalous


def test_a_real_category_is_inspected_without_problem_but_for_darker_test_images(real_data: Path) -> None:
    found = inspect(real_data / "mvtec_ad/grid")
    assert found.problems == ()
    (warning,) = found.warnings
    assert "brightness (0.409 instead of 0.449), contrast" in warning
    assert not inspect(real_data / "mpdd/metal_plate").warnings
    assert "license.txt" in found.ignored


def test_every_data_error_says_what_was_expected(mvtec: Path) -> None:
    (mvtec / "ground_truth/dent/0_mask.png").unlink()
    mask(mvtec / "ground_truth/dent/9_mask.png")
    for problem in inspect(mvtec).problems:
        assert "\nExpected " in problem
    with pytest.raises(FlawtraceError, match="Expected"):
        read_category(mvtec)


def test_defects_that_hardly_show_in_a_whole_image_call_for_tiles(mvtec: Path) -> None:
    picture(mvtec / "test/dent/0.png", side=1024)
    values = np.zeros((1024, 1024), np.uint8)
    values[500:510, 500:510] = 255
    Pillow.fromarray(values).save(mvtec / "ground_truth/dent/0_mask.png")
    (found,) = [warning for warning in inspect(mvtec).warnings if "--tile-side" in warning]
    assert (
        "fewer than 16 pixels after the image is resized to 256 x 256: ground_truth/dent/0_mask.png" in found
    )
    assert found.endswith("such as --tile-side 640.")
