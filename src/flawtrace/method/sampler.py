"""The neural batch sampler: a policy that chooses the patches, and the fixed strategies beside it."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.distributions import Categorical

from flawtrace.ground.groups import PolicyConfig, SamplerName
from flawtrace.ground.learner import Learner, seeded
from flawtrace.ground.shapes import Actions, Observations, PerWalker
from flawtrace.method.patches import MOVES
from flawtrace.method.ppo import Judgement, PolicyStats, Rollout, generalized_advantages, improve
from flawtrace.method.walkers import CHANNELS, Places, Walkers


@runtime_checkable
class Sampler(Protocol):
    """Chooses where each walker takes its patch; told afterwards what that was worth."""

    def place(self, walkers: Walkers, rng: torch.Generator) -> Places: ...
    def credit(self, rewards: PerWalker) -> None: ...
    def learn(self, rng: torch.Generator) -> PolicyStats | None: ...
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

    def learn(self, rng: torch.Generator) -> None:  # noqa: ARG002
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


class Learned:
    """The policy, and the rollout from which it learns at the end of each cycle.

    With batch norm the policy always acts and learns on running statistics, so that a probability
    does not depend on who else is in the batch; they are refreshed once per cycle.
    """

    def __init__(self, policy: Policy, config: PolicyConfig) -> None:
        self._config = config
        self._learner = Learner(policy.eval(), lr=config.lr)
        self._frozen = False
        self._clear()

    def _clear(self) -> None:
        self._step = 0
        self._observations: list[Observations] = []
        self._actions: list[Actions] = []
        self._log_probs: list[PerWalker] = []
        self._values: list[PerWalker] = []
        self._rewards: list[PerWalker] = []

    @property
    def policy(self) -> Policy:
        return self._learner.network

    @torch.no_grad()
    def place(self, walkers: Walkers, rng: torch.Generator) -> Places:
        observations = walkers.observe()
        distribution, values = self.policy(observations)
        actions = sample(distribution, rng)
        if not self._frozen and self._step >= self._config.learns_from:
            self._observations.append(observations)
            taken = actions.to(values.device)
            self._actions.append(taken)
            self._log_probs.append(distribution.log_prob(taken))
            self._values.append(values)
        self._step += 1
        return walkers.moved(actions, rng)

    def credit(self, rewards: PerWalker) -> None:
        if len(self._rewards) < len(self._actions):
            self._rewards.append(rewards)

    def learn(self, rng: torch.Generator) -> PolicyStats | None:
        """Follow PPO's clipped objective over the rollout, then forget it; frozen, only forget."""
        stats = None if self._frozen else self._learn(rng)
        self._clear()
        return stats

    def freeze(self) -> None:
        """From now on the policy acts and does not learn."""
        self._frozen = True

    def state(self) -> dict[str, Any]:
        rollout = [self._observations, self._actions, self._log_probs, self._values, self._rewards]
        return {"learner": self._learner.state(), "rollout": rollout, "step": self._step}

    def load(self, state: dict[str, Any]) -> None:
        self._learner.load(state["learner"])
        device = self.policy.actor.weight.device
        rollout = [[tensor.to(device) for tensor in tensors] for tensors in state["rollout"]]
        self._observations, self._actions, self._log_probs, self._values, self._rewards = rollout
        self._step = state["step"]

    def _learn(self, rng: torch.Generator) -> PolicyStats:
        config = self._config
        values, rewards = torch.stack(self._values), torch.stack(self._rewards)
        advantages = generalized_advantages(rewards, values, config.discount, config.trace)
        observations, actions = torch.cat(self._observations), torch.cat(self._actions)
        log_probs = self._refreshed(observations, actions, torch.cat(self._log_probs))
        rollout = Rollout(
            log_probs, values.flatten(), advantages.flatten(), returns=(advantages + values).flatten()
        )

        def judge(chosen: Int[Tensor, " rows"]) -> Judgement:
            distribution, predicted = self.policy(observations[chosen])
            return Judgement(distribution.log_prob(actions[chosen]), predicted, distribution.entropy())

        return improve(self._learner, judge, rollout, config, rng)

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
    if kind == "learned":
        with seeded(seed):
            return Learned(Policy(crop, config).to(device), config)
    return Fixed(
        {"random-walk": random_walk, "uniform": Walkers.anywhere, "edge-guided": Walkers.by_static_map}[kind]
    )


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
