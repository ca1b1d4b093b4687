from collections.abc import Callable
from typing import Any

import pytest
import torch
from rollouts import generator, stop_and_go_on, weights

from flawtrace.ground.groups import PolicyConfig
from flawtrace.ground.learner import seeded
from flawtrace.method import sampler
from flawtrace.method.sampler import Learned, Policy, random_walk, sample
from flawtrace.method.walkers import Geometry, Walkers

CONFIG = PolicyConfig(widths=(4,), hidden=16, lr=1e-2, discount=0.0, minibatch=64)
KINDS = ["learned", "selecting", "random-walk", "uniform", "edge-guided"]
CPU = torch.device("cpu")
PAID = 5


def learned(config: PolicyConfig = CONFIG, crop: int = 16) -> Learned:
    with seeded(1):
        return Learned(Policy(crop, config), config)


def steps(chooser: Learned, walkers: Walkers, rng: torch.Generator, count: int = 4) -> None:
    for _ in range(count):
        places = chooser.place(walkers, rng)
        walkers.go(places)
        chooser.credit(places.centers.float().mean(dim=1))


def test_actions_are_drawn_as_often_as_they_are_likely(rng: torch.Generator) -> None:
    logits = torch.tensor([0.7, 0.2, 0.1]).log().expand(20_000, 3)
    actions = sample(torch.distributions.Categorical(logits=logits), rng)
    assert (actions.bincount() / 20_000).allclose(torch.tensor([0.7, 0.2, 0.1]), atol=0.015)


