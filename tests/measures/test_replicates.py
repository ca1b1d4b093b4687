"""Replicates: what the metrics would be had other images been drawn, without ranking them again."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from flawtrace.measures.metrics import RATES, Decided, Maps, Masks, Scores, summary
from flawtrace.measures.replicates import Weights, draws, replicates

Trial = tuple[np.ndarray, np.ndarray, np.ndarray]
NAMES = ["pixel_auroc", "pixel_ap", "pixel_f1_max", "pixel_aupro", "image_auroc", "image_ap", "pixel_f1"]
NAMES += RATES
THRESHOLD = 0.6
COARSENING = 0.005
GOLDEN = [[1, 2, 0, 3, 0, 0, 1], [0, 2, 1, 3, 1, 0, 0]]
lawful = settings(deadline=None, derandomize=True, max_examples=25)


def trial(seed: int = 0, num: int = 16, side: int = 40, levels: int | None = None) -> Trial:
    """Maps, masks and scores: every other image has defects of several sizes, some of them missed."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((num, side, side), bool)
    maps = rng.beta(2, 5, (num, side, side)).astype(np.float32)
    for image in range(0, num, 2):
        for _ in range(rng.integers(1, 4)):
            y, x, extent = *rng.integers(0, side - 4, 2), rng.integers(2, side // 4)
            masks[image, y : y + extent, x : x + extent // 2 + 1] = True
        maps[image] += masks[image] * rng.uniform(0, 0.6)
    if levels:
        maps = np.round(maps * levels) / np.float32(levels)
    return maps, masks, maps.max(axis=(1, 2))


def measured(maps: Maps, masks: Masks, scores: Scores) -> dict[str, float | None]:
    return summary(maps, masks, scores, Decided.at(maps, scores, THRESHOLD))


def resampled(maps: Maps, masks: Masks, scores: Scores, weights: Weights) -> dict[str, list[float]]:
    return replicates(maps, masks, scores, Decided.at(maps, scores, THRESHOLD), weights)


def explicit(case: Trial, row: np.ndarray) -> dict[str, float | None]:
    """`summary` of the images, each as often as drawn."""
    return measured(*(np.repeat(part, row, axis=0) for part in case))


def ones(num: int) -> Weights:
    return np.ones((1, num), dtype=np.int64)


def assert_agree(
    found: dict[str, list[float]], index: int, exact: dict[str, float | None], by: float
) -> None:
    assert {name: values[index] for name, values in found.items()} == pytest.approx(exact, abs=by)


@given(seed=st.integers(0, 10_000), levels=st.sampled_from([None, 8, 100, 3000]))
@lawful
def test_a_replicate_is_the_summary_of_the_resampled_images(seed: int, levels: int | None) -> None:
    case = trial(seed, levels=levels)
    weights = draws(str(seed), case[1].any(axis=(1, 2)), count=4)
    found = resampled(*case, weights)
    for index, row in enumerate(weights):
        assert_agree(found, index, explicit(case, row), by=COARSENING)


@given(seed=st.integers(0, 10_000))
@lawful
def test_weights_of_one_give_the_summary(seed: int) -> None:
    case = trial(seed, side=60)
    assert_agree(resampled(*case, ones(16)), 0, measured(*case), by=COARSENING)


@given(seed=st.integers(0, 10_000), levels=st.sampled_from([1, 3, 20, 200]))
@lawful
def test_with_few_levels_every_replicate_is_exact_to_its_digits(seed: int, levels: int) -> None:
    case = trial(seed, levels=levels)
    weights = draws("ties", case[1].any(axis=(1, 2)), count=3)
    found = resampled(*case, weights)
    for index, row in enumerate(weights):
        assert_agree(found, index, explicit(case, row), by=0.5001e-4)


def test_small_regions_keep_their_weight_beside_huge_ones() -> None:
    """Two of three regions have four pixels each; quantiles of pixels alone would pass over them."""
    rng = np.random.default_rng(3)
    masks = np.zeros((4, 200, 200), bool)
    masks[0, :190, :190], masks[1, :2, :2], masks[1, 9:11, 9:11] = True, True, True
    maps = rng.random((4, 200, 200)).astype(np.float32)
    maps[0] += masks[0] * 0.3
    case = maps, masks, maps.max(axis=(1, 2))
    row = np.array([1, 5, 1, 2])
    assert_agree(resampled(*case, row[None]), 0, explicit(case, row), by=COARSENING)


def test_the_resamples_of_a_trial_are_the_same_for_every_method() -> None:
    anomalous = np.arange(20) % 3 == 0
    assert_array_equal(draws("grid-five-per-type-42", anomalous), draws("grid-five-per-type-42", anomalous))
    assert (draws("grid-five-per-type-43", anomalous) != draws("grid-five-per-type-42", anomalous)).any()


def test_the_resamples_are_those_that_published_rows_were_made_with() -> None:
    """Numbers of another release, or of another machine, are still paired with these."""
    anomalous = np.array([True, True, True, False, False, False, False])
    assert draws("grid-five-per-type-42", anomalous, count=2).tolist() == GOLDEN


def test_without_names_an_image_is_known_by_its_place() -> None:
    anomalous = np.arange(9) % 3 == 0
    assert_array_equal(draws("trial", anomalous), draws("trial", anomalous, names=list("012345678")))


def test_trials_with_the_same_images_draw_them_alike() -> None:
    """Nine tenths of the images are shared: their weights correlate, those of another category do not."""
    anomalous = np.arange(100) < 50
    names = [str(image) for image in range(110)]
    first = draws("grid", anomalous, names=names[:100])
    second = draws("grid", anomalous, names=[*names[:45], *names[100:105], *names[50:95], *names[105:]])
    elsewhere = draws("wood", anomalous, names=names[:100])
    shared = np.r_[0:45, 50:95]
    assert np.corrcoef(first[:, shared].ravel(), second[:, shared].ravel())[0, 1] > 0.85
    assert abs(np.corrcoef(first.ravel(), elsewhere.ravel())[0, 1]) < 0.05


def test_the_order_of_names_does_not_matter() -> None:
    anomalous, names = np.arange(12) < 5, [f"{image}.png" for image in range(12)]
    order = np.random.default_rng(0).permutation(12)
    shuffled = draws("grid", anomalous[order], names=[names[place] for place in order])
    assert_array_equal(shuffled, draws("grid", anomalous, names=names)[:, order])


def test_a_draw_is_uniform_with_replacement() -> None:
    """Weights of n draws have mean 1, variance 1 - 1/n and covariance -1/n."""
    weights = draws("trial", np.zeros(5, bool), count=20_000)
    expected = np.eye(5) - 1 / 5
    assert np.abs(np.cov(weights.T) - expected).max() < 0.03
    assert np.abs(weights.mean(axis=0) - 1).max() < 0.02


@given(num_normal=st.integers(0, 30), num_anomalous=st.integers(1, 30))
@lawful
def test_each_class_keeps_its_number_of_images(num_normal: int, num_anomalous: int) -> None:
    anomalous = np.arange(num_normal + num_anomalous) < num_anomalous
    weights = draws("trial", anomalous, count=7)
    assert weights.shape == (7, num_normal + num_anomalous)
    assert (weights[:, anomalous].sum(axis=1) == num_anomalous).all()
    assert (weights[:, ~anomalous].sum(axis=1) == num_normal).all()


def test_resamples_differ_and_draw_each_image_once_on_average() -> None:
    weights = draws("trial", np.arange(50) < 25, count=400)
    assert len(np.unique(weights, axis=0)) == 400
    assert np.abs(weights.mean(axis=0) - 1).max() < 0.25


def test_there_is_one_number_per_resample_and_metric() -> None:
    case = trial()
    found = resampled(*case, draws("trial", case[1].any(axis=(1, 2))))
    assert sorted(found) == sorted(NAMES)
    assert all(len(values) == 100 for values in found.values())
    assert all(value == round(value, 4) for values in found.values() for value in values)


def test_without_a_threshold_there_is_no_f1_at_it() -> None:
    assert sorted(replicates(*trial(), None, ones(16))) == sorted(set(NAMES) - {"pixel_f1", *RATES})


def test_without_normal_images_there_are_no_image_metrics() -> None:
    maps, masks, scores = (part[::2] for part in trial())
    found = resampled(maps, masks, scores, ones(8))
    assert sorted(found) == sorted(
        {"miss_rate", "unsure_rate", *(name for name in NAMES if name.startswith("pixel"))}
    )


def test_without_anomalous_images_there_is_nothing() -> None:
    assert set(resampled(*(part[1::2] for part in trial()), ones(8))) == {"false_alarm_rate", "unsure_rate"}


def test_a_resample_of_one_class_is_refused() -> None:
    weights = ones(16)
    weights[0, ::2] = 0
    with pytest.raises(ValueError, match="one class"):
        resampled(*trial(), weights)


def test_a_broken_map_is_refused_by_the_index_of_its_image() -> None:
    maps, masks, scores = trial()
    maps[5, 0, 0] = np.nan
    with pytest.raises(ValueError, match="Image 5"):
        resampled(maps, masks, scores, ones(16))


def test_the_inputs_stay_as_they_were() -> None:
    case = trial()
    before = [part.copy() for part in case]
    resampled(*case, ones(16))
    for part, copy in zip(case, before, strict=True):
        assert_array_equal(part, copy)


@pytest.mark.slow
def test_a_large_trial_takes_seconds() -> None:
    case = trial(num=60, side=256)
    begun = time.process_time()
    resampled(*case, draws("large", case[1].any(axis=(1, 2))))
    assert time.process_time() - begun < 10


def test_ignored_pixels_might_as_well_not_be_there() -> None:
    """Metrics and replicates of the left half are those of whole images whose right half is ignored."""
    maps, masks, scores = trial()
    half = masks.shape[2] // 2
    masks[:, :, half:] = False
    ignored = np.zeros_like(masks)
    ignored[:, :, half:] = True
    weights = draws("halves", masks.any(axis=(1, 2)), 20)
    whole = maps, masks, scores, Decided.at(maps, scores, THRESHOLD)
    left = maps[:, :, :half], masks[:, :, :half], scores, Decided.at(maps[:, :, :half], scores, THRESHOLD)
    assert summary(*whole, ignored=ignored) == summary(*left) != summary(*whole)
    assert replicates(*whole, weights, ignored=ignored) == replicates(*left, weights)
