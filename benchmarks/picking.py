"""A policy that picks squares: of some random ones it takes one, by what it sees of each.

Each choice is an episode of its own, so nothing has to be learnt about moves: a square that is passed over
costs nothing, and the next ones are anywhere. Proximal policy optimization with the mean over the choices of
a step as its baseline, on the trunk of the walkers' policy; a score per square takes the place of a
probability per move.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from flawtrace.ground.groups import PolicyConfig
from flawtrace.ground.learner import Learner, seeded
from flawtrace.ground.shapes import PerWalker
from flawtrace.method.ppo import clipped_policy_loss, standardized
from flawtrace.method.sampler import Policy

ROLLOUT = 16
"""Steps of the predictor after which the policy learns."""
EPOCHS, MINIBATCH = 2, 64
ENTROPY_WEIGHT = 0.05

Offered = Float[Tensor, "n offered c crop crop"]
"""What the policy sees of each square that it may take."""


class Picker:
    def __init__(self, crop: int, config: PolicyConfig, seed: int) -> None:
        self._clip = config.clip
        with seeded(seed):
            self._learner = Learner(Policy(crop, config), lr=config.lr)
        self.entropy = 0.0
        """Of the choices in the last rollout, in nats."""
        self._clear()

    def _clear(self) -> None:
        self._offered: list[Offered] = []
        self._picks: list[Int[Tensor, " n"]] = []
        self._log_probs: list[PerWalker] = []
        self._gains: list[PerWalker] = []

    @torch.no_grad()
    def pick(self, offered: Offered, rng: torch.Generator) -> Int[Tensor, " n"]:
        """Which of the squares each of the n choices takes."""
        log_probs = self._scores(offered).log_softmax(dim=1)
        picks = torch.multinomial(log_probs.exp(), 1, generator=rng)
        self._offered.append(offered.half())
        self._picks.append(picks[:, 0])
        self._log_probs.append(log_probs.gather(1, picks)[:, 0])
        return picks[:, 0]

    def credit(self, rewards: PerWalker, rng: torch.Generator) -> None:
        """Pay the last picks; now and then, learn from all since the last time."""
        self._gains.append(rewards - rewards.mean())
        if len(self._gains) == ROLLOUT:
            self._learn(rng)
            self._clear()

    def _learn(self, rng: torch.Generator) -> None:
        offered, picks, old = (torch.cat(part) for part in (self._offered, self._picks, self._log_probs))
        gains, entropies = standardized(torch.cat(self._gains)), []
        for _ in range(EPOCHS):
            for chosen in torch.split(torch.randperm(len(picks), generator=rng), MINIBATCH):
                log_probs = self._scores(offered[chosen].float()).log_softmax(dim=1)
                taken = log_probs.gather(1, picks[chosen, None])[:, 0]
                entropy = -(log_probs.exp() * log_probs).sum(dim=1).mean()
                loss = clipped_policy_loss((taken - old[chosen]).exp(), gains[chosen], self._clip)
                self._learner.step(loss - ENTROPY_WEIGHT * entropy, max_norm=0.5)
                entropies.append(float(entropy.detach()))
        self.entropy = sum(entropies) / len(entropies)

    def _scores(self, offered: Offered) -> Float[Tensor, "n offered"]:
        policy = self._learner.network
        scores: Tensor = policy.critic(policy.trunk(offered.flatten(0, 1)))
        return scores.view(offered.shape[:2])