def rate_of_the_best(chooser: Any, walkers: Walkers, best: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Train for some cycles, pay 1 for the best action of each observation; how often is it taken at last?"""
    rng, rate = generator(3), 0.0
    for _ in range(30):
        walkers.begin(rng)
        hits = []
        for _ in range(8):
            wanted = best(walkers.observe())
            moves = _recorded(chooser, walkers, rng)
            hits.append((moves == wanted).float())
            chooser.credit(hits[-1])
        chooser.learn(rng)
        rate = float(torch.stack(hits).mean())
    return rate


def _recorded(chooser: Any, walkers: Walkers, rng: torch.Generator) -> torch.Tensor:
    """The actions that `chooser` takes; the walkers go where they lead."""
    taken: list[torch.Tensor] = []

    class Watched(Walkers):
        def moved(self, actions: torch.Tensor, rng: torch.Generator) -> Any:
            taken.append(actions)
            return super().moved(actions, rng)

    walkers.__class__ = Watched
    walkers.go(chooser.place(walkers, rng))
    walkers.__class__ = Walkers
    return taken[0]


def half_bright() -> Walkers:
    """Images that are bright on the left or on the right, and walkers that see one of them whole."""
    images = torch.zeros(12, 3, 16, 16)
    images[:6, :, :, :8] = 1
    images[6:, :, :, 8:] = 1
    return Walkers(images, torch.zeros(12, 16, 16), Geometry(walkers=12, patch=16, crop=16, stride=4))


def bright_side(observations: torch.Tensor) -> torch.Tensor:
    """The action that shifts towards the bright half."""
    left, right = observations[:, 0, :, :8].mean(dim=(1, 2)), observations[:, 0, :, 8:].mean(dim=(1, 2))
    return torch.where(left > right, 1, 2)


def always_paid(observations: torch.Tensor) -> torch.Tensor:
    return torch.full((len(observations),), PAID)


def test_the_policy_finds_the_paid_action() -> None:
    assert rate_of_the_best(learned(), half_bright(), always_paid) > 0.9


def test_the_policy_finds_the_paid_action_with_batch_norm() -> None:
    config = CONFIG.model_copy(update={"batch_norm": True})
    assert rate_of_the_best(learned(config), half_bright(), always_paid) > 0.9


def test_the_policy_learns_to_look_where_the_paid_action_lies() -> None:
    assert rate_of_the_best(learned(), half_bright(), bright_side) > 0.9


def test_the_random_walk_takes_the_paid_action_one_time_in_nine(rng: torch.Generator) -> None:
    walkers = half_bright()
    walkers.begin(rng)
    chooser = sampler.build("random-walk", 16, CONFIG, 0, CPU)
    hits = torch.stack([_recorded(chooser, walkers, rng) == PAID for _ in range(200)])
    assert hits.float().mean().item() == pytest.approx(1 / 9, abs=0.02)


def test_learning_changes_the_policy(walkers: Walkers, rng: torch.Generator) -> None:
    chooser = learned()
    before = weights(chooser)
    walkers.begin(rng)
    steps(chooser, walkers, rng)
    assert chooser.learn(rng) is not None
    assert not weights(chooser).equal(before)


def test_a_frozen_policy_does_not_change(walkers: Walkers, rng: torch.Generator) -> None:
    chooser = learned()
    before = weights(chooser)
    walkers.begin(rng)
    chooser.freeze()
    steps(chooser, walkers, rng)
    assert chooser.learn(rng) is None
    assert weights(chooser).equal(before)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_first_step_of_learning_clips_nothing(
    walkers: Walkers, rng: torch.Generator, batch_norm: bool
) -> None:
    chooser = learned(CONFIG.model_copy(update={"batch_norm": batch_norm, "epochs": 1}))
    walkers.begin(rng)
    steps(chooser, walkers, rng)
    stats = chooser.learn(rng)
    assert stats is not None
    assert stats.clipped_fraction == 0


def test_the_policy_learns_from_the_steps_it_is_told_to(walkers: Walkers, rng: torch.Generator) -> None:
    chooser = learned(CONFIG.model_copy(update={"learns_from": 3}))
    walkers.begin(rng)
    steps(chooser, walkers, rng, count=5)
    assert [len(part) for part in chooser.state()["rollout"]] == [2] * 5


def test_the_policy_does_not_depend_on_who_else_is_in_the_batch() -> None:
    chooser = learned(CONFIG.model_copy(update={"batch_norm": True}))
    observations = torch.rand(5, 6, 16, 16)
    together = chooser.policy(observations)[0].probs
    assert together[:1].allclose(chooser.policy(observations[:1])[0].probs, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_sampler_loaded_in_mid_rollout_stop_and_go_on(
    walkers: Walkers, saved: Callable[[dict[str, Any]], dict[str, Any]], batch_norm: bool
) -> None:
    config = CONFIG.model_copy(update={"batch_norm": batch_norm})
    chooser, other = learned(config), Learned(Policy(16, config), config)
    stop_and_go_on(chooser, other, walkers, steps, saved)
    assert weights(other).equal(weights(chooser))


@pytest.mark.parametrize("kind", KINDS)
def test_every_sampler_places_patches_in_the_grid(kind: Any, walkers: Walkers, rng: torch.Generator) -> None:
    chooser = sampler.build(kind, 16, CONFIG, 0, CPU)
    walkers.begin(rng)
    for _ in range(30):
        walkers.go(chooser.place(walkers, rng))
        assert walkers.places.centers.min() >= 4
        assert walkers.places.centers.max() <= 28


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_builds_the_same_sampler(kind: Any, walkers: Walkers) -> None:
    def placed() -> torch.Tensor:
        walkers.begin(generator())
        return sampler.build(kind, 16, CONFIG, 5, CPU).place(walkers, generator(1)).centers

    assert placed().equal(placed())


def test_edge_guided_patches_prefer_a_high_static_map(walkers: Walkers, rng: torch.Generator) -> None:
    walkers.statics[:] = 0.01
    walkers.statics[:, 16:20, 16:20] = 1
    chooser = sampler.build("edge-guided", 16, CONFIG, 0, CPU)
    centers = torch.cat([chooser.place(walkers, rng).centers for _ in range(100)])
    inside = ((centers >= 16) & (centers < 20)).all(dim=1).float().mean()
    assert inside.item() == pytest.approx(16 / (16 + 0.01 * (32**2 - 16)), abs=0.1)


def test_the_random_walk_moves_by_whole_strides(walkers: Walkers, rng: torch.Generator) -> None:
    walkers.begin(rng)
    before = walkers.places
    after = random_walk(walkers, rng)
    stayed = after.images == before.images
    assert ((after.centers - before.centers)[stayed].abs() <= 4).all()


@pytest.mark.parametrize("kind", ["learned", "selecting"])
def test_episodes_are_learnt_from_together_each_with_its_own_end(
    walkers: Walkers, rng: torch.Generator, kind: str
) -> None:
    """Over both, the critic is as wrong as on average, and no ratio has left 1 before the first step."""
    config = CONFIG.model_copy(update={"epochs": 1, "minibatch": 1000, "discount": 0.9})

    def chooser() -> Any:
        return sampler.build(kind, 16, config, 7, CPU)  # type: ignore[arg-type] # (a name of it)

    episodes, errors = [], []
    for paid in (1.0, 3.0):
        alone = chooser()
        walkers.begin(rng)
        for _ in range(4):
            walkers.go(alone.place(walkers, rng))
            alone.credit(paid * walkers.places.centers.float().mean(dim=1))
        episodes.append(alone.episode())
        errors.append(alone.learn(rng).value_error)
    stats = chooser().learn(rng, episodes)
    assert stats.value_error == pytest.approx(sum(errors) / 2, rel=1e-5)
    assert errors[0] != pytest.approx(errors[1], rel=0.1)
    assert stats.clipped_fraction == 0
