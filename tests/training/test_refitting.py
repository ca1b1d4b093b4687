"""A refit makes anew what reads labels, and leaves the rest as it is."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from flawtrace import verbs
from flawtrace.data import draw_keeping, read_category
from flawtrace.detector import Detector, Facts
from flawtrace.ground.files import read_json
from flawtrace.ground.groups import SETTLED
from flawtrace.ground.presets import load_config
from flawtrace.ground.run_files import DETECTOR_NAME
from flawtrace.method import Blended
from flawtrace.pictures.images import read_image
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.training.errors import RunExistsError
from flawtrace.training.refitting import EARLIER, settings_for
from flawtrace.verbs.refitting import OtherRegionWarning


@pytest.fixture(scope="module")
def refitted(run: Path, category: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("refitted") / "run"
    verbs.refit(run, category, out, labels=4)
    return out


def test_encoder_and_snapshots_stay_bit_by_bit(run: Path, refitted: Path) -> None:
    old, new = Detector.load(run).reader, Detector.load(refitted).reader
    for part in ("encoder", "snapshots"):
        before, after = getattr(old, part).state_dict(), getattr(new, part).state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_predictors_are_others(run: Path, refitted: Path) -> None:
    old, new = Detector.load(run).members[0], Detector.load(refitted).members[0]
    assert any(not torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))


def test_the_same_labels_give_the_same(refitted: Path, run: Path, category: Path, tmp_path: Path) -> None:
    verbs.refit(run, category, tmp_path / "again", labels=4)
    one, other = (Detector.load(place).state_dict() for place in (refitted, tmp_path / "again"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_members_side_by_side_are_those_that_follow_each_other(
    refitted: Path, run: Path, category: Path, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        verbs.refit(run, category, tmp_path / "together", labels=4)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    one, other = (Detector.load(place).members.state_dict() for place in (refitted, tmp_path / "together"))
    assert all(torch.allclose(one[name].float(), other[name].float(), atol=0.05) for name in one)


def test_a_run_comes_out_with_its_report_and_all_that_it_learnt_from(refitted: Path) -> None:
    facts = Detector.load(refitted).facts
    assert facts.num_labelled == 12
    assert (refitted / "report.html").is_file()
    assert verbs.predict(refitted, refitted.parent / "absent.png")[0].verdict == "ERROR"


def test_a_detectors_file_is_enough(run: Path, category: Path, tmp_path: Path) -> None:
    fitted = verbs.refit(run / DETECTOR_NAME, category, tmp_path / "new", labels=2)
    assert fitted.detector.facts.num_labelled == 6


@pytest.fixture
def without_labels(tiny: dict[str, Any]) -> dict[str, Any]:
    """Settings that leave open what follows from how many labels there are."""
    predictor = {name: value for name, value in tiny["predictor"].items() if name not in SETTLED}
    return tiny | {"labels": 0, "predictor": predictor}


def test_what_learnt_without_labels_sees_everything_once_it_has_some(
    category: Path, without_labels: dict[str, Any], tmp_path: Path
) -> None:
    verbs.train(category, tmp_path / "zero", settings=without_labels)
    fitted = verbs.refit(tmp_path / "zero", category, tmp_path / "some", labels=2).detector
    assert fitted.config.predictor.inputs == ("profile", "canvas", "memory", "picture")
    assert fitted.config.predictor.recall == fitted.config.predictor.self_supervised == 0.1


def test_what_needs_no_label_stays_as_long_as_the_normal_images_do(
    category: Path, without_labels: dict[str, Any], tmp_path: Path
) -> None:
    """Or more come; from a detector without labels, and from one of few; not where one is gone."""
    parts = shutil.copytree(category, tmp_path / "parts")
    first = verbs.train(parts, tmp_path / "0", settings=without_labels).detector
    second = verbs.refit(tmp_path / "0", parts, tmp_path / "1", labels=1).detector
    third = verbs.refit(tmp_path / "1", parts, tmp_path / "2", labels=2).detector
    fresh = make_dataset(tmp_path / "others", 3, side=64, num_normal=3, num_test_normal=1, num_per_type=1)
    for image in (fresh / "train/good").iterdir():
        shutil.copy(image, parts / "train/good" / f"0-{image.name}")
    more = verbs.refit(tmp_path / "2", parts, tmp_path / "3", labels=2).detector
    known = dict(zip(third.facts.normal_digests or (), third.facts.folds, strict=True))
    folds = dict(zip(more.facts.normal_digests or (), more.facts.folds, strict=True))
    assert len(folds) == len(known) + 3
    assert known == {digest: folds[digest] for digest in known}
    max((parts / "train/good").iterdir()).unlink()
    fewer = verbs.refit(tmp_path / "3", parts, tmp_path / "4", labels=2).detector
    alone = [part.state_dict() for part in first.members]
    for detector, stays in ((second, True), (third, True), (more, True), (fewer, False)):
        for before, member in zip(alone, detector.members, strict=True):
            assert isinstance(member, Blended)
            after = member.self_supervised.state_dict()
            assert all(torch.equal(before[name], after[name]) for name in before) == stays


def test_a_run_is_never_replaced(run: Path, category: Path, refitted: Path) -> None:
    with pytest.raises(RunExistsError, match=r"new folder\.\nChoose another"):
        verbs.refit(run, category, refitted)


def test_another_region_of_interest_is_told(
    run: Path, category: Path, refitted: Path, tmp_path: Path
) -> None:
    parts = shutil.copytree(category, tmp_path / "parts")
    Image.new("L", (64, 64), 255).save(parts / "region.png")
    with pytest.warns(OtherRegionWarning, match=r"region\.png is not the"), pytest.raises(RunExistsError):
        verbs.refit(run, parts, refitted)


def test_known_labels_stay_and_others_are_drawn(category: Path) -> None:
    found = read_category(category)
    known = {found.anomalous[2], found.anomalous[7]}
    split = draw_keeping(found, known, 2, seed=5)
    assert known <= set(split.labelled)
    assert len(split.labelled) == 6
    assert set(draw_keeping(found, known, None, seed=5).labelled) == set(found.anomalous)


def test_many_new_normal_images_ask_for_a_whole_training(run: Path, tmp_path: Path) -> None:
    others = make_dataset(tmp_path / "others", 3, side=64, num_normal=9, num_test_normal=1, num_per_type=2)
    warnings = verbs.refit(run, others, tmp_path / "new").summary["warnings"]
    assert "9 of 9 normal images are new" in warnings[0]


def test_what_the_kept_autoencoder_learnt_from_is_known_for_ever(
    run: Path, category: Path, tmp_path: Path
) -> None:
    """Also where labels are taken back, images moved, and in refits of refits."""
    first = Detector.load(run).facts
    one = verbs.refit(run, category, tmp_path / "one", labels=1).detector
    assert len(first.digests) - len(one.facts.digests) == 3
    category = shutil.copytree(category, tmp_path / "fewer")
    max((category / "train/good").iterdir()).rename(category / "test/good/moved.png")
    two = verbs.refit(tmp_path / "one", category, tmp_path / "two", labels=1)
    assert Detector.load(tmp_path / "two").facts.autoencoder_digests == first.digests
    assert two.detector.knows(read_image(category / "test/good/moved.png"))
    assert verbs.evaluate(tmp_path / "two", category).num_left_out == len(first.digests)


def test_small_additions_add_up_to_a_whole_training(run: Path, category: Path, tmp_path: Path) -> None:
    parts = shutil.copytree(category, tmp_path / "parts")
    make_dataset(tmp_path / "others", 3, side=64, num_normal=12, num_test_normal=1, num_per_type=1)
    new, told = sorted((tmp_path / "others/train/good").iterdir()), []
    for part, out in ((new[:6], "one"), (new[6:], "two")):
        for image in part:
            shutil.copy(image, parts / "train/good" / f"new-{image.name}")
        warnings = verbs.refit(run, parts, tmp_path / out, labels=1).summary["warnings"]
        told.append([warning for warning in warnings if "normal images are new" in warning])
        run = tmp_path / out
    assert not told[0]
    assert told[1][0].startswith("12 of 21 normal images are new")


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 4), (4, 12), (12, 2), (3, 0)])
def test_what_followed_from_the_number_of_labels_follows_from_the_new_one(before: int, after: int) -> None:
    """And what was set by hand stays, like what another setting by hand decides."""
    for changes in ({}, {"recall": 0.3, "memory_side": 8}, {"inputs": ("profile",), "self_supervised": 0.3}):
        asked = load_config(settings={"predictor": changes}).predictor
        config = load_config(settings={"predictor": asked.settled(before).model_dump()})
        detector = Detector.untrained(config, Facts(0.5, {}, (), "", {}, num_labelled=before))
        assert settings_for(detector, after).predictor == asked.settled(after)


def test_what_earlier_versions_left_out_with_many_labels_is_no_setting_by_hand() -> None:
    asked = load_config().predictor
    config = load_config(settings={"predictor": asked.settled(12).model_dump() | EARLIER})
    detector = Detector.untrained(config, Facts(0.5, {}, (), "", {}, num_labelled=12))
    for after in (2, 20):
        assert settings_for(detector, after).predictor == asked.settled(after)


def test_settings_that_an_early_detector_leaves_open_are_settled() -> None:
    """Where nobody counted its labels, what its file says stays."""
    asked = load_config(settings={"predictor": {"recall": 0.3}})
    detector = Detector.untrained(asked, Facts(0.5, {}, (), "", {}))
    assert settings_for(detector, 4).predictor == asked.predictor.settled(4)


def test_images_that_test_are_never_learnt_from(run: Path, category: Path, tmp_path: Path) -> None:
    left = read_json(run / "training.json")["left_for_testing"]
    summary = verbs.refit(run, category, tmp_path / "new", testing=left).summary
    assert summary["left_for_testing"] == left
    assert set(summary["labelled_files"]).isdisjoint(left)
    count = len(read_category(category).anomalous)
    assert len(summary["labelled_files"]) == count - len(left)


def test_normal_images_learnt_from_stay_for_training_where_more_are_added(
    run: Path, category: Path, tmp_path: Path
) -> None:
    """In a folder that does not say what is for testing a fifth is drawn, another one once there are more."""
    parts = tmp_path / "parts"
    shutil.copytree(category / "train/good", parts / "normal")
    detector = verbs.train(parts, tmp_path / "run", settings=read_json(run / "settings.json")).detector
    others = make_dataset(tmp_path / "others", 3, side=64, num_normal=9, num_test_normal=1, num_per_type=1)
    for image in (others / "train/good").iterdir():
        shutil.copy(image, parts / "normal" / f"new-{image.name}")
    grown = verbs.refit(tmp_path / "run", parts, tmp_path / "new").detector
    assert set(detector.facts.normal_digests or ()) < set(grown.facts.normal_digests or ())


def test_normal_images_and_defects_without_a_mask_can_be_kept_for_testing_too(
    run: Path, category: Path, tmp_path: Path
) -> None:
    parts = shutil.copytree(category, tmp_path / "parts")
    kind = next((parts / "ground_truth").iterdir())
    shutil.rmtree(kind)
    testing = [min((parts / "train/good").iterdir()), *(parts / "test" / kind.name).iterdir()]
    refitted = verbs.refit(run, parts, tmp_path / "new", testing=testing).detector
    autoencoder, refitted.facts = refitted.facts.autoencoder, replace(refitted.facts, autoencoder=())
    assert not any(refitted.knows(read_image(path)) for path in testing)
    assert autoencoder


def test_the_same_normal_images_ask_for_nothing(refitted: Path, category: Path, tmp_path: Path) -> None:
    warnings = verbs.refit(refitted, category, tmp_path / "new", labels=2).summary["warnings"]
    assert not any("new" in warning for warning in warnings)
