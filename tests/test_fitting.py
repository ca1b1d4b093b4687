from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flawtrace.config import Config
from flawtrace.fitting import Examples, Fit, folds, one_cycle, predict, squares, turned
from flawtrace.material import Material
from flawtrace.predictor import Published

CPU = torch.device("cpu")
types = st.lists(st.sampled_from("abcd"), min_size=1, max_size=24)


def examples(count: int = 6) -> Examples:
    rng = torch.Generator().manual_seed(2)
    profiles = torch.rand(count, 3, 16, 16, generator=rng)
    return Examples(
        profiles, torch.rand(count, 3, 16, 16, generator=rng).half(), (profiles[:, 0] > 0.7).float()
    )


def weights(fit: Fit) -> torch.Tensor:
    return nn.utils.parameters_to_vector(fit.learner.network.parameters()).detach().clone()


@given(types, st.integers(2, 6))
def test_each_type_is_spread_over_the_folds(kinds: list[str], count: int) -> None:
    assigned = folds(kinds, count)
    for kind in set(kinds):
        sizes = [
            sum(k == kind and f == fold for k, f in zip(kinds, assigned, strict=True))
            for fold in range(count)
        ]
        assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 6), st.integers(1, 8))
def test_three_folds_are_never_empty(num_types: int, labels: int) -> None:
    kinds = sorted("abcdef"[:num_types] * labels)
    count = min(3, len(kinds))
    assert set(folds(kinds, count)) == set(range(count))


@given(st.integers(1, 6), st.integers(1, 8), st.integers(2, 6))
def test_no_fold_is_empty(num_types: int, labels: int, most: int) -> None:
    kinds = sorted("abcdef"[:num_types] * labels)
    count = min(most, len(kinds))
    assert set(folds(kinds, count)) == set(range(count))


def test_there_are_eight_ways_to_turn() -> None:
    batch = examples(1)
    ways = [tuple(turned(batch, way).coverage.flatten().tolist()) for way in range(8)]
    assert len(set(ways)) == 8


@pytest.mark.parametrize("way", range(8))
def test_turning_keeps_profile_canvas_and_coverage_in_step(way: int) -> None:
    maps = torch.rand(2, 1, 8, 8)
    after = turned(Examples(maps, maps, maps[:, 0]), way)
    assert after.profiles.equal(after.canvases)
    assert after.profiles[:, 0].equal(after.coverage)


def test_the_learning_rate_has_the_shape_of_torchs_one_cycle() -> None:
    steps, peak = 100, 0.003
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, total_steps=steps, final_div_factor=4000, cycle_momentum=False
    )
    theirs = []
    for _ in range(steps):
        theirs.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step() if len(theirs) < steps else None
    top = 0.3 * steps - 1  # torch is at its peak one step before 0.3, and at its end with the last step
    progress = [
        0.3 * i / top if i <= top else 0.3 + 0.7 * (i - top) / (steps - 1 - top) for i in range(steps)
    ]
    assert [one_cycle(peak, share) for share in progress] == pytest.approx(theirs, rel=1e-6)


def test_a_fit_takes_as_many_steps_as_it_is_told(material: Material, small: Callable[..., Config]) -> None:
    fit, taken = Fit(0, small(predictor__steps=3), material), 0
    while not fit.over:
        fit.advance(examples())
        taken += 1
    assert taken == 3


def test_a_fit_learns_its_examples(material: Material, small: Callable[..., Config]) -> None:
    fit = Fit(0, small(predictor__steps=150, predictor__width=8, predictor__batch=6), material)
    losses = [fit.advance(examples()) for _ in range(150)]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("stop", [1, 4])
def test_a_fit_loaded_in_the_middle_goes_on_to_the_same_bits(
    material: Material,
    small: Callable[..., Config],
    saved: Callable[[dict[str, Any]], dict[str, Any]],
    stop: int,
) -> None:
    whole, rest = Fit(1, small(), material), Fit(1, small(), material)
    for _ in range(stop):
        whole.advance(examples())
    rest.load(saved(whole.state()))
    for fit in (whole, rest):
        while not fit.over:
            fit.advance(examples())
    assert weights(rest).equal(weights(whole))


@pytest.mark.parametrize("side", [3, 4])
def test_half_of_the_squares_lie_over_a_defect_where_there_is_one(side: int, rng: torch.Generator) -> None:
    coverage = torch.zeros(400, 20, 20)
    coverage[:200, 7, 9] = 0.1
    centers = squares(coverage, side, rng)
    cut = Examples(torch.zeros(400, 1, 20, 20), torch.zeros(400, 1, 20, 20), coverage).under(centers, side)
    assert cut.coverage.shape == (400, side, side)
    hits = (cut.coverage[:200] > 0).flatten(1)
    assert 90 <= int(hits.any(dim=1).sum()) <= 130
    assert hits.any(dim=0).all(), "a defect may be anywhere in its square"
    assert len(set(map(tuple, centers[200:].tolist()))) > 100


def test_members_begin_and_learn_differently(material: Material, small: Callable[..., Config]) -> None:
    assert not weights(Fit(0, small(), material)).equal(weights(Fit(1, small(), material)))


def test_the_same_member_learns_the_same(material: Material, small: Callable[..., Config]) -> None:
    one, other = Fit(0, small(), material), Fit(0, small(), material)
    assert [one.advance(examples()) for _ in range(3)] == [other.advance(examples()) for _ in range(3)]


def test_a_prediction_is_a_probability_and_does_not_depend_on_the_batch() -> None:
    network, many = Published(3), examples(20)
    maps = predict(network, many)
    assert 0 <= maps.min() <= maps.max() <= 1
    assert maps[17:18].allclose(predict(network, many[torch.tensor([17])]), atol=1e-6)
