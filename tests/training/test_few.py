"""Data that are hardly enough: every number of a decision has a value, or is said to be unknown."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flawtrace import verbs
from flawtrace.data import draw_keeping, read_category
from flawtrace.data.splits import draw_available
from flawtrace.detector import FALSE_ALARMS, Calibration, Detector
from flawtrace.detector.exporting import Export
from flawtrace.ground.files import read_json
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import ErrorMaps, Masks
from flawtrace.method import Blended, Prepared, prepare
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.training.errors import NothingToLearnFromError


def trained(
    folder: Path, tiny: dict[str, Any], num_types: int = 3, num_normal: int = 9, **settings: Any
) -> Detector:
    """On a category with these images, and three of each type."""
    root = make_dataset(folder / "parts", side=64, num_normal=num_normal, num_test_normal=2, num_per_type=3)
    types = sorted(kind.name for kind in (root / "ground_truth").iterdir())
    for kind in types[num_types:]:
        shutil.rmtree(root / "test" / kind)
        shutil.rmtree(root / "ground_truth" / kind)
    verbs.train(root, folder / "run", settings=tiny | settings)
    return Detector.load(folder / "run")


def agrees(detector: Detector, folder: Path) -> None:
    """Numbers are finite and in order, and verdicts agree with masks and thresholds."""
    numbers = detector.thresholds
    assert all(math.isfinite(value) for value in vars(numbers).values())
    assert numbers.outline <= numbers.peak
    assert numbers.unsure <= numbers.defect
    rows = list(verbs.predict(folder / "run", sorted((folder / "parts/test").iterdir())))
    assert rows
    for row in rows:
        assert row.verdict in ("OK", "UNSURE", "DEFECT")
        if row.verdict == "DEFECT":
            assert row.score is not None
            assert row.score >= numbers.defect
            assert row.defective_share
        if row.verdict == "OK":
            assert not row.defective_share


@pytest.mark.parametrize(
    "asked",
    [
        {"num_normal": 1, "num_types": 1, "labels": 1},
        {"labels": 0, "predictor.made_up": 0},
        {"num_normal": 1, "labels": 0},
    ],
)
def test_what_leaves_a_predictor_nothing_to_learn_from_is_refused_at_once(
    asked: dict[str, Any], tiny: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(NothingToLearnFromError, match="Add normal images, or labels"):
        trained(tmp_path, tiny, **asked)
    assert not (tmp_path / "run/settings.json").exists()


def test_one_label_of_each_type(tiny: dict[str, Any], tmp_path: Path) -> None:
    detector = trained(tmp_path, tiny, labels=1)
    assert detector.facts.misses["images"] == 3
    agrees(detector, tmp_path)


def test_one_type(tiny: dict[str, Any], tmp_path: Path) -> None:
    detector = trained(tmp_path, tiny, num_types=1)
    assert detector.facts.misses["images"] == 2
    agrees(detector, tmp_path)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_few_normal_images(tiny: dict[str, Any], tmp_path: Path, count: int) -> None:
    """All of them judge the rate of false alarms, as they were taken or as of another day."""
    detector = trained(tmp_path, tiny, num_normal=count)
    assert 0 < detector.facts.false_alarms["images"] <= count
    assert detector.facts.false_alarms["high"] >= 0.3 / count
    agrees(detector, tmp_path)


def test_tiles(tiny: dict[str, Any], tmp_path: Path) -> None:
    detector = trained(tmp_path, tiny, tile_side=32, image_side=32)
    assert detector.facts.false_alarms["images"] > 9
    agrees(detector, tmp_path)


def test_where_images_are_cut_into_tiles_a_defect_without_a_mask_teaches_nothing_and_that_is_told(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=2, num_per_type=3)
    kind = next((root / "ground_truth").iterdir())
    shutil.rmtree(kind)
    summary = verbs.train(
        root, tmp_path / "run", settings=tiny | {"tile_side": 32, "image_side": 32, "labels": 1}
    ).summary
    assert "without a mask are not learnt from: 3 images" in summary["warnings"][0]
    assert not any(kind.name in file for file in summary["labelled_files"])
    agrees(Detector.load(tmp_path / "run"), tmp_path)


def test_copies_of_a_normal_image_are_one_image(tiny: dict[str, Any], tmp_path: Path) -> None:
    """The member that never saw an image has not seen a copy of it, and no memory finds it in itself."""
    root = make_dataset(tmp_path, side=64, num_normal=5, num_test_normal=1, num_per_type=2)
    for image in sorted((root / "train/good").iterdir()):
        shutil.copy(image, image.with_stem(f"{image.stem}-copy"))
    split = draw_available(read_category(root), labels=1, seed=1)
    *_, prepared = prepare(split, load_config(settings=tiny))
    assert isinstance(prepared, Prepared)
    assert prepared.material.sources.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_another_day_moves_what_an_image_shows_and_not_the_region(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    root = make_dataset(tmp_path, side=64, num_normal=8, num_test_normal=1, num_per_type=2)
    corners = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    config = load_config(settings=tiny | {"region": (corners,), "variation": {"other_days": 1.0}})
    *_, prepared = prepare(draw_available(read_category(root), labels=0, seed=1), config)
    assert isinstance(prepared, Prepared)
    shown = prepared.material.pictures
    assert not shown[..., 32:].any()
    assert (shown[..., :32].amax(dim=1) > 0.02).all()


def test_no_label_means_no_word_about_any_image(tmp_path: Path) -> None:
    root = make_dataset(tmp_path, side=64, num_normal=3, num_test_normal=1, num_per_type=2)
    shutil.rmtree(next((root / "ground_truth").iterdir()))
    category = read_category(root)
    assert len(category.unmasked) == 2
    assert draw_available(category, labels=1, seed=1).unmasked == category.unmasked
    assert draw_available(category, labels=0, seed=1).unmasked == ()
    assert draw_keeping(category, (), 0, seed=1).unmasked == ()


def test_one_number_decides_where_the_maximum_of_the_map_is_the_score(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    detector = trained(tmp_path, tiny, score="maximum")
    agrees(detector, tmp_path)


def test_no_label_at_all(tiny: dict[str, Any], tmp_path: Path) -> None:
    """The predictors learn from made-up defects; DEFECT keeps to a rate of held-out normal images."""
    detector = trained(tmp_path, tiny, num_normal=30, labels=0)
    assert detector.config.predictor.inputs == ("profile", "memory")
    assert detector.facts.num_labelled == 0
    assert detector.facts.misses["images"] == 0
    alarms = detector.facts.false_alarms
    assert alarms["alarms"] <= FALSE_ALARMS * alarms["images"]
    agrees(detector, tmp_path)
    assert [one["unusual"] for one in read_json(tmp_path / "run/training.json")["suspects"]] == [True] * 4
    page = (tmp_path / "run/report.html").read_text()
    assert "The normal images that are most unlike the others" in page
    assert "finds no training image" not in page
    assert "most unlike the others" in verbs.inspect(tmp_path / "parts", run=tmp_path / "run").warnings[-1]


def test_where_nothing_is_labelled_an_exported_detector_is_compared_on_normal_images(
    tiny: dict[str, Any], tmp_path: Path, export: Callable[..., Export]
) -> None:
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    trained(tmp_path, tiny, labels=0)
    assert export(tmp_path / "run").num_images == 9


def test_a_single_label(tiny: dict[str, Any], tmp_path: Path) -> None:
    settings = tiny | {"predictor.recall": None, "predictor.self_supervised": None}
    detector = trained(tmp_path, settings, num_types=1, labels=1)
    assert detector.facts.num_labelled == 1
    assert detector.config.predictor.recall == detector.config.predictor.self_supervised == 1 / 4
    assert all(isinstance(member, Blended) for member in detector.members)
    assert detector.facts.misses["images"] == 1
    agrees(detector, tmp_path)


@pytest.mark.parametrize(("labels", "few"), [(1, True), (2, False)])
def test_few_labels_are_not_alone_in_saying_what_maps_mean(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: int, few: bool
) -> None:
    """Of three types: three labels and six. A single label would be held out by a member that saw none. From
    five on made-up defects are no judges, even where somebody learns from them.
    """
    calibrated = []

    def fit(self: Calibration, maps: ErrorMaps, masks: Masks) -> None:
        calibrated.append(int(masks.flatten(1).any(dim=1).sum()))
        usual(self, maps, masks)

    usual = Calibration.fit
    monkeypatch.setattr(Calibration, "fit", fit)
    settings = {"predictor.made_up": 12, "predictor.self_supervised": 0.1}
    trained(tmp_path, tiny | settings, labels=labels)
    assert calibrated == [3 + 12 if few else 6]


def test_a_folder_of_good_parts_alone_is_enough(tiny: dict[str, Any], tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "all", side=64, num_normal=8, num_test_normal=1, num_per_type=1)
    shutil.copytree(root / "train/good", tmp_path / "parts")
    verbs.train(tmp_path / "parts", tmp_path / "run", settings=tiny)
    assert Detector.load(tmp_path / "run").facts.num_labelled == 0


def test_defects_without_masks_have_a_say_in_the_score(tiny: dict[str, Any], tmp_path: Path) -> None:
    """They count as defects that can be missed, and nothing else is learnt from them."""
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=2, num_per_type=3)
    shutil.rmtree(root / "ground_truth/hole")
    verbs.train(root, tmp_path / "run", settings=tiny | {"labels": 2})
    facts = Detector.load(tmp_path / "run").facts
    assert facts.num_labelled == 4
    assert facts.misses["images"] == 7
    assert len(facts.digests) == 9 + 4 + 3
