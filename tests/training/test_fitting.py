from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flawtrace.ground.config import Config
from flawtrace.method.material import Material, covered
from flawtrace.method.predictor import Blended, Compact, Published, Views
from flawtrace.training.fitting import (
    Batch,
    Examples,
    Fit,
    Lesson,
    anywhere,
    folds,
    joined,
    one_cycle,
    over_a_defect,
    predict,
    turned_batch,
    under,
)

CPU = torch.device("cpu")
types = st.lists(st.sampled_from("abcd"), min_size=1, max_size=24)


def examples(count: int = 6) -> Examples:
    """16 cells of 2 pixels; defective where the first map of the profile is high, in blocks of 8 pixels."""
    rng = torch.Generator().manual_seed(2)
    profiles = torch.rand(count, 3, 4, 4, generator=rng).repeat_interleave(4, 2).repeat_interleave(4, 3)
    masks = (profiles[:, 0] > 0.7).repeat_interleave(2, 1).repeat_interleave(2, 2)
    canvases, pictures = (torch.rand(count, 3, side, side, generator=rng).half() for side in (16, 32))
    views = Views(profiles, *torch.zeros(2, count, 16, 16), canvases, pictures)
    return Examples(views, masks, covered(masks, 16))


def lesson(count: int = 6) -> Lesson:
    some = examples(count)
    low = replace(some.views, profiles=some.views.profiles.clamp(max=0.7))
    normal = Examples(low, torch.zeros_like(some.masks), torch.zeros_like(some.coverage))
    return Lesson(some, normal, some, some[torch.arange(0)])


def stepped(fit: Fit) -> float:
    fit.advance(lesson())
    return fit.loss


def weights(fit: Fit) -> torch.Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in fit.learner.network.parameters()])


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


@pytest.mark.parametrize("way", range(8))
def test_turning_keeps_views_and_masks_in_step(way: int) -> None:
    maps = torch.rand(2, 3, 8, 8)
    after = turned_batch(Batch(Views(maps, maps[:, 0], maps[:, 0], maps, maps), maps[:, 0]), way)
    assert all(part.equal(after.views.profiles) for part in (after.views.canvases, after.views.pictures))
    assert after.views.novelties.equal(after.masks)
    assert after.views.distances.equal(after.masks)
    assert after.views.profiles[:, 0].equal(after.masks)


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
        fit.advance(lesson())
        taken += 1
    assert taken == 3


def test_a_fit_learns_its_examples(material: Material, small: Callable[..., Config]) -> None:
    fit = Fit(0, small(predictor__steps=300, predictor__width=8, predictor__batch=8), material)
    losses = [stepped(fit) for _ in range(300)]
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
        whole.advance(lesson())
    rest.load(saved(whole.state()))
    assert rest.loss == whole.loss
    for fit in (whole, rest):
        while not fit.over:
            fit.advance(lesson())
    assert weights(rest).equal(weights(whole))


@pytest.mark.parametrize("side", [3, 4, 5])
def test_a_square_over_a_defect_has_it_anywhere(side: int, rng: torch.Generator) -> None:
    masks = torch.zeros(200, 40, 40, dtype=torch.bool)
    masks[:, 14:16, 18:20] = True  # one cell
    maps = torch.zeros(200, 1, 20, 20)
    views = Views(maps, maps[:, 0], maps[:, 0], maps, torch.zeros(200, 3, 40, 40))
    cut = Examples(views, masks, covered(masks, 20))
    batch = under(cut, torch.arange(200), over_a_defect(cut.defective, side, rng), side, cell=2)
    hits = batch.masks.flatten(1) > 0
    assert hits.sum(dim=1).tolist() == [4] * 200
    assert hits.any(dim=0).all()


def test_squares_anywhere_are_everywhere_and_at_the_border_as_well(rng: torch.Generator) -> None:
    """Of squares of half the image's side, a half shows the middle row, a quarter the first and the last."""
    centers = anywhere(torch.zeros(2000, 20, 20, dtype=torch.bool), 10, rng)
    assert len(set(map(tuple, centers.tolist()))) > 100
    tops = centers[:, 0] - 5
    shown = [float(((tops <= row) & (row < tops + 10)).float().mean()) for row in range(20)]
    assert shown[0] == pytest.approx(0.3, abs=0.05)
    assert shown[19] == pytest.approx(0.25, abs=0.05)
    assert min(shown) > 0.2


