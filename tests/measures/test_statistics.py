"""Statistics: the mean is the rows', the interval covers seeds and images, differences are paired."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawtrace.measures.bootstrap import Difference, Estimate
from flawtrace.measures.rows import Row, grouped, of_type, value
from flawtrace.measures.statistics import MEAN, Section, across, estimate, labels_curve

F1 = "pixel_f1_max"
lawful = settings(deadline=None, derandomize=True, max_examples=40)
shares = st.floats(0, 1)


def row(found: float | None, seed: int = 0, spread: float = 0.0, shift: float = 0.0, **more: Any) -> Row:
    """One cell; its replicates lie around `found + shift`, the same draws for a seed whatever the method."""
    noise = np.random.default_rng(seed).normal(0, 1, 100)
    replicates = {} if found is None else {F1: (found + shift + spread * noise).tolist()}
    return {
        "trial": f"{more.get('category', 'grid')}-{more.get('left_out', '')}-{seed}",
        "category": "grid",
        "left_out": None,
        "labels": 5,
        "seed": seed,
        "method": "learned",
        "metrics": {F1: found},
        "replicates": replicates,
        **more,
    }


def without_replicates(*rows: Row) -> list[Row]:
    return [{**row, "replicates": {}} for row in rows]


def known(found: Estimate | None) -> Estimate:
    assert found is not None
    return found


def differing(found: Difference | None) -> Difference:
    assert found is not None
    return found


def paired(ours: list[Row], theirs: list[Row], metric: str) -> Difference | None:
    """The mean difference over all categories, as a section has it."""
    named = [{**row, "method": "ours"} for row in ours] + [{**row, "method": "theirs"} for row in theirs]
    return Section("", "five-per-type", 5, named).differences("ours", "theirs", metric)[MEAN]


@given(st.lists(shares, min_size=1, max_size=6))
@lawful
def test_the_mean_is_that_of_the_metrics_and_lies_in_its_interval(values: list[float]) -> None:
    rows = [row(found, seed, spread=0.01, shift=0.2) for seed, found in enumerate(values)]
    found = known(estimate(rows, F1))
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low <= found.mean <= found.high
    assert found.num == len(values)


@given(st.lists(shares, min_size=2, max_size=6), st.floats(-0.5, 0.5), st.floats(0.1, 10))
@lawful
def test_an_interval_moves_and_grows_with_its_numbers(
    values: list[float], shift: float, scale: float
) -> None:
    rows = [row(found, seed, spread=0.1) for seed, found in enumerate(values)]
    moved = [row(scale * found + shift, seed, spread=0.1 * scale) for seed, found in enumerate(values)]
    before, after = known(estimate(rows, F1)), known(estimate(moved, F1))
    assert [after.mean, after.low, after.high] == pytest.approx(
        [scale * bound + shift for bound in (before.mean, before.low, before.high)]
    )


def test_replicates_that_flatter_do_not_move_the_interval() -> None:
    fair = [row(0.5 + seed / 50, seed, spread=0.05) for seed in range(3)]
    flattered = [row(0.5 + seed / 50, seed, spread=0.05, shift=0.3) for seed in range(3)]
    first, second = known(estimate(fair, F1)), known(estimate(flattered, F1))
    assert [first.low, first.high] == pytest.approx([second.low, second.high])


def test_images_and_seeds_both_widen_an_interval() -> None:
    def width(*rows: Row) -> float:
        found = known(estimate(rows, F1))
        return found.high - found.low

    still = [row(0.5, seed) for seed in range(5)]
    images = [row(0.5, seed, spread=0.05) for seed in range(5)]
    seeds = [row(0.4 + seed / 20, seed) for seed in range(5)]
    both = [row(0.4 + seed / 20, seed, spread=0.05) for seed in range(5)]
    assert width(*still) == pytest.approx(0, abs=1e-12)
    assert width(*both) > max(width(*images), width(*seeds)) > 0.01


def test_chance_that_seeds_share_does_not_average_out() -> None:
    """Seeds whose replicates are the same, as they test on the same images: the width is that of one."""
    alone = known(estimate([row(0.5, 0, spread=0.1)], F1))
    shared = [{**row(0.5, 0, spread=0.1), "seed": seed, "trial": str(seed)} for seed in range(5)]
    together = known(estimate(shared, F1))
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.01)


def test_the_interval_of_one_seed_covers_the_images_alone_and_says_so() -> None:
    found = known(estimate([row(0.5, spread=0.1)], F1))
    assert found.images_only
    low, high = np.percentile(row(0.5, spread=0.1)["replicates"][F1], [2.5, 97.5])
    assert found.high - found.low == pytest.approx(high - low, rel=0.02)
    assert not known(estimate([row(0.5), row(0.6, seed=1)], F1)).images_only


def test_without_replicates_the_interval_is_of_the_seeds() -> None:
    found = known(estimate(without_replicates(row(0.4), row(0.6, 1)), F1))
    assert [found.low, found.mean, found.high] == pytest.approx([0.4, 0.5, 0.6])


def test_one_number_by_itself_has_no_interval() -> None:
    found = known(estimate(without_replicates(row(0.4)), F1))
    assert found.mean == 0.4
    assert not found.bounded
    difference = differing(paired(without_replicates(row(0.4)), without_replicates(row(0.1)), F1))
    assert not difference.exceeds_zero
    assert not difference.falls_below_zero


def test_rows_without_the_metric_do_not_enter() -> None:
    failed = {name: part for name, part in row(None, 2).items() if name not in ("metrics", "replicates")}
    found = known(estimate([row(0.4), row(None, 1), {**failed, "error": "no second type"}], F1))
    assert (found.mean, found.num) == (0.4, 1)
    assert estimate([row(None), {**failed, "error": "no second type"}], F1) is None
    assert estimate([], F1) is None


def test_the_same_rows_have_the_same_interval() -> None:
    rows = [row(0.4 + seed / 10, seed, spread=0.1) for seed in range(4)]
    assert estimate(rows, F1) == estimate(rows, F1)


def test_left_out_types_of_one_seed_count_as_one_seed() -> None:
    rows = [
        row(found, seed, left_out=name)
        for seed, base in enumerate([0.3, 0.5])
        for name, found in {"bent": base - 0.1, "cut": base, "glue": base + 0.1}.items()
    ]
    found = known(estimate(rows, F1))
    assert found.num == 2
    assert [found.mean, found.low, found.high] == pytest.approx([0.4, 0.3, 0.5])


def test_a_mean_over_categories_weighs_categories_not_rows() -> None:
    many, few = [row(0.2, seed) for seed in range(9)], [row(0.6, seed) for seed in range(3)]
    found = known(across([many, few, []], F1))
    assert found.mean == pytest.approx(0.4)
    assert found.num == 3


def test_categories_are_independent_so_their_mean_is_surer() -> None:
    groups = [
        [row(0.4 + seed / 20, seed, spread=0.05, category=name) for seed in range(5)]
        for name in ("grid", "leather", "tile", "wood")
    ]
    one, four = known(across(groups[:1], F1)), known(across(groups, F1))
    assert four.high - four.low == pytest.approx((one.high - one.low) / 2, rel=0.15)
    assert known(across(groups[::-1], F1)).low == pytest.approx(four.low)


@given(st.lists(st.tuples(shares, st.floats(-0.2, 0.2)), min_size=1, max_size=6))
@lawful
def test_chance_that_both_methods_share_leaves_a_difference_alone(values: list[tuple[float, float]]) -> None:
    ours = [row(found + gain, seed, spread=0.3) for seed, (found, gain) in enumerate(values)]
    theirs = [row(found, seed, spread=0.3) for seed, (found, gain) in enumerate(values)]
    gains = [gain for _, gain in values]
    found = differing(paired(ours, theirs, F1))
    assert found.mean == pytest.approx(np.mean(gains))
    assert min(gains) - 1e-9 <= found.low <= found.high <= max(gains) + 1e-9


def test_a_difference_is_over_the_trials_that_both_have() -> None:
    ours = [row(0.5 + seed / 10, seed) for seed in (0, 1, 2)]
    theirs = [row(0.1, 1), row(0.1, 2), row(0.9, 3), row(None, 0)]
    found = differing(paired(ours, theirs, F1))
    assert (found.pairs, found.num) == (2, 2)
    assert found.mean == pytest.approx(0.55)
    assert paired(ours, [row(0.4, 9)], F1) is None


@given(st.lists(st.tuples(shares, shares), min_size=2, max_size=5))
@lawful
def test_a_difference_turned_around_is_its_negative(values: list[tuple[float, float]]) -> None:
    ours = [row(a, seed, spread=0.1) for seed, (a, _) in enumerate(values)]
    theirs = [row(b, seed, spread=0.2) for seed, (_, b) in enumerate(values)]
    one, other = differing(paired(ours, theirs, F1)), differing(paired(theirs, ours, F1))
    assert [one.mean, one.low, one.high] == pytest.approx([-other.mean, -other.high, -other.low])
    assert one.exceeds_zero == other.falls_below_zero


def test_a_method_differs_from_itself_by_nothing() -> None:
    rows = [row(0.4 + seed / 10, seed, spread=0.1) for seed in range(3)]
    found = differing(paired(rows, rows, F1))
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert not found.exceeds_zero


def test_a_clear_gain_exceeds_zero_and_a_doubtful_one_does_not() -> None:
    theirs = [row(0.4, seed, spread=0.1) for seed in range(5)]
    clear = differing(paired([row(0.5, seed, spread=0.1) for seed in range(5)], theirs, F1))
    doubtful = differing(paired([row(0.36 + seed / 40, seed) for seed in range(5)], theirs, F1))
    assert clear.exceeds_zero
    assert not doubtful.exceeds_zero
    assert not doubtful.falls_below_zero


def test_differences_over_categories_count_all_their_trials() -> None:
    ours = [row(0.5, 0), row(0.6, 1), row(0.3, category="screw")]
    theirs = [row(0.4, 0), row(0.4, 1), row(0.3, category="screw"), row(0.9, category="wood")]
    found = differing(paired(ours, theirs, F1))
    assert (found.pairs, found.num) == (3, 1)
    assert found.mean == pytest.approx((0.15 + 0) / 2)


def test_the_labels_curve_is_in_the_order_of_numbers_and_leaves_out_what_is_missing() -> None:
    rows = [row(0.1 * labels, labels=labels) for labels in (4, 1)] + [row(None, labels=2)]
    curve = labels_curve(rows, F1)
    assert list(curve) == [1, 4]
    assert [found.mean for found in curve.values()] == pytest.approx([0.1, 0.4])
    assert labels_curve([], F1) == {}


def test_values_are_found_by_name() -> None:
    cell = {
        **row(0.8),
        "metrics": {F1: 0.8, "pixel_f1": 0.6, "image_ap": None},
        "validation": {F1: 0.7},
        "seconds": 180,
    }
    names = [F1, "f1_kept", "validation.pixel_f1_max", "seconds", "image_ap", "peak_memory_mb", "image_auroc"]
    assert [value(cell, name) for name in names] == [0.8, pytest.approx(0.75), 0.7, 180.0, None, None, None]
    assert value({**cell, "validation": None}, "validation.pixel_f1_max") is None
    assert value({**cell, "metrics": {F1: 0.0, "pixel_f1": 0.0}}, "f1_kept") is None


def test_rows_of_a_type_carry_its_metrics_and_no_replicates() -> None:
    rows = [{**row(0.5), "per_type": {"bent": {F1: 0.9}}}, {**row(0.5, 1), "per_type": {}}, {"error": "no"}]
    chosen = of_type(rows, "bent")
    assert [value(cell, F1) for cell in chosen] == [0.9]
    assert not known(estimate(chosen, F1)).bounded


def test_groups_keep_the_order_of_their_first_rows() -> None:
    rows = [row(0.1, category=name) for name in ("wood", "grid", "wood")]
    assert {name: len(group) for name, group in grouped(rows, "category").items()} == {"wood": 2, "grid": 1}
