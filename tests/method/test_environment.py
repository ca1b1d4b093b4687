import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from torch import nn

from flawtrace.ground.config import Config
from flawtrace.ground.groups import RewardConfig
from flawtrace.ground.learner import generator
from flawtrace.method.autoencoder import reconstruction_loss
from flawtrace.method.credit import credited, uphill
from flawtrace.method.cycle import Cycle, scout, terrain
from flawtrace.method.environment import PatchEnv
from flawtrace.method.material import Material
from flawtrace.method.patches import crop
from flawtrace.method.profile import observe, scale_errors
from flawtrace.method.reward import beta, composite_reward

Small = Callable[..., Config]
SaveAndLoad = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def statics(material: Material) -> torch.Tensor:
    return torch.rand(8, 32, 32, generator=generator(5))


@pytest.fixture
def cycle(material: Material, statics: torch.Tensor, small: Small) -> Cycle:
    return Cycle(material, statics, small())


@pytest.fixture
def env(cycle: Cycle) -> PatchEnv:
    return PatchEnv(cycle)


class AsOne(gymnasium.Env[np.ndarray, np.ndarray]):
    """The walkers as one environment with one batch of actions, for Gymnasium's checker."""

    def __init__(self, env: PatchEnv) -> None:
        self.env = env
        self.observation_space, self.action_space = env.observation_space, env.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: np.ndarray) -> Any:
        observations, rewards, over, cut, info = self.env.step(action)
        return observations, float(rewards.mean()), bool(over.all()), bool(cut.any()), info


def weights(network: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def played(env: PatchEnv, seed: int, steps: int = 5) -> list[np.ndarray]:
    seen = [env.reset(seed=seed)[0]]
    for step in range(steps):
        observations, rewards, *_ = env.step((np.arange(env.num_envs) + step) % 9)
        seen += [observations, rewards]
    return seen


def advanced(cycle: Cycle, updates: int) -> list[float]:
    return [cycle.advance(cycle.walkers.anywhere(cycle.rng))[1].reward for _ in range(updates)]


@pytest.mark.filterwarnings("ignore:.*Box observation space (minimum|maximum) value is")
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_the_environment_passes_gymnasiums_checker(env: PatchEnv) -> None:
    check_env(AsOne(env), skip_render_check=True)


def test_there_is_one_environment_per_walker(env: PatchEnv) -> None:
    assert env.num_envs == 6
    assert env.observation_space.shape == (6, 6, 16, 16)
    assert env.action_space.shape == (6,)
    assert env.single_action_space.n == 9


def test_observations_and_rewards_are_what_the_spaces_say(env: PatchEnv) -> None:
    observations, _ = env.reset(seed=0)
    following, rewards, over, cut, _ = env.step(env.action_space.sample())
    assert observations in env.observation_space
    assert following in env.observation_space
    assert [part.shape for part in (rewards, over, cut)] == [(6,)] * 3


def test_the_environment_says_that_it_does_not_reset_itself(env: PatchEnv) -> None:
    assert env.metadata["autoreset_mode"] == AutoresetMode.DISABLED


def test_all_walkers_end_with_the_last_update(env: PatchEnv) -> None:
    env.reset(seed=0)
    ends = [env.step(np.zeros(6, dtype=np.int64))[2].tolist() for _ in range(8)]
    assert ends == [[False] * 6] * 7 + [[True] * 6]


def test_a_step_after_the_end_asks_for_a_reset(env: PatchEnv) -> None:
    played(env, seed=0, steps=3)
    advanced(env.cycle, 5)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(6, dtype=np.int64))