@pytest.mark.parametrize("side", [7, 8])
def test_a_square_shows_the_same_place_in_all_views(side: int) -> None:
    some = examples(2)
    coarse = some.masks.float()[:, None, ::2, ::2]
    pictures = some.masks.float()[:, None].expand(-1, 3, -1, -1)
    views = Views(coarse, coarse[:, 0], coarse[:, 0], coarse, pictures)
    centers = torch.tensor([[5, 9], [8, 4]])
    batch = under(Examples(views, some.masks, some.coverage), torch.arange(2), centers, side, cell=2)
    assert batch.views.profiles[:, 0].equal(batch.masks[:, ::2, ::2])
    assert batch.views.novelties.equal(batch.masks[:, ::2, ::2])
    assert batch.views.distances.equal(batch.masks[:, ::2, ::2])
    assert batch.views.pictures[:, 0].equal(batch.masks)


def test_batches_are_joined_in_their_order() -> None:
    some = examples(3)
    parts = [under(some, torch.tensor([row]), torch.tensor([[8, 8]]), 16, cell=2) for row in range(3)]
    assert joined(parts).masks.equal(some.masks.float())


def test_without_normal_or_pasted_images_the_labelled_ones_fill_the_batch(
    material: Material, small: Callable[..., Config]
) -> None:
    some = examples()
    none = some[torch.arange(0)]
    batch = Fit(0, small(predictor__batch=7), material)._batch(Lesson(some, none, none, none))
    assert len(batch.masks) == 7


def test_the_finished_predictor_ranks_defective_squares_higher(
    material: Material, small: Callable[..., Config]
) -> None:
    config = small(predictor__ranking=1.0, predictor__novelty=False, predictor__steps=5)
    fit = Fit(0, config, material)
    while not fit.over:
        fit.advance(lesson())
    network, some = fit.finish(lesson()), examples()
    assert isinstance(network, Compact)
    maps = predict(network, some)
    clear = covered(some.masks, 8).repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert maps[clear > 0.7].mean() > 2 * maps[clear < 0.1].mean()


def test_each_of_two_learns_from_its_own_part_of_a_lesson(
    material: Material, small: Callable[..., Config]
) -> None:
    """Where another part of it changes, a predictor learns the same."""
    config = small(predictor__self_supervised=0.4, predictor__steps=2)
    some = examples()
    other = replace(some, views=replace(some.views, profiles=1 - some.views.profiles))
    both = Lesson(some, some, some, some)

    def taught(learnt: Lesson) -> list[torch.Tensor]:
        fit = Fit(0, config, material)
        fit.advance(learnt)
        network = fit.finish(learnt)
        assert isinstance(network, Blended)
        pupils = network.supervised, network.self_supervised
        return [torch.cat([part.detach().reshape(-1) for part in pupil.parameters()]) for pupil in pupils]

    first, second = taught(both)
    first_of_others, second_of_others = taught(replace(both, made_up=other))
    assert first.equal(first_of_others)
    assert not second.equal(second_of_others)
    first_of_others, second_of_others = taught(replace(both, labelled=other, pasted=other))
    assert not first.equal(first_of_others)
    assert second.equal(second_of_others)


def test_members_begin_and_learn_differently(material: Material, small: Callable[..., Config]) -> None:
    assert not weights(Fit(0, small(), material)).equal(weights(Fit(1, small(), material)))


def test_the_same_member_learns_the_same(material: Material, small: Callable[..., Config]) -> None:
    one, other = Fit(0, small(), material), Fit(0, small(), material)
    assert [stepped(one) for _ in range(3)] == [stepped(other) for _ in range(3)]


def test_a_prediction_is_a_probability_and_does_not_depend_on_the_batch() -> None:
    network, many = Published(3), examples(20)
    maps = predict(network, many)
    assert 0 <= maps.min() <= maps.max() <= 1
    assert maps[17:18].allclose(predict(network, many[torch.tensor([17])]), atol=1e-6)
