from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from flawtrace.measures.metrics import (
    DEFECT,
    OK,
    UNSURE,
    Decided,
    balanced_f_max,
    best_threshold,
    image_ap,
    image_auroc,
    pixel_ap,
    pixel_aupro,
    pixel_auroc,
    pixel_f1,
    pixel_f1_max,
    precision_recall_points,
    reliability,
    roc_points,
    summary,
    verdict_rates,
)

Case = tuple[np.ndarray, np.ndarray]
Metric = Callable[[np.ndarray, np.ndarray], float | None]

pixel_metrics = pytest.mark.parametrize("metric", [pixel_auroc, pixel_ap, pixel_f1_max, pixel_aupro])
image_metrics = pytest.mark.parametrize("metric", [image_auroc, image_ap])
lawful = settings(deadline=None, derandomize=True, max_examples=60)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few small images with both classes; few levels make many ties, many levels nearly none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 7)), draw(st.integers(2, 7)))
    maps = rng.integers(0, draw(st.sampled_from([1, 3, 10, 1000])), shape).astype(float)
    masks = rng.random(shape) < draw(st.sampled_from([0.1, 0.4, 0.8]))
    masks.flat[0], masks.flat[-1] = True, False
    return maps + draw(st.sampled_from([0, 5])) * masks, masks


def one_image(values: Sequence[Sequence[float]], mask: list[list[int]]) -> Case:
    return np.array([values], dtype=float), np.array([mask], dtype=bool)


def pair_count_auroc(values: np.ndarray, anomalous: np.ndarray) -> float:
    differences = values[anomalous][:, None] - values[~anomalous][None, :]
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


def regions_by_flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    regions = []
    while left:
        region, border = set(), [left.pop()]
        while border:
            y, x = border.pop()
            region.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            border += near
        regions.append(region)
    return regions


