"""The numbers of a decision: chosen where errors are fewest, moved by limits, defined for few images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score

from flawtrace.detector.choosing import BAND, decisive, doubtful, limited
from flawtrace.detector.decision import Thresholds
from flawtrace.ground.config import Config
from flawtrace.training.judging import HeldOut, Kind
from flawtrace.training.thresholds import RECALL, alarms_of, best_outline, chosen, misses_of, validation

STEPS = np.linspace(0.01, 0.99, 50)

scores = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30).map(np.array)


def errors(normal: np.ndarray, anomalous: np.ndarray, threshold: float) -> float:
    return float((normal >= threshold).mean() + (anomalous < threshold).mean())


@given(scores, scores)
def test_no_other_threshold_makes_fewer_errors(normal: np.ndarray, anomalous: np.ndarray) -> None:
    found = errors(normal, anomalous, decisive(normal, anomalous))
    for other in np.concatenate([normal, anomalous, [2.0]]):
        assert found <= errors(normal, anomalous, float(other)) + 1e-9


def test_where_all_is_clear_the_threshold_is_in_the_middle() -> None:
    assert decisive(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == pytest.approx(0.5)


@given(scores, scores, st.floats(0, 1))
def test_a_limit_on_false_alarms_is_kept(normal: np.ndarray, anomalous: np.ndarray, rate: float) -> None:
    assert (
        normal >= limited(decisive(normal, anomalous), normal, anomalous, max_false_alarms=rate)
    ).mean() <= rate + 1e-9


@given(scores, scores, st.floats(0, 0.99))
def test_a_limit_on_misses_is_kept(normal: np.ndarray, anomalous: np.ndarray, rate: float) -> None:
    assert (
        anomalous < limited(decisive(normal, anomalous), normal, anomalous, max_misses=rate)
    ).mean() <= rate + 1e-9


@given(scores, st.floats(0, 1))
def test_few_normal_images_are_unsure(normal: np.ndarray, defect: float) -> None:
    unsure = doubtful(normal, defect)
    assert unsure <= defect
    assert ((normal >= unsure) & (normal < defect)).mean() <= BAND + 1e-9


def test_without_a_normal_image_there_is_still_an_answer() -> None:
    none = np.zeros(0)
    assert decisive(none, np.array([0.4, 0.9])) == pytest.approx(0.4)
    assert doubtful(none, 0.4) == 0.4


def spots(*values: float) -> tuple[np.ndarray, np.ndarray]:
    """One image per value, with a square of it; those above 0.5 are defects."""
    maps = np.zeros((len(values), 16, 16), np.float32)
    maps[:, 4:8, 4:8] = np.array(values, np.float32)[:, None, None]
    masks = (maps > 0.5) & (maps > 0)
    return maps, masks


@given(seed=st.integers(0, 999), sharpness=st.floats(0.5, 4.0), recall=st.sampled_from([1.0, 2.0, 3.0]))
def test_on_calibrated_maps_the_outline_is_nearly_the_best_threshold(
    seed: int, sharpness: float, recall: float
) -> None:
    rng = np.random.default_rng(seed)
    maps = (rng.random((8, 32, 32)) ** sharpness).astype(np.float32)
    masks = rng.random(maps.shape) < maps
    outline = best_outline(maps, masks, np.ones(8, bool), recall)
    f = [fbeta_score(masks.ravel(), maps.ravel() >= value, beta=recall) for value in (outline, *STEPS)]
    assert f[0] > 0.97 * max(f)


def test_where_no_real_mask_is_known_recall_counts_more() -> None:
    """The best F is 1 either way: every defect has a higher value than any normal pixel."""
    made_up = held_out(normal=[0.45, 0.1, 0.1, 0.1], anomalous=[0.9, 0.8, 0.7, 0.6])
    known = chosen(made_up, Config()).outline
    made_up.kinds[made_up.kinds == Kind.LABELLED] = int(Kind.MADE_UP)
    assert chosen(made_up, Config()).outline == pytest.approx(known * 2 / (1 + RECALL**2))


def test_what_is_not_shown_is_missed() -> None:
    maps, masks = spots(0.9, 0.9)
    assert best_outline(maps, masks, shown=np.array([True, True])) == pytest.approx(0.5)
    assert best_outline(maps, masks, shown=np.array([True, False])) == pytest.approx(1 / 3)
    assert best_outline(maps, masks, shown=np.array([False, False])) == 0.5


def test_more_normal_images_of_the_same_kind_move_no_outline() -> None:
    maps, masks = spots(0.9, 0.6, 0.4)
    many = [0, 1, *[2] * 40]
    shown = np.ones(3, bool)
    few = best_outline(maps, masks, shown)
    assert best_outline(maps[many], masks[many], shown[[0] * len(many)]) == pytest.approx(few)


def test_a_judges_score_decides_at_even_odds_and_a_maximum_where_errors_are_fewest() -> None:
    some = held_out(normal=[0.05, 0.1, 0.1, 0.15], anomalous=[0.3, 0.35, 0.9])
    assert chosen(some, Config()).defect == pytest.approx(0.225)
    assert chosen(replace(some, judged=True), Config()).defect == 0.5
    limited_to = Config(max_misses=0.0)
    assert chosen(replace(some, judged=True), limited_to).defect <= 0.301


def held_out(normal: list[float], anomalous: list[float]) -> HeldOut:
    maps, masks = spots(*anomalous, *normal)
    masks[:] = False
    masks[: len(anomalous), 4:8, 4:8] = True
    found = torch.from_numpy(maps)
    values = torch.tensor([*anomalous, *normal])
    kinds = torch.tensor([Kind.LABELLED] * len(anomalous) + [Kind.NORMAL] * len(normal))
    rows = torch.arange(len(values))
    return HeldOut(found, torch.from_numpy(masks), torch.zeros(len(values), 4), values, kinds, rows)


def test_with_few_defects_false_alarms_are_as_rare_as_without_any() -> None:
    """The judge weighed one faint defect, and takes a third of the good parts for such."""
    normal = [*np.linspace(0.1, 0.4, 20).tolist(), *np.linspace(0.55, 0.75, 10).tolist()]
    one = replace(held_out(normal, anomalous=[0.7]), judged=True, few=True)
    assert alarms_of(one, chosen(one, Config()))["alarms"] == 1  # at most 5 % of 30
    assert alarms_of(one, chosen(one, Config(max_false_alarms=0.2)))["alarms"] == 6
    assert misses_of(one, chosen(one, Config(max_misses=0.0)))["alarms"] == 0
    assert chosen(replace(one, few=False), Config()).defect == 0.5
    maximum = replace(one, judged=False)
    assert alarms_of(maximum, chosen(maximum, Config()))["alarms"] == 1


def test_what_is_stored_tells_of_the_same_images() -> None:
    some = held_out(normal=[0.1, 0.2, 0.15, 0.6], anomalous=[0.9, 0.8, 0.7])
    numbers = chosen(some, Config())
    assert 0.6 < numbers.defect <= 0.7
    assert alarms_of(some, numbers)["alarms"] == 0
    assert misses_of(some, numbers) == {"alarms": 0, "images": 3, "low": 0.0, "high": pytest.approx(0.7076)}
    assert validation(some, numbers)["pixel_f1"] == pytest.approx(1.0)
    everything = Thresholds(0.05, 0.05, 0.05, 0.05)
    assert alarms_of(some, everything)["alarms"] == 4
    kinds = torch.where(some.normal & (some.scores > 0.5), int(Kind.SET_ASIDE), some.kinds)
    aside = replace(some, kinds=kinds)
    assert chosen(aside, Config()).defect < 0.6
    assert (alarms_of(aside, numbers)["images"], alarms_of(aside, everything)["alarms"]) == (4, 4)
    assert validation(some, everything)["image_f1"] == pytest.approx(6 / 10)
