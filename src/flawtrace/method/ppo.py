"""Proximal policy optimization, for any policy: what it keeps of a cycle, what it follows then, and how.

As in Schulman et al. 2017 (arXiv 1707.06347), with generalized advantage estimation (arXiv 1506.02438).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Generic, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from flawtrace.ground.groups import PolicyConfig
from flawtrace.ground.learner import Learner, Network
from flawtrace.ground.shapes import PerStep, PerWalker, Scalar

PerPick: TypeAlias = Float[Tensor, "rows *picks"]
"""Of a rollout: one number for each row, or for each of the picks that a row's decision made."""


@dataclass(frozen=True)
class PolicyStats:
    """How one cycle's learning went, means over its minibatches."""

    entropy: float
    clipped_fraction: float
    """Share of steps whose probability ratio left [1 - clip, 1 + clip]."""
    value_error: float
    """Mean squared error of the critic against the returns, before learning."""
    explained_variance: float
    """1 - var(returns - values) / var(returns): 1 is a perfect critic, 0 one that says the mean."""


@dataclass(frozen=True)
class Episode:
    """What a policy did in one cycle and was paid for it: enough to learn from, also in another process."""

    kept: tuple[Tensor, ...]
    """Of all its decisions together, in their order: whatever the policy needs to judge them again."""
    rewards: PerStep

    def to(self, device: torch.device) -> "Episode":
        return Episode(tuple(part.to(device) for part in self.kept), self.rewards.to(device))


@dataclass(frozen=True)
class Rollout:
    """What a policy did in one cycle, and what it was worth; numbers, without gradients."""

    log_probs: PerPick
    """Under the policy that did it."""
    values: PerPick
    """What the critic expected."""
    advantages: PerPick
    returns: PerPick


@dataclass(frozen=True)
class Judgement:
    """What a policy that is learning says of some rows of its rollout, with gradients."""

    log_probs: PerPick
    values: PerPick
    entropies: Float[Tensor, " rows"]


Judge: TypeAlias = Callable[[Int[Tensor, " rows"]], Judgement]
"""Of the rows of these numbers."""


class Learning(ABC, Generic[Network]):
    """A policy with its optimizer, and what it keeps of a cycle to learn from at its end."""

    _kept: list[tuple[Tensor, ...]]
    """Of each decision, whatever the policy needs to judge it again."""
    _rewards: list[PerWalker]

    def __init__(self, policy: Network, config: PolicyConfig) -> None:
        self._config = config
        self._learner = Learner(policy, lr=config.lr)
        self._frozen = False
        self._clear()

    @property
    def policy(self) -> Network:
        return self._learner.network

    def credit(self, rewards: PerWalker) -> None:
        if len(self._rewards) < len(self._kept):
            self._rewards.append(rewards)

    def episode(self) -> Episode:
        """What has been kept of this cycle."""
        return Episode(joined(self._kept), torch.stack(self._rewards))

    def learn(self, rng: torch.Generator, episodes: Sequence[Episode] | None = None) -> PolicyStats | None:
        """Follow PPO's clipped objective over this cycle, then forget it; frozen, only forget.

        Or over `episodes`, which other processes had with the weights of this policy: with its ratios at 1,
        all together are one rollout.
        """
        stats = None if self._frozen else self._learn(episodes or [self.episode()], rng)
        self._clear()
        return stats

    def freeze(self) -> None:
        """From now on the policy acts and does not learn."""
        self._frozen = True

    def state(self) -> dict[str, Any]:
        rollout = [*map(list, zip(*self._kept, strict=True)), self._rewards]
        return {"learner": self._learner.state(), "rollout": rollout, "step": self._step}

    def load(self, state: dict[str, Any]) -> None:
        self._learner.load(state["learner"])
        device = next(self.policy.parameters()).device
        *kept, self._rewards = [[tensor.to(device) for tensor in tensors] for tensors in state["rollout"]]
        self._kept = list(zip(*kept, strict=True))
        self._step = state["step"]

    @property
    def _listens(self) -> bool:
        """Whether the policy is to learn from what it does now."""
        return not self._frozen and self._step >= self._config.learns_from

    @abstractmethod
    def _learn(self, episodes: Sequence[Episode], rng: torch.Generator) -> PolicyStats: ...

    def _clear(self) -> None:
        self._step = 0
        self._kept = []
        self._rewards = []


def joined(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Each tensor with those at its place in the other tuples, row after row."""
    return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))


def improve(
    learner: Learner[Network], judge: Judge, rollout: Rollout, config: PolicyConfig, rng: torch.Generator
) -> PolicyStats:
    """Follow the clipped objective over the rollout, some passes in random minibatches.

    loss = policy loss + value_weight (values - returns)^2 - entropy_weight entropy, as means. Advantages are
    standardized over the whole rollout.
    """
    gains = standardized(rollout.advantages.flatten()).view_as(rollout.advantages)
    rows = max(1, config.minibatch // rollout.log_probs[0].numel())
    entropies: list[Tensor] = []
    clipped: list[Tensor] = []
    for _ in range(config.epochs):
        order = torch.randperm(len(gains), generator=rng).to(gains.device)
        for chosen in torch.split(order, rows):
            judged = judge(chosen)
            ratios = (judged.log_probs - rollout.log_probs[chosen]).exp().flatten()
            entropy = judged.entropies.mean()
            loss = (
                clipped_policy_loss(ratios, gains[chosen].flatten(), config.clip)
                + config.value_weight * (judged.values - rollout.returns[chosen]).square().mean()
                - config.entropy_weight * entropy
            )
            learner.step(loss, max_norm=0.5)
            entropies.append(entropy.detach())
            clipped.append(((ratios.detach() - 1).abs() > config.clip).float().mean())
    returns, values = rollout.returns.flatten(), rollout.values.flatten()
    return PolicyStats(
        entropy=fmean(torch.stack(entropies).tolist()),
        clipped_fraction=fmean(torch.stack(clipped).tolist()),
        value_error=float((returns - values).square().mean()),
        explained_variance=explained_variance(returns, values),
    )


def clipped_policy_loss(ratios: Float[Tensor, " m"], advantages: Float[Tensor, " m"], clip: float) -> Scalar:
    """PPO's objective (Schulman et al. 2017, eq. 7), negated.

    loss = -mean(min(ratio A, clip(ratio, 1 - eps, 1 + eps) A)), ratio = pi(a | o) / pi_old(a | o).
    Only `ratios` carries a gradient: rewards, and so advantages, are numbers.
    """
    advantages = advantages.detach()
    return -torch.min(ratios * advantages, ratios.clamp(1 - clip, 1 + clip) * advantages).mean()


def generalized_advantages(rewards: PerStep, values: PerStep, discount: float, trace: float) -> PerStep:
    """Generalized advantage estimation over one cycle, which ends for good.

    A_t = delta_t + gamma lambda A_{t+1}, delta_t = r_t + gamma V_{t+1} - V_t, V = A = 0 after the end.
    """
    advantages = torch.zeros_like(rewards)
    ahead, next_value = torch.zeros_like(rewards[0]), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + discount * next_value - values[t]
        ahead = delta + discount * trace * ahead
        advantages[t], next_value = ahead, values[t]
    return advantages


def standardized(values: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Mean 0 and deviation 1; constant values become 0."""
    return (values - values.mean()) / (values.std(correction=0) + 1e-8)


def explained_variance(returns: Float[Tensor, " m"], values: Float[Tensor, " m"]) -> float:
    spread = float(returns.var(correction=0))
    return 1 - float((returns - values).var(correction=0)) / spread if spread > 0 else 0.0