def slow_aupro(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """Every threshold in turn, every region by itself, every trapezoid cut off at the limit."""
    regions = [(image, region) for image, mask in enumerate(masks) for region in regions_by_flood(mask)]
    curve = [(0.0, 0.0)]
    for threshold in sorted(set(maps.ravel()), reverse=True):
        found = maps >= threshold
        shares = [np.mean([found[image][pixel] for pixel in region]) for image, region in regions]
        curve.append((float(found[~masks].mean()), float(np.mean(shares))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            area += (end - x0) * (y0 + (y0 + (y1 - y0) * (end - x0) / (x1 - x0))) / 2
    return area / limit


@given(cases())
@lawful
def test_pixel_auroc_is_scikit_learns(case: Case) -> None:
    maps, masks = case
    assert pixel_auroc(maps, masks) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()))


@given(cases())
@lawful
def test_pixel_ap_is_scikit_learns(case: Case) -> None:
    maps, masks = case
    assert pixel_ap(maps, masks) == pytest.approx(average_precision_score(masks.ravel(), maps.ravel()))


@given(cases())
@lawful
def test_pixel_auroc_counts_pairs(case: Case) -> None:
    maps, masks = case
    assert pixel_auroc(maps, masks) == pytest.approx(pair_count_auroc(maps, masks))


@given(cases())
@lawful
def test_image_metrics_are_scikit_learns(case: Case) -> None:
    scores, anomalous = case[0].ravel(), case[1].ravel()
    assert image_auroc(scores, anomalous) == pytest.approx(roc_auc_score(anomalous, scores))
    assert image_ap(scores, anomalous) == pytest.approx(average_precision_score(anomalous, scores))


@given(cases(), st.sampled_from([0.05, 0.3, 0.77, 1.0]))
@lawful
def test_pixel_aupro_is_the_slow_ones(case: Case, limit: float) -> None:
    maps, masks = case
    assert pixel_aupro(maps, masks, limit) == pytest.approx(slow_aupro(maps, masks, limit))


@given(cases())
@lawful
def test_f1_max_is_the_best_of_all_thresholds(case: Case) -> None:
    maps, masks = case
    by_brute_force = [pixel_f1(maps, masks, threshold) or 0.0 for threshold in np.unique(maps)]
    assert pixel_f1_max(maps, masks) == max(by_brute_force)


@given(cases(), st.sampled_from([np.float16, np.float32, np.float64]))
@lawful
def test_the_best_threshold_gives_exactly_its_f1(case: Case, dtype: type[np.floating]) -> None:
    maps, masks = (case[0] / 7).astype(dtype), case[1]
    best = best_threshold(maps, masks)
    assert best is not None
    f1, threshold = best
    assert pixel_f1(maps, masks, threshold) == f1


@given(cases(), st.integers(0, 3))
@lawful
def test_the_balanced_f1_max_is_that_of_as_many_images_of_either_kind(case: Case, more: int) -> None:
    maps, masks = (np.concatenate([part, part[:1].repeat(more, 0)]) for part in case)
    masks[0] = False
    assume(masks.any())
    anomalous = masks.any(axis=(1, 2))
    times = np.where(anomalous, max(1, (~anomalous).sum()), anomalous.sum())
    alike = pixel_f1_max(maps.repeat(times, 0), masks.repeat(times, 0))
    assert balanced_f_max(maps, masks) == pytest.approx(alike)


def test_pixel_f1_counts_by_hand() -> None:
    maps, masks = one_image([[0.9, 0.8, 0.7, 0.1]], [[1, 0, 1, 1]])
    assert pixel_f1(maps, masks, 0.7) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


def test_f1_is_zero_when_both_classes_exist_and_nothing_is_predicted() -> None:
    assert pixel_f1(*one_image([[0.9, 0.8]], [[1, 0]]), threshold=1.0) == 0.0


def test_of_equal_f1_the_highest_threshold_is_taken() -> None:
    maps, masks = one_image([[4, 3, 2, 1, 0]], [[1, 0, 0, 1, 0]])
    assert best_threshold(maps, masks) == (2 / 3, 4.0)


def test_a_small_region_weighs_as_much_as_a_large_one() -> None:
    values = [[9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 1]]
    mask = [[1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1]]
    assert pixel_aupro(*one_image(values, mask)) == pytest.approx(1.0)
    missed = [[9, 9, 9, 9, 9, 9, 9, 9, 2, 2, 2, 1]]
    assert pixel_aupro(*one_image(missed, mask)) == pytest.approx(0.5)


def test_aupro_of_a_tie_follows_the_slope_up_to_the_limit() -> None:
    """The line runs from (0, 0.5) to (1, 1); at 0.3 it has reached 0.65."""
    maps, masks = one_image([[9, 0, 0, 0, 0]], [[1, 0, 1, 0, 0]])
    assert pixel_aupro(maps, masks) == pytest.approx((0.5 + 0.65) / 2)


def test_diagonal_neighbours_are_one_region() -> None:
    """Two thirds of one region; as two regions of areas 1 and 2 it would be a half, then 1."""
    values = [[5, 0, 0], [0, 5, 1], [0, 0, 0]]
    mask = [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    maps, masks = one_image(values, mask)
    maps[0, 2, 0] = 3
    assert pixel_aupro(maps, masks, limit=1 / 6) == pytest.approx(2 / 3)


def test_regions_do_not_reach_from_image_to_image() -> None:
    maps = np.array([[[5.0, 0.0, 0.0]], [[0.0, 1.0, 1.0]]])
    masks = np.array([[[True, False, False]], [[True, False, False]]])
    assert pixel_aupro(maps, masks, limit=0.5) == pytest.approx(0.5)


def test_normal_pixels_of_flawless_images_count_as_false_positives() -> None:
    maps = np.array([[[3.0, 0.0]], [[5.0, 5.0]]])
    masks = np.array([[[True, False]], [[False, False]]])
    assert pixel_aupro(maps, masks) == 0.0
    assert pixel_aupro(maps[:1], masks[:1]) == 1.0


@pixel_metrics
def test_a_perfect_map_has_the_value_one(metric: Metric) -> None:
    masks = np.zeros((3, 9, 9), bool)
    masks[0, 2:5, 3:4], masks[2, 7:, 7:] = True, True
    assert metric(masks.astype(float), masks) == 1.0


def test_a_constant_map_has_auroc_one_half() -> None:
    maps, masks = one_image([[3, 3, 3, 3]], [[1, 0, 1, 0]])
    assert pixel_auroc(maps, masks) == 0.5
    assert pixel_ap(maps, masks) == 0.5
    assert pixel_aupro(maps, masks) == pytest.approx(0.15)


@pixel_metrics
@given(case=cases())
@lawful
def test_only_the_order_of_values_matters(metric: Metric, case: Case) -> None:
    maps, masks = case
    assert metric(np.exp(maps / 1000) * 3 - 100, masks) == metric(maps, masks)


@pixel_metrics
@given(case=cases(), seed=st.integers(0, 100))
@lawful
def test_the_order_of_images_does_not_matter(metric: Metric, case: Case, seed: int) -> None:
    maps, masks = case
    order = np.random.default_rng(seed).permutation(len(maps))
    assert metric(maps[order], masks[order]) == pytest.approx(metric(maps, masks), abs=1e-12)


@pixel_metrics
@given(case=cases())
@lawful
def test_metrics_lie_between_zero_and_one(metric: Metric, case: Case) -> None:
    value = metric(*case)
    assert value is not None
    assert 0 <= value <= 1


@pixel_metrics
@pytest.mark.parametrize("only", [False, True])
def test_a_pixel_metric_of_one_class_is_none(metric: Metric, only: bool) -> None:
    assert metric(np.random.default_rng(0).random((2, 4, 4)), np.full((2, 4, 4), only)) is None


@image_metrics
@pytest.mark.parametrize("only", [False, True])
def test_an_image_metric_of_one_class_is_none(metric: Metric, only: bool) -> None:
    assert metric(np.array([0.1, 0.2]), np.array([only, only])) is None


def test_thresholds_and_curves_of_one_class_are_none() -> None:
    maps, masks = np.ones((1, 2, 2)), np.zeros((1, 2, 2), bool)
    assert best_threshold(maps, masks) is None
    assert pixel_f1(maps, masks, 0.5) is None
    assert roc_points(maps, masks) is None
    assert precision_recall_points(maps, masks) is None


def test_a_summary_of_normal_images_is_none_throughout() -> None:
    maps = np.ones((2, 2, 2))
    found = summary(maps, np.zeros((2, 2, 2), bool), np.ones(2), Decided.at(maps, np.ones(2), 0.5))
    known = {name for name, value in found.items() if value is not None}
    assert known == {"false_alarm_rate", "unsure_rate"}


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pixel_metrics
def test_a_broken_map_is_refused_by_the_index_of_its_image(metric: Metric, broken: float) -> None:
    maps, masks = np.zeros((5, 2, 2)), np.zeros((5, 2, 2), bool)
    maps[3, 1, 0], masks[0, 0, 0] = broken, True
    with pytest.raises(ValueError, match="Image 3"):
        metric(maps, masks)


def test_a_broken_score_is_refused_by_the_index_of_its_image() -> None:
    with pytest.raises(ValueError, match="Image 1"):
        image_auroc(np.array([0.5, np.nan]), np.array([True, False]))


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.5])
def test_aupro_refuses_a_limit_that_is_no_rate(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        pixel_aupro(*one_image([[1, 0]], [[1, 0]]), limit=limit)


def test_a_metric_leaves_its_inputs_as_they_were() -> None:
    rng = np.random.default_rng(0)
    maps, masks = rng.random((2, 5, 5)), rng.random((2, 5, 5)) < 0.3
    before = maps.copy()
    summary(maps, masks, maps.max(axis=(1, 2)), Decided.at(maps, maps.max(axis=(1, 2)), 0.5))
    assert_array_equal(maps, before)


@given(cases())
@lawful
def test_a_summary_repeats_the_single_metrics(case: Case) -> None:
    maps, masks = case
    scores = maps.max(axis=(1, 2))
    anomalous: np.ndarray = np.any(masks, axis=(1, 2))
    assert summary(maps, masks, scores, Decided.at(maps, scores, 2.0)) == {
        "pixel_auroc": pixel_auroc(maps, masks),
        "pixel_ap": pixel_ap(maps, masks),
        "pixel_f1_max": pixel_f1_max(maps, masks),
        "pixel_aupro": pixel_aupro(maps, masks),
        "image_auroc": image_auroc(scores, anomalous),
        "image_ap": image_ap(scores, anomalous),
        "pixel_f1": pixel_f1(maps, masks, 2.0),
        **verdict_rates(np.where(scores >= 2.0, DEFECT, OK), anomalous),
    }


def test_verdicts_are_counted_by_kind_of_image() -> None:
    anomalous = np.array([False] * 4 + [True] * 4)
    verdicts = np.array([OK, UNSURE, DEFECT, OK, OK, UNSURE, DEFECT, DEFECT])
    assert verdict_rates(verdicts, anomalous) == {
        "false_alarm_rate": 0.25,
        "miss_rate": 0.25,
        "unsure_rate": 0.25,
        "image_f1": pytest.approx(2 * 2 / (3 + 4)),
    }
    assert verdict_rates(verdicts[:4], anomalous[:4])["miss_rate"] is None


@given(cases())
@lawful
def test_the_roc_curve_is_scikit_learns(case: Case) -> None:
    maps, masks = case
    points = roc_points(maps, masks, at_most=10_000)
    assert points is not None
    expected = np.column_stack(roc_curve(masks.ravel(), maps.ravel(), drop_intermediate=False)[:2])
    assert {tuple(point) for point in points} <= {tuple(point) for point in expected}
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(pixel_auroc(maps, masks))


@given(cases())
@lawful
def test_each_point_of_precision_and_recall_is_one_of_scikit_learns(case: Case) -> None:
    maps, masks = case
    points = precision_recall_points(maps, masks, at_most=10_000)
    precision, recall, _ = precision_recall_curve(masks.ravel(), maps.ravel())
    assert points is not None
    expected = np.column_stack([recall, precision])
    distance = np.abs(points[:, None] - expected[None]).max(axis=2).min(axis=1)
    assert_allclose(distance, 0, atol=1e-12)


def test_a_thinned_curve_is_short_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    maps, masks = rng.random((2, 40, 40)), rng.random((2, 40, 40)) < 0.3
    for points, start, end in [
        (roc_points(maps, masks, at_most=50), (0, 0), (1, 1)),
        (precision_recall_points(maps, masks, at_most=50), (0, 1), (1, masks.mean())),
    ]:
        assert points is not None
        assert 10 < len(points) <= 50
        assert_allclose(points[[0, -1]], [start, end])


def test_on_maps_that_are_probabilities_reliability_is_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((6, 64, 64)).astype(np.float32)
    masks = rng.random(maps.shape) < maps
    points = reliability(maps, masks)
    assert len(points) == 10
    assert np.allclose(points[:, 0], points[:, 1], atol=0.03)


def test_reliability_does_not_depend_on_how_many_normal_images_there_are() -> None:
    maps = np.full((2, 8, 8), 0.55, np.float32)
    masks = np.zeros((2, 8, 8), bool)
    masks[0] = True
    many = reliability(maps[[0, 1, 1, 1]], masks[[0, 1, 1, 1]])
    assert np.allclose(many, [[0.55, 0.5]])
    assert np.allclose(many, reliability(maps, masks))