def test_the_same_seed_gives_the_same_trajectory(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    one, other = (played(PatchEnv(Cycle(material, statics, small())), seed=3) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_another_seed_gives_another_trajectory(env: PatchEnv) -> None:
    assert not np.array_equal(played(env, seed=3)[0], played(env, seed=4)[0])


def test_beta_falls_from_1_to_0_and_stays_there() -> None:
    assert [beta(RewardConfig(decay=20), update) for update in (0, 5, 20, 99)] == [1.0, 0.75, 0.0, 0.0]


def test_the_composite_reward_is_as_by_hand() -> None:
    parts = torch.tensor([0.5, 0.75]), torch.tensor([-0.5, -1.0]), torch.tensor(-2.0)
    config = RewardConfig(clone=2.0, cover=1.0, prediction=0.5)
    rewards = composite_reward(*parts, 0.25, config)
    assert rewards.tolist() == [0.25 * (1 - 0.5) + 0.75 * -1, 0.25 * (1.5 - 1) + 0.75 * -1]


def test_without_exploration_the_reward_is_the_predictors_alone() -> None:
    parts = torch.rand(3), torch.rand(3), torch.tensor(0.5)
    rewards = composite_reward(*parts, 0.25, RewardConfig(clone=0.0, cover=0.0))
    assert rewards.tolist() == [0.375] * 3


def test_texture_and_new_ground_are_paid_to_the_walker_that_found_them(cycle: Cycle) -> None:
    places = cycle.walkers.anywhere(cycle.rng)
    rewards, feedback = cycle.advance(places)
    again, later = cycle.advance(places)
    assert rewards.unique().numel() > 1
    assert feedback.cover == -0.5
    assert later.cover <= -1 / (1 + math.exp(-1)) + 1e-6
    assert (again < rewards).all()


def losses_and_rewards(cycle: Cycle) -> tuple[list[float | None], list[float]]:
    feedbacks = [cycle.advance(cycle.walkers.anywhere(cycle.rng))[1] for _ in range(cycle.config.updates)]
    return [f.prediction_loss for f in feedbacks], [f.prediction for f in feedbacks]


def test_as_value_the_reward_is_minus_the_loss_once_it_is_known(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    losses, rewards = losses_and_rewards(Cycle(material, statics, small(reward__prediction_as="value")))
    assert losses[0] is None
    assert losses[-1] is not None
    assert rewards == pytest.approx([-(loss or 0.0) for loss in losses])


def test_as_decrease_an_autoencoder_that_stands_still_earns_nothing(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    _, rewards = losses_and_rewards(Cycle(material, statics, small(autoencoder__lr=1e-12)))
    assert rewards == pytest.approx([0.0] * len(rewards), abs=1e-5)


def test_as_decrease_an_autoencoder_that_learns_moves_the_reward(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    _, rewards = losses_and_rewards(Cycle(material, statics, small(autoencoder__lr=0.1)))
    assert max(abs(reward) for reward in rewards) > 1e-5


def test_the_parts_of_the_reward_add_up(cycle: Cycle) -> None:
    advanced(cycle, 5)
    _, f = cycle.advance(cycle.walkers.anywhere(cycle.rng))
    assert f.reward == pytest.approx(f.exploration + (1 - f.beta) * f.prediction, abs=1e-6)
    assert f.exploration == pytest.approx(f.beta * (f.clone + f.cover), abs=1e-6)


def test_beta_goes_on_from_cycle_to_cycle(cycle: Cycle) -> None:
    advanced(cycle, 8)
    cycle.begin(1)
    _, feedback = cycle.advance(cycle.walkers.anywhere(cycle.rng))
    assert feedback.beta == 1 - 9 / 20


def test_the_share_of_sampled_defects_is_that_under_the_patches(cycle: Cycle) -> None:
    places = cycle.walkers.anywhere(cycle.rng)
    places = replace(places, images=torch.full((6,), 5), centers=torch.full((6, 2), 14))
    _, feedback = cycle.advance(places)
    assert feedback.defective == pytest.approx(cycle.material.coverage[5, 10:18, 10:18].mean().item())


def test_a_cycle_begins_with_a_fresh_autoencoder(cycle: Cycle) -> None:
    fresh = weights(cycle.autoencoder.network)
    advanced(cycle, 8)
    cycle.begin(cycle.seed)
    assert weights(cycle.autoencoder.network).equal(fresh)


def test_with_dropout_a_cycle_goes_on_with_the_same_autoencoder(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    cycle = Cycle(material, statics, small(autoencoder__diversity="bottleneck_dropout"))
    advanced(cycle, 8)
    learnt, learner = weights(cycle.autoencoder.network), cycle.autoencoder
    cycle.begin(99)
    assert cycle.autoencoder is learner
    assert weights(cycle.autoencoder.network).equal(learnt)


def test_with_dropout_every_update_drops_other_channels(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    changes = {"autoencoder__diversity": "bottleneck_dropout", "autoencoder__bottleneck": 32}
    cycle, kept = Cycle(material, statics, small(**changes)), []
    for _ in range(4):
        advanced(cycle, 1)
        kept.append(cycle.autoencoder.network.bottleneck.kept.clone())
    assert all((a == 0).any() and not a.equal(b) for a, b in pairwise(kept))


def test_the_predictor_goes_on_from_cycle_to_cycle(cycle: Cycle) -> None:
    advanced(cycle, 8)
    learnt = weights(cycle.online.learner.network)
    cycle.begin(99)
    assert weights(cycle.online.learner.network).equal(learnt)


def test_credit_per_patch_is_what_a_step_on_that_patch_does_to_the_predictor(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    cycle = Cycle(material, statics, small(reward__credit="per-patch", updates=30, profile__tracked=4))
    cycle.begin(3)
    advanced(cycle, 30)
    profiles, network = cycle.history.profiles(), cycle.autoencoder.network
    slopes = uphill(network, cycle.online, profiles, material, cycle.total_updates)
    places = cycle.walkers.anywhere(cycle.rng)
    patches = crop(material.canvases, places.images, places.centers, cycle.walkers.geometry.patch)
    credit = credited(network, patches, slopes)

    def predictor_loss(autoencoder: torch.nn.Module) -> float:
        tracked = material.labelled[cycle.online.tracked]
        newest = scale_errors(tracked.float(), autoencoder.eval()(tracked.float()), material.scales)
        seen = torch.cat([profiles[:, :-1], newest], dim=1).detach()
        judge = cycle.online.learner.network.eval()
        return float(cycle.online.loss_on(judge, seen, torch.arange(4), cycle.total_updates).detach())

    before, gained = predictor_loss(network), []
    for patch in patches:
        stepped = deepcopy(network)
        reconstruction_loss(patch[None], stepped(patch[None])).backward()
        for weight in stepped.parameters():
            weight.data -= 1e-2 * weight.grad
        gained.append(before - predictor_loss(stepped))
    assert torch.corrcoef(torch.stack([torch.tensor(gained), credit]))[0, 1] > 0.99


@pytest.mark.parametrize("diversity", ["reset", "bottleneck_dropout"])
def test_the_snapshots_give_the_profiles_that_the_cycle_saw(
    material: Material, statics: torch.Tensor, small: Small, diversity: str
) -> None:
    cycle = Cycle(material, statics, small(autoencoder__diversity=diversity))
    for seed in (1, 2):
        cycle.begin(seed)
        advanced(cycle, 8)
    snapshots = cycle.history.snapshots(cycle.autoencoder.network)
    tracked = material.labelled[cycle.online.tracked]
    again = [observe(snapshot, tracked, material.scales) for snapshot in snapshots]
    assert torch.cat(again, dim=1).equal(cycle.history.profiles())


@pytest.mark.parametrize("diversity", ["reset", "bottleneck_dropout"])
def test_a_cycle_loaded_in_the_middle_goes_on_to_the_same_bits(
    material: Material, statics: torch.Tensor, small: Small, saved: SaveAndLoad, diversity: str
) -> None:
    config = small(autoencoder__diversity=diversity)
    cycle, other = Cycle(material, statics, config), Cycle(material, statics, config)
    advanced(cycle, 8)
    cycle.begin(77)
    advanced(cycle, 4)
    other.load(saved(cycle.state()))
    assert advanced(other, 4) == advanced(cycle, 4)
    assert weights(other.autoencoder.network).equal(weights(cycle.autoencoder.network))
    assert weights(other.online.learner.network).equal(weights(cycle.online.learner.network))
    assert other.walkers.observe().equal(cycle.walkers.observe())


def test_the_published_networks_go_through_a_cycle(material: Material, small: Small) -> None:
    config = small(
        cell=1,
        updates=2,
        sampler__patch_side=64,
        sampler__crop_side=64,
        sampler__walkers=2,
        autoencoder__kind="published",
        predictor__kind="published",
        profile__length=2,
        profile__spacing="consecutive",
    )
    fine = {
        name: nn.functional.interpolate(getattr(material, name).float(), size=64)
        for name in ("canvases", "images", "labelled")
    } | {
        name: nn.functional.interpolate(getattr(material, name)[:, None], size=64)[:, 0]
        for name in ("coverage", "texture", "labelled_coverage")
    }
    cycle = Cycle(replace(material, **fine), torch.zeros(8, 64, 64), config)
    assert all(math.isfinite(reward) for reward in advanced(cycle, 2))


def test_scouting_gives_each_image_its_static_map(material: Material, small: Small) -> None:
    maps = scout(material, small())
    assert maps.shape == (8, 32, 32)
    assert maps.amin(dim=(1, 2)).tolist() == pytest.approx([0.0] * 8)
    assert maps.amax(dim=(1, 2)).tolist() == pytest.approx([1.0] * 8, abs=1e-5)


def test_only_a_policy_that_selects_has_images_compared_with_the_memory(
    material: Material, statics: torch.Tensor, small: Small
) -> None:
    for kind in ("learned", "selecting"):
        cycle = Cycle(material, statics, small(sampler__kind=kind))
        *_, texture, distances = cycle.walkers.survey(8, generator(0))[1].unbind(dim=1)
        assert bool(texture.any()) == bool(distances.any()) == (kind == "selecting")


def test_what_the_memory_keeps_of_a_normal_image_does_not_count_for_it(
    material: Material, small: Small
) -> None:
    twice = replace(material, sources=torch.tensor([0, 0, 1, 2, 3]), canvases=material.canvases.clone())
    twice.canvases[1] = twice.canvases[0]
    alone = terrain(replace(twice, sources=torch.arange(5)), small()).distances
    assert (terrain(twice, small()).distances[0] > alone[0]).float().mean() > 0.9


def test_scouting_twice_gives_the_same_maps(material: Material, small: Small) -> None:
    assert scout(material, small()).equal(scout(material, small()))
