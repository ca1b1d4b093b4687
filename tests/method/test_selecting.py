import math
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rollouts import generator, stop_and_go_on, weights
from torch import nn

from flawtrace.ground.groups import PolicyConfig
from flawtrace.ground.learner import seeded
from flawtrace.method.ppo import clipped_policy_loss
from flawtrace.method.selecting import (
    Selecting,
    Selector,
    drawn,
    entropies,
    ordered_log_probs,
    pick_advantages,
    seen,
)
from flawtrace.method.walkers import SURVEYED, Geometry, Terrain, Walkers

CONFIG = PolicyConfig(channels=8, shown=6, lr=1e-2, discount=0.0, minibatch=64)
scores_of_five = st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5)


def selecting(config: PolicyConfig = CONFIG) -> Selecting:
    with seeded(1):
        return Selecting(Selector(config.channels), config)


def decided() -> Selecting:
    """One whose policy is no longer the uniform one of the beginning."""
    chooser = selecting()
    nn.init.normal_(chooser.policy.actor.weight, std=3.0, generator=generator(4))
    return chooser


def steps(chooser: Selecting, walkers: Walkers, rng: torch.Generator, count: int = 4) -> None:
    for _ in range(count):
        walkers.go(chooser.place(walkers, rng))
        walkers.remember(torch.rand(4, 8, 8, generator=rng))
        chooser.credit(walkers.places.centers.float().mean(dim=1))


def half_textured() -> Walkers:
    """Images that are textured on the left: four patches are chosen among those of all."""
    texture = torch.zeros(6, 24, 24)
    texture[:, :, :12] = 2
    images, statics = torch.rand(6, 3, 24, 24), torch.rand(6, 24, 24)
    return Walkers(images, statics, Geometry(4, 8, 16, 4), Terrain(texture, torch.zeros(6, 24, 24)))


@given(scores_of_five, st.integers(1, 5))
def test_the_probabilities_of_all_ordered_draws_add_up_to_1(scores: list[float], count: int) -> None:
    draws = torch.tensor(list(permutations(range(5), count)))
    log_probs = ordered_log_probs(torch.tensor(scores).expand(len(draws), 5), draws)
    assert log_probs.sum(dim=1).exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_each_pick_is_as_likely_as_by_hand_given_those_before_it() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).log()
    by_hand = torch.tensor([[3 / 10, 1 / 7, 4 / 6]])
    assert ordered_log_probs(scores, torch.tensor([[2, 0, 3]])).exp().allclose(by_hand)


@given(st.floats(-1e4, 1e4, width=32))
def test_a_number_added_to_all_scores_changes_no_probability(shift: float) -> None:
    scores, picks = torch.tensor([[0.0, 1.0, -2.0, 0.5]]), torch.tensor([[3, 0, 1]])
    assert ordered_log_probs(scores + shift, picks).allclose(ordered_log_probs(scores, picks), atol=1e-2)


def test_log_probabilities_and_gradients_are_numbers_however_far_scores_lie_apart() -> None:
    scores = torch.tensor([[500.0, -500.0, 0.0, 0.0]], requires_grad=True)
    log_probs = ordered_log_probs(scores, torch.tensor([[1, 0, 3, 2]]))
    log_probs.sum().backward()
    assert log_probs.tolist() == [[-1000.0, 0.0, pytest.approx(-math.log(2)), 0.0]]
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@given(st.integers(0, 1000), scores_of_five, st.integers(1, 5))
def test_no_candidate_is_drawn_twice(seed: int, scores: list[float], count: int) -> None:
    picks = drawn(torch.tensor(scores).expand(20, 5), count, generator(seed))
    assert all(len(set(some)) == count for some in picks.tolist())


def test_draws_come_as_often_as_they_are_likely(rng: torch.Generator) -> None:
    scores = torch.tensor([0.6, 0.3, 0.1]).log().expand(20_000, 3)
    picks = drawn(scores, 2, rng)
    likely = ordered_log_probs(scores, picks).sum(dim=1).exp()
    for draw in permutations(range(3), 2):
        same = (picks == torch.tensor(draw)).all(dim=1)
        assert same.float().mean().item() == pytest.approx(likely[same][0].item(), abs=0.012)


def test_equal_scores_have_the_entropy_of_so_many_candidates() -> None:
    assert entropies(torch.full((2, 50), 7.0)).tolist() == pytest.approx([math.log(50)] * 2)


def test_without_discount_the_advantage_is_the_reward_beyond_what_was_expected() -> None:
    rewards, expected = torch.rand(5, 3), torch.rand(5, 1)
    assert pick_advantages(rewards, expected, 0.0, 0.9).allclose(rewards - expected)


def test_what_comes_later_is_credited_to_all_picks_alike() -> None:
    rewards, expected = torch.tensor([[1.0, 3.0], [4.0, 8.0]]), torch.tensor([[0.5], [1.0]])
    later = 0.9 * 1.0 + 0.9 * 0.8 * (6.0 - 1.0)
    by_hand = torch.tensor([[0.5 + later, 2.5 + later], [3.0, 7.0]])
    assert pick_advantages(rewards, expected, 0.9, 0.8).allclose(by_hand)


def test_the_policy_sees_every_plane_between_minus_1_and_1() -> None:
    surveys = torch.rand(2, SURVEYED, 3, 3) * torch.tensor([1, 90, 1, 90, 90])[:, None, None]
    surveys[:, 3:] -= 45
    assert seen(surveys).abs().max() <= 1


