"""The numbers of a decision: chosen where errors are fewest, moved by limits, defined for few images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.detector.choosing import BAND, decisive, doubtful, limited
from flawtrace.detector.decision import Thresholds
from flawtrace.ground.config import Config
from flawtrace.training.judging import HeldOut
from flawtrace.training.thresholds import alarms_of, chosen, misses_of, outlining, validation

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


def test_an_outline_begins_below_its_peak_and_weak_regions_are_left_out() -> None:
    maps, masks = spots(0.9, 0.8, 0.3, 0.3, 0.3)
    maps[:2, 4:8, 8:12] = 0.3  # the weaker half of each defect
    masks[:2, 4:8, 8:12] = True
    outline, peak = outlining(maps, masks, missed=0)
    assert outline < 0.31 < peak <= 0.8


def held_out(normal: list[float], anomalous: list[float]) -> HeldOut:
    maps, masks = spots(*anomalous, *normal)
    masks[:] = False
    masks[: len(anomalous), 4:8, 4:8] = True
    found = torch.from_numpy(maps)
    values = torch.tensor([*anomalous, *normal])
    return HeldOut(found, torch.from_numpy(masks), torch.zeros(len(values), 4), values, values > -1)


def test_what_is_stored_tells_of_the_same_images() -> None:
    some = held_out(normal=[0.1, 0.2, 0.15, 0.6], anomalous=[0.9, 0.8, 0.7])
    numbers = chosen(some, Config())
    assert 0.6 < numbers.defect <= 0.7
    assert alarms_of(some, numbers)["alarms"] == 0
    assert misses_of(some, numbers) == {"alarms": 0, "images": 3, "low": 0.0, "high": pytest.approx(0.7076)}
    assert validation(some, numbers)["pixel_f1"] == pytest.approx(1.0)
    everything = Thresholds(0.05, 0.05, 0.05, 0.05)
    assert alarms_of(some, everything)["alarms"] == 4
    assert validation(some, everything)["image_f1"] == pytest.approx(6 / 10)
