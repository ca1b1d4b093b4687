"""Mask and verdict: regions by hysteresis, two thresholds for images, and never a contradiction."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flawtrace.detector.decision import Thresholds, decided, regions
from flawtrace.detector.judge import PIECES, Judge

shares = st.floats(0, 1, width=32)
maps = arrays(np.float32, (6, 7), elements=shares).map(torch.from_numpy)


@st.composite
def thresholds(draw: st.DrawFn) -> Thresholds:
    outline, peak = sorted([draw(shares), draw(shares)])
    unsure, defect = sorted([draw(shares), draw(shares)])
    return Thresholds(outline, peak, defect, unsure)


@given(maps, shares, thresholds())
def test_what_is_defective_shows_a_region_and_what_is_ok_shows_none(
    anomaly_map: torch.Tensor, score: float, numbers: Thresholds
) -> None:
    found = decided(torch.rand(3, 6, 7), anomaly_map, score, numbers, {})
    assert found.verdict == (
        "DEFECT" if score >= numbers.defect else "UNSURE" if score >= numbers.unsure else "OK"
    )
    assert found.anomalous or found.verdict != "DEFECT"
    assert not found.anomalous or found.verdict != "OK"
    assert (found.doubt is not None) == (found.verdict == "UNSURE")


@given(maps, shares, shares)
def test_a_region_counts_if_its_peak_does(anomaly_map: torch.Tensor, one: float, other: float) -> None:
    outline, peak = sorted([one, other])
    found = regions(anomaly_map, outline, peak)
    assert not (found & (anomaly_map < outline)).any()
    assert found[anomaly_map >= peak].all()
    assert found.any() == (anomaly_map >= peak).any()


def test_a_weak_region_beside_a_strong_one_is_left_out() -> None:
    anomaly_map = torch.tensor([[0.4, 0.9, 0.0, 0.4, 0.45]])
    assert regions(anomaly_map, 0.3, 0.8).tolist() == [[True, True, False, False, False]]


def test_a_flat_map_of_a_defective_image_shows_a_spot_and_not_everything() -> None:
    anomaly_map = torch.rand(64, 64) / 100
    found = decided(torch.rand(3, 64, 64), anomaly_map, 0.9, Thresholds(0.5, 0.6, 0.5, 0.4), {})
    assert found.verdict == "DEFECT"
    assert 0 < found.mask.float().mean() < 0.01


def test_an_unsure_image_shows_nothing_that_does_not_count() -> None:
    anomaly_map = torch.full((8, 8), 0.55)
    found = decided(torch.rand(3, 8, 8), anomaly_map, 0.45, Thresholds(0.5, 0.6, 0.5, 0.4), {})
    assert (found.verdict, found.anomalous) == ("UNSURE", False)


def test_one_number_for_everything_is_a_plain_threshold() -> None:
    anomaly_map = torch.rand(8, 8)
    found = decided(torch.rand(3, 8, 8), anomaly_map, float(anomaly_map.max()), Thresholds.single(0.5), {})
    assert found.mask.equal(anomaly_map >= 0.5)


def test_numbers_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="outline"):
        Thresholds(outline=0.5, peak=0.4, defect=0.5, unsure=0.5)
    with pytest.raises(ValueError, match="unsure"):
        Thresholds(outline=0.5, peak=0.5, defect=0.4, unsure=0.5)


def shown(count: int, far: float, rng: torch.Generator) -> torch.Tensor:
    """Evidence of which only the last piece tells."""
    pieces = torch.randn(count, len(PIECES), generator=rng)
    pieces[:, -1] += far
    return pieces


def test_a_judge_hears_what_tells_and_separates_by_it(rng: torch.Generator) -> None:
    judge = Judge()
    judge.fit(shown(200, 0.0, rng), shown(20, 4.0, rng))
    assert judge.weights.argmax() == len(PIECES) - 1
    normal, anomalous = judge(shown(200, 0.0, rng)), judge(shown(200, 4.0, rng))
    assert (normal < 0.5).float().mean() > 0.9
    assert (anomalous > 0.5).float().mean() > 0.9


def test_more_evidence_never_lowers_the_score(rng: torch.Generator) -> None:
    """Also where a piece misled: no weight is negative."""
    judge = Judge()
    judge.fit(shown(50, 3.0, rng), shown(10, 0.0, rng))
    some = shown(20, 0.0, rng)
    assert (judge.weights >= 0).all()
    assert (judge(some + torch.rand(some.shape, generator=rng)) >= judge(some)).all()


def test_two_defect_images_are_enough_for_a_judge(rng: torch.Generator) -> None:
    judge = Judge()
    judge.fit(shown(30, 0.0, rng), shown(2, 4.0, rng))
    assert judge(shown(10, 0.0, rng)).isfinite().all()
    assert 0 < float(judge.weights.sum()) < 20