def test_the_policy_begins_with_uniform_sampling(walkers: Walkers, rng: torch.Generator) -> None:
    _, survey = walkers.survey(8, rng)
    scores, _ = selecting().policy(survey[None])
    assert scores.tolist() == [[0.0] * 8 * 49]


def test_a_score_depends_on_the_candidates_around_alone() -> None:
    policy, surveys = decided().policy, torch.rand(1, 1, SURVEYED, 7, 7)
    other = surveys.clone()
    other[..., 4:, 4:] = 0
    changed = (policy(surveys)[0] != policy(other)[0]).view(7, 7)
    assert not changed[:3].any()
    assert not changed[:, :3].any()
    assert changed[3:, 3:].all()


def test_patches_of_an_update_are_different_places(walkers: Walkers, rng: torch.Generator) -> None:
    chooser = decided()
    walkers.begin(rng)
    for _ in range(20):
        places = chooser.place(walkers, rng)
        spots = torch.cat([places.images[:, None], places.centers], dim=1)
        assert len(set(map(tuple, spots.tolist()))) == 4


@pytest.mark.parametrize("pick", [0, 1])
@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_paid_pick_becomes_likelier_and_one_that_is_fined_less_likely(
    walkers: Walkers, rng: torch.Generator, pick: int, advantage: float
) -> None:
    policy, advantages = decided().policy, torch.zeros(2)
    advantages[pick] = advantage
    walkers.errors.uniform_(generator=rng)
    _, survey = walkers.survey(8, rng)

    def log_probs() -> torch.Tensor:
        return ordered_log_probs(policy(survey[None])[0], torch.tensor([[5, 100]])).flatten()

    before = log_probs().detach()
    clipped_policy_loss((log_probs() - before).exp(), advantages, clip=0.2).backward()
    torch.optim.SGD(policy.parameters(), lr=1e-2).step()
    assert advantage * (log_probs() - before)[pick] > 0


def test_every_weight_feels_the_loss(walkers: Walkers, rng: torch.Generator) -> None:
    policy = decided().policy
    walkers.errors.uniform_(generator=rng)
    walkers.visits.uniform_(generator=rng)
    scores, values = policy(walkers.survey(8, rng)[1][None])
    (ordered_log_probs(scores, torch.tensor([[3, 50, 200]])).sum() + values.square().sum()).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in policy.parameters())


def test_before_it_learns_every_ratio_is_1(walkers: Walkers, rng: torch.Generator) -> None:
    chooser = decided()
    walkers.begin(rng)
    steps(chooser, walkers, rng)
    surveys, picks, log_probs, values, _ = map(torch.cat, chooser.state()["rollout"][:-1])
    scores, again = chooser.policy(surveys)
    assert (ordered_log_probs(scores, picks) - log_probs).exp().allclose(torch.ones(4, 4), atol=1e-5)
    assert again.gather(1, picks).allclose(values, atol=1e-5)


def test_the_first_step_of_learning_clips_nothing(walkers: Walkers, rng: torch.Generator) -> None:
    chooser = selecting(CONFIG.model_copy(update={"epochs": 1}))
    walkers.begin(rng)
    steps(chooser, walkers, rng)
    stats = chooser.learn(rng)
    assert stats is not None
    assert stats.clipped_fraction == 0


@pytest.mark.parametrize("shown", [2, 100])
def test_the_policy_learns_to_select_what_is_paid_for(shown: int) -> None:
    """Patches on the textured half; of nine candidates of an image three lie wholly on it."""
    walkers, rng, chooser = (
        half_textured(),
        generator(3),
        selecting(CONFIG.model_copy(update={"shown": shown})),
    )
    for _ in range(30):
        walkers.begin(rng)
        hits = []
        for _ in range(8):
            walkers.go(chooser.place(walkers, rng))
            hits.append((walkers.places.centers[:, 1] <= 8).float())
            chooser.credit(hits[-1])
        stats = chooser.learn(rng)
    assert torch.stack(hits).mean() > 0.95
    assert stats is not None
    assert stats.explained_variance > -0.5


def test_the_critic_learns_what_a_pick_returns() -> None:
    config = CONFIG.model_copy(update={"epochs": 20, "entropy_weight": 10.0})  # which keeps it exploring
    walkers, rng, chooser = half_textured(), generator(3), selecting(config)
    for _ in range(15):
        walkers.begin(rng)
        for _ in range(8):
            walkers.go(chooser.place(walkers, rng))
            chooser.credit((walkers.places.centers[:, 1] <= 8).float())
        stats = chooser.learn(rng)
    assert stats is not None
    assert stats.explained_variance > 0.8


def test_learning_changes_the_policy_unless_it_is_frozen(walkers: Walkers, rng: torch.Generator) -> None:
    for chooser, frozen in ((selecting(), False), (selecting(), True)):
        before = weights(chooser)
        walkers.begin(rng)
        if frozen:
            chooser.freeze()
        steps(chooser, walkers, rng)
        assert (chooser.learn(rng) is None) == frozen
        assert weights(chooser).equal(before) == frozen


def test_the_policy_learns_from_the_updates_it_is_told_to(walkers: Walkers, rng: torch.Generator) -> None:
    chooser = selecting(CONFIG.model_copy(update={"learns_from": 3}))
    walkers.begin(rng)
    steps(chooser, walkers, rng, count=5)
    assert [len(part) for part in chooser.state()["rollout"]] == [2] * 6


def test_a_sampler_loaded_in_mid_rollout_stop_and_go_on(
    walkers: Walkers, saved: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    chooser, other = selecting(), Selecting(Selector(CONFIG.channels), CONFIG)
    stop_and_go_on(chooser, other, walkers, steps, saved)
    assert weights(other).equal(weights(chooser))
