"""Protocols: who is labelled, who is tested, and that other programs can read it."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.data.errors import NoTypeToLeaveOutError
from flawtrace.data.folders import read_category
from flawtrace.data.protocols import CURVE, LABELS, Trial, read_split, trials, write_split
from flawtrace.data.samples import Category, Sample, Split
from flawtrace.data.splits import draw_split
from flawtrace.ground.errors import DamagedFileError
from flawtrace.ground.groups import ProtocolName

PROTOCOLS: tuple[ProtocolName, ...] = ("five-per-type", "k-per-type", "k-in-all", "one-third", "unseen-type")


def made_up(counts: dict[str, int]) -> Category:
    root = Path("parts")
    normal = tuple(Sample(root / f"train/good/{i}.png") for i in range(6))
    test_normal = tuple(Sample(root / f"test/good/{i}.png") for i in range(3))
    anomalous = tuple(
        Sample(root / f"test/{name}/{i}.png", root / f"ground_truth/{name}/{i}_mask.png", name)
        for name, count in counts.items()
        for i in range(count)
    )
    return Category(root, "mvtec", normal, test_normal, anomalous)


def types(samples: tuple[Sample, ...]) -> set[str | None]:
    return {sample.defect_type for sample in samples}


counts = st.dictionaries(st.sampled_from(["bent", "broken", "glue"]), st.integers(6, 14), min_size=2)


@given(counts, st.sampled_from(PROTOCOLS), st.integers(0, 99))
def test_no_image_is_both_labelled_and_tested(counts: dict[str, int], name: ProtocolName, seed: int) -> None:
    for trial in trials(made_up(counts), name, [seed]):
        assert not set(trial.split.labelled) & set(trial.split.test)
        assert len(set(trial.split.test)) == len(trial.split.test)
        assert trial.split.labelled or trial.labels == 0
        assert types(trial.split.test) > {None}


@given(counts, st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True))
def test_every_trial_has_a_name_of_its_own(counts: dict[str, int], seeds: list[int]) -> None:
    category = made_up(counts)
    names = [trial.name for protocol in PROTOCOLS for trial in trials(category, protocol, seeds)]
    assert len(set(names)) == len(names)


def test_five_per_type_is_the_split_of_training() -> None:
    category = made_up({"bent": 9, "glue": 7})
    (trial,) = trials(category, "five-per-type", [42])
    assert trial.split == draw_split(category, LABELS, 42)
    assert trial.name == "parts-five-per-type-42"


def test_more_labels_contain_the_fewer_and_leave_one_of_each_type() -> None:
    drawn = [set(t.split.labelled) for t in trials(made_up({"bent": 8, "glue": 12}), "k-per-type", [1])]
    assert [len(labels) for labels in drawn] == [2, 4, 10, 7 + 10]
    assert all(fewer < more for fewer, more in pairwise(drawn))
    assert len(drawn) == len(CURVE)


def test_the_curve_can_be_asked_for() -> None:
    category = made_up({"bent": 8, "glue": 12})
    asked = [t.name for t in trials(category, "k-per-type", [1], (3, 1))]
    assert asked == ["parts-k-per-type-3-1", "parts-k-per-type-1-1"]


def test_a_third_of_each_type_is_labelled_from_the_first_on() -> None:
    (trial,) = trials(made_up({"bent": 9, "glue": 7}), "one-third", [42])
    names = [f"{sample.defect_type}/{sample.image.name}" for sample in trial.split.labelled]
    assert names == ["bent/0.png", "bent/1.png", "bent/2.png", "glue/0.png", "glue/1.png"]


def test_an_unseen_type_has_no_label_and_is_tested_with_all_its_images() -> None:
    category = made_up({"bent": 9, "broken": 6, "glue": 7})
    for trial in trials(category, "unseen-type", [3]):
        assert trial.left_out not in types(trial.split.labelled)
        assert types(trial.split.test) == {None, trial.left_out}
        shown = [sample for sample in trial.split.test if sample.anomalous]
        assert tuple(shown) == category.defect_types[str(trial.left_out)]


def test_one_type_cannot_be_left_out() -> None:
    with pytest.raises(NoTypeToLeaveOutError, match=r"one defect type \(bent\)"):
        list(trials(made_up({"bent": 9}), "unseen-type", [42]))


def test_a_split_comes_back_from_its_file(category: Path, tmp_path: Path) -> None:
    trial = Trial("bricks", category, "five-per-type", 1, draw_split(read_category(category), 2, 1))
    write_split(tmp_path / "split.json", trial)
    assert read_split(tmp_path / "split.json", category) == trial.split
    assert str(tmp_path) not in (tmp_path / "split.json").read_text()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_method_is_given_images_that_others_are_not_told_of(protocol: ProtocolName) -> None:
    unmasked = (Sample(Path("parts/test/bent/99.png"), None, "bent"),)
    category = replace(made_up({"bent": 8, "glue": 12}), unmasked=unmasked)
    assert not any(trial.split.unmasked for trial in trials(category, protocol, [1]))


def test_masks_of_every_defect_and_ignored_pixels_come_back(tmp_path: Path) -> None:
    several = Sample(
        tmp_path / "1.png",
        tmp_path / "1_1.png",
        "dent",
        more_masks=(tmp_path / "1_2.png", tmp_path / "1_3.png"),
        ignored=tmp_path / "ignored/1.png",
    )
    normal = Sample(tmp_path / "2.png"), Sample(tmp_path / "3.png", ignored=tmp_path / "ignored/3.png")
    trial = Trial("parts", tmp_path, "five-per-type", 1, Split(normal, (several,), (several, normal[1])))
    write_split(tmp_path / "split.json", trial)
    found = read_split(tmp_path / "split.json", tmp_path)
    assert (found.labelled, found.test) == (trial.split.labelled, trial.split.test)
    assert found.normal == normal[:1]


def test_a_file_that_is_no_split_is_named(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"normal": [], "labelled": [3]}')
    with pytest.raises(DamagedFileError, match=r"split\.json"):
        read_split(tmp_path / "split.json", tmp_path)


def test_labels_in_all_are_nested_spread_over_types_and_tested_on_the_same_images() -> None:
    category = made_up({"bent": 8, "glue": 12, "dent": 6})
    found = list(trials(category, "k-in-all", [1]))
    drawn = [set(trial.split.labelled) for trial in found]
    assert [len(some) for some in drawn] == [0, 1, 2, 5, 10]
    assert all(less <= more for less, more in pairwise(drawn))
    assert len({sample.defect_type for sample in drawn[3]}) == 3
    assert len({trial.split.test for trial in found}) == 1
    assert not drawn[-1] & set(found[0].split.test)
    assert len({trial.name for trial in found}) == len(found)
