from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawtrace import verbs
from flawtrace.detector.alarms import Errors, alarm_text, announced_text, quietest
from flawtrace.detector.artefact import Detector
from flawtrace.detector.doubts import doubts, policy_doubts
from flawtrace.detector.facts import Facts
from flawtrace.ground.files import read_json
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.training.errors import TooFewNormalError

scores = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40).map(
    lambda values: np.array(values, np.float32)
)


@given(scores, st.floats(0, 1))
def test_a_threshold_for_a_rate_keeps_to_it_and_is_the_least_that_does(
    values: np.ndarray, rate: float
) -> None:
    threshold = quietest(values, rate)
    assert (values >= threshold).sum() <= rate * len(values)
    lower = values[values < threshold]
    assert not len(lower) or (values >= lower.max()).sum() > rate * len(values)


@pytest.mark.parametrize(("alarms", "images"), [(0, 10), (3, 25), (25, 25), (1, 264)])
def test_an_interval_holds_the_rate_as_often_as_it_says(alarms: int, images: int) -> None:
    """At its ends, as many alarms or more (or fewer) come in 2.5 % of all draws."""
    low, high = Errors(alarms, images).interval
    drawn = np.random.default_rng(0)
    assert low <= alarms / images <= high
    if alarms:
        assert np.mean(drawn.binomial(images, low, 100_000) >= alarms) == pytest.approx(0.025, abs=0.003)
    if alarms < images:
        assert np.mean(drawn.binomial(images, high, 100_000) <= alarms) == pytest.approx(0.025, abs=0.003)


@pytest.mark.parametrize(("images", "rate"), [(66, 0.05), (20, 0.05), (13, 0.1), (200, 0.01)])
def test_the_interval_holds_where_the_threshold_was_raised_on_the_same_images(
    images: int, rate: float
) -> None:
    """Scores are uniform, so that the rate at a threshold is one minus it; of 4000 draws, 95 % hold it."""
    rng = np.random.default_rng(0)
    held = 0
    for scores in rng.random((4000, images)):
        threshold = quietest(scores, rate)
        low, high = Errors(int((scores >= threshold).sum()), images).interval
        held += low <= 1 - threshold <= high
    assert held / 4000 > 0.945


def test_a_rate_without_normal_images_is_refused_before_anything_is_written(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    few = make_dataset(tmp_path / "few", side=64, num_normal=3, num_test_normal=1, num_per_type=2)
    with pytest.raises(TooFewNormalError, match="at least 4"):
        verbs.train(few, tmp_path / "run", settings=tiny | {"max_false_alarms": 0.01})
    assert not (tmp_path / "run/settings.json").exists()
    assert verbs.train(few, tmp_path / "run", settings=tiny).summary["false_alarms"]["images"] == 2


def test_a_detector_knows_its_false_alarms_and_the_report_says_them(run: Path) -> None:
    found = read_json(run / "training.json")["false_alarms"]
    assert found["images"] == 5, "of nine, every other one is as another day might show it"
    assert Detector.load(run).facts.false_alarms == found
    assert alarm_text(found) in (run / "report.html").read_text()


def test_training_keeps_to_a_rate(category: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    trained = verbs.train(category, tmp_path / "run", settings=tiny | {"max_false_alarms": 0.0})
    assert trained.summary["false_alarms"]["alarms"] == 0
    validation = trained.summary["validation"]
    assert 0 <= validation["found"] <= 1


def judged(image_auroc: float, alarms: Errors, misses: Errors) -> Facts:
    return Facts(
        threshold=1.0,
        validation={"pixel_f1_max": 0.6, "image_f1": 0.35, "image_auroc": image_auroc},
        digests=(),
        fingerprint="",
        versions={},
        false_alarms=alarms.to_json(),
        misses=misses.to_json(),
    )


@pytest.mark.parametrize(("image_auroc", "missed"), [(0.95, 4), (0.7, 0)])
def test_verdicts_that_are_worth_little_are_announced(image_auroc: float, missed: int) -> None:
    (doubt,) = doubts(judged(image_auroc, Errors(1, 20), Errors(missed, 5)))
    assert f"of 5 held-out defect images it calls {missed} OK, of 20 normal ones 1 DEFECT" in doubt.advice


def test_a_few_false_alarms_among_many_good_parts_and_few_labels_are_no_doubt() -> None:
    """F1 of images is low there, whatever the detector does."""
    assert list(doubts(judged(0.95, Errors(4, 125), Errors(1, 5)))) == []


def test_a_detector_that_finds_nothing_is_not_passed_over_in_silence(run: Path) -> None:
    """Ten steps teach nobody."""
    summary = read_json(run / "training.json")
    assert summary["validation"]["pixel_f1_max"] < 0.3
    assert "hardly finds the defects" in summary["warnings"][0]
    assert "hardly finds the defects" in (run / "report.html").read_text()


def test_a_policy_that_does_the_same_everywhere_is_called_dead() -> None:
    alive = [{"kind": "cycle", "entropy": 1.9}, {"kind": "cycle"}, {"kind": "fit"}]
    assert list(policy_doubts(alive)) == []
    (warning,) = policy_doubts([{"entropy": 1.9}, {"entropy": 0.002}, {"kind": "fit"}])
    assert "entropy fell to 0.002" in warning
    assert "--sampler uniform" in warning


def test_evaluation_says_whether_the_announced_rate_was_kept() -> None:
    announced = Errors(3, 66).to_json()
    assert announced_text(announced, Errors(2, 21)) == "Training estimated 10 to 127 per 1,000."
    said = announced_text(announced, Errors(5, 21))
    assert "in at most 12 % of such sets" in said
    assert "unlike those used for training" in said
    assert (
        announced_text(Errors(0, 0).to_json(), Errors(5, 21))
        == "Training estimated no rate for whole images."
    )
