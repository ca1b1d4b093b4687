"""The neural batch sampler: a policy that moves walkers, fixed strategies, and any sampler by its name."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.distributions import Categorical

from flawtrace.ground.config import Config
from flawtrace.ground.groups import PolicyConfig, SamplerName
from flawtrace.ground.learner import derive, seeded
from flawtrace.ground.shapes import Actions, Observations, PerWalker
from flawtrace.method.patches import MOVES
from flawtrace.method.ppo import (
    Episode,
    Judgement,
    Learning,
    PolicyStats,
    Rollout,
    generalized_advantages,
    improve,
    joined,
)
from flawtrace.method.selecting import Selecting, Selector
from flawtrace.method.walkers import CHANNELS, Places, Walkers


@runtime_checkable
class Sampler(Protocol):
    """Chooses where each walker takes its patch; told afterwards what that was worth."""

    def place(self, walkers: Walkers, rng: torch.Generator) -> Places: ...
    def credit(self, rewards: PerWalker) -> None: ...
    def episode(self) -> Episode: ...
    def learn(
        self, rng: torch.Generator, episodes: Sequence[Episode] | None = None
    ) -> PolicyStats | None: ...
    def freeze(self) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def load(self, state: dict[str, Any]) -> None: ...


class Fixed:
    """A sampler that never learns."""

    def __init__(self, choose: Callable[[Walkers, torch.Generator], Places]) -> None:
        self._choose = choose

    def place(self, walkers: Walkers, rng: torch.Generator) -> Places:
        return self._choose(walkers, rng)

    def credit(self, rewards: PerWalker) -> None:
        pass

    def episode(self) -> Episode:
        return Episode((), torch.zeros(0, 0))

    def learn(self, rng: torch.Generator, episodes: Sequence[Episode] | None = None) -> None:  # noqa: ARG002
        return None

    def freeze(self) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        pass


class Policy(nn.Module):
    """Actor and critic on one trunk; with the published sizes the actor has 335,321 weights.

    Sees observations of `crop` x `crop` cells, a multiple of 2 ** len(widths).
    """

    def __init__(self, crop: int, config: PolicyConfig) -> None:
        super().__init__()
        widths = (CHANNELS, *config.widths)
        convs = [_conv(widths[i], widths[i + 1], config.batch_norm) for i in range(len(config.widths))]
        side = crop
        for _ in config.widths:
            side = (side + 1) // 2
        self.trunk = nn.Sequential(
            *convs, nn.Flatten(), nn.Linear(widths[-1] * side**2, config.hidden), nn.ReLU()
        )
        self.actor = nn.Linear(config.hidden, len(MOVES))
        self.critic = nn.Linear(config.hidden, 1)

    def forward(self, observations: Observations) -> tuple[Categorical, PerWalker]:
        """The distribution over actions, and the value of each observation."""
        features = self.trunk(observations)
        values: Tensor = self.critic(features)
        return Categorical(logits=self.actor(features), validate_args=False), values[:, 0]


class Learned(Learning[Policy]):
    """The policy that moves walkers, and the rollout from which it learns at the end of each cycle.

    With batch norm the policy always acts and learns on running statistics, so that a probability
    does not depend on who else is in the batch; they are refreshed once per cycle.
    """

    def __init__(self, policy: Policy, config: PolicyConfig) -> None:
        super().__init__(policy.eval(), config)

    @torch.no_grad()
    def place(self, walkers: Walkers, rng: torch.Generator) -> Places:
        observations = walkers.observe()
        distribution, values = self.policy(observations)
        actions = sample(distribution, rng)
        if self._listens:
            taken = actions.to(values.device)
            self._kept.append((observations, taken, distribution.log_prob(taken), values))
        self._step += 1
        return walkers.moved(actions, rng)

    def _learn(self, episodes: Sequence[Episode], rng: torch.Generator) -> PolicyStats:
        config = self._config
        observations, actions, acted, values = joined([episode.kept for episode in episodes])
        advantages = torch.cat([self._advantages(episode) for episode in episodes])
        log_probs = self._refreshed(observations, actions, acted)
        rollout = Rollout(log_probs, values, advantages, returns=advantages + values)

        def judge(chosen: Int[Tensor, " rows"]) -> Judgement:
            distribution, predicted = self.policy(observations[chosen])
            return Judgement(distribution.log_prob(actions[chosen]), predicted, distribution.entropy())

        return improve(self._learner, judge, rollout, config, rng)

    def _advantages(self, episode: Episode) -> PerWalker:
        """Of each step of each walker, in the order in which they are kept."""
        rewards, values = episode.rewards, episode.kept[3].view_as(episode.rewards)
        return generalized_advantages(rewards, values, self._config.discount, self._config.trace).flatten()

    @torch.no_grad()
    def _refreshed(self, observations: Observations, actions: Actions, log_probs: PerWalker) -> PerWalker:
        """Log-probabilities under the refreshed running statistics, so that every ratio starts from 1."""
        if not self._config.batch_norm:
            return log_probs
        self.policy.train()
        self.policy(observations)
        self.policy.eval()
        refreshed: Tensor = self.policy(observations)[0].log_prob(actions)
        return refreshed


def build(kind: SamplerName, crop: int, config: PolicyConfig, seed: int, device: torch.device) -> Sampler:
    """The sampler of that name; `crop` is the side of an observation, in cells."""
    with seeded(seed):
        if kind == "learned":
            return Learned(Policy(crop, config).to(device), config)
        if kind == "selecting":
            return Selecting(Selector(config.channels).to(device), config)
    return Fixed(
        {"random-walk": random_walk, "uniform": Walkers.anywhere, "edge-guided": Walkers.by_static_map}[kind]
    )


def of_settings(config: Config, crop: int, device: torch.device) -> Sampler:
    """The sampler with which a run with these settings begins."""
    return build(config.sampler.kind, crop, config.policy, derive(config.seed, 2), device)


def random_walk(walkers: Walkers, rng: torch.Generator) -> Places:
    """Every action equally likely: what the published script does, whose policy is never trained."""
    actions = torch.randint(len(MOVES), (walkers.geometry.walkers,), generator=rng)
    return walkers.moved(actions, rng)


def sample(distribution: Categorical, rng: torch.Generator) -> Actions:
    """One action per row, drawn on the processor so that every device draws the same."""
    probabilities: Tensor = distribution.probs
    return torch.multinomial(probabilities.cpu(), 1, generator=rng)[:, 0]


def _conv(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), *norm, nn.ReLU())
