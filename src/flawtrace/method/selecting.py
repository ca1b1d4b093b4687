"""The sampler as the paper's summary has it: a policy gives every patch its probability of being selected.

It sees the state of the model on whole images, and chooses the batch of an update at once, as an ordered
draw without replacement (Kool et al. 2019, arXiv 1903.06059).
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from flawtrace.ground.shapes import PerStep
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
from flawtrace.method.walkers import SURVEYED, Places, Walkers

Candidates: TypeAlias = Float[Tensor, "t candidates"]
"""A number for each patch that may be chosen, in each of t decisions."""
Picks: TypeAlias = Int[Tensor, "t n"]
"""Numbers of the candidates that were chosen, in the order of the draw."""

TAKEN = -1e9
"""Score of a candidate that is no longer there."""
FAR = 4.0
"""Deviations of texture or from the memory of normal images, beyond which the policy sees no difference."""


class Selector(nn.Module):
    """Actor and critic on one trunk, fully convolutional: a score and a value for each candidate.

    A score depends on the candidate and its eight neighbours, whose patches cover about what a walker sees.
    All are equal at first, so that the policy begins with uniform sampling.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(SURVEYED, channels, 3, padding=1), nn.ReLU())
        self.actor = nn.Conv2d(channels, 1, 1, bias=False)  # added to all scores, it would change nothing
        self.critic = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.actor.weight)

    def forward(self, surveys: Float[Tensor, "t b planes rows columns"]) -> tuple[Candidates, Candidates]:
        """Of t decisions, each among the candidates of b images: logits of the first pick, and values.

        A value is what a pick of that candidate is expected to return.
        """
        features = self.trunk(seen(surveys.flatten(0, 1)))
        scores, values = (head(features).view(len(surveys), -1) for head in (self.actor, self.critic))
        return scores, values


class Selecting(Learning[Selector]):
    """The policy that selects, and the rollout from which it learns at the end of each cycle.

    Each pick has an advantage and a probability ratio of its own: what the patch was worth is known.
    """

    @torch.no_grad()
    def place(self, walkers: Walkers, rng: torch.Generator) -> Places:
        images, survey = walkers.survey(self._config.shown, rng)
        surveys = survey[None]
        scores, values = self.policy(surveys)
        picks = drawn(scores, walkers.geometry.walkers, rng)
        if self._listens:
            taken = picks.to(scores.device)
            expected = (scores.softmax(dim=1) * values).sum(dim=1, keepdim=True)
            log_probs = ordered_log_probs(scores, taken)
            self._kept.append((surveys, taken, log_probs, values.gather(1, taken), expected))
        self._step += 1
        return walkers.candidates(images, picks[0])

    def _learn(self, episodes: Sequence[Episode], rng: torch.Generator) -> PolicyStats:
        config = self._config
        surveys, picks, log_probs, values, expected = joined([episode.kept for episode in episodes])
        advantages = torch.cat(
            [
                pick_advantages(episode.rewards, episode.kept[4], config.discount, config.trace)
                for episode in episodes
            ]
        )
        rollout = Rollout(log_probs, values, advantages, returns=advantages + expected)

        def judge(chosen: Int[Tensor, " rows"]) -> Judgement:
            scores, values = self.policy(surveys[chosen])
            taken = picks[chosen]
            return Judgement(ordered_log_probs(scores, taken), values.gather(1, taken), entropies(scores))

        return improve(self._learner, judge, rollout, config, rng)


def seen(surveys: Float[Tensor, "b planes rows columns"]) -> Float[Tensor, "b planes rows columns"]:
    """The planes of a survey in [-1, 1].

    Visits v become v / (1 + v), which R_cover can still tell apart. They say how far a cycle is, too: a
    share of its updates would mean something else in the last one, which is longer.
    """
    errors, visits, statics, texture, distances = surveys.unbind(dim=1)
    seldom = [(deviations / FAR).clamp(-1, 1) for deviations in (texture, distances)]
    planes = torch.stack([errors, visits / (1 + visits), statics, *seldom], dim=1)
    return planes.contiguous(memory_format=torch.channels_last)  # half the time on a processor


def drawn(scores: Candidates, count: int, rng: torch.Generator) -> Picks:
    """`count` different candidates in each decision, each next one by the softmax over those that are left.

    Gumbel top-k: the largest of the scores plus Gumbel noise, in order; -log of an exponential variable is
    one. On the processor, so that every device draws the same.
    """
    noise = -torch.empty(scores.shape, dtype=torch.float64).exponential_(generator=rng).log()
    picks: Tensor = (scores.cpu().double() + noise).topk(count, dim=1).indices
    return picks


def ordered_log_probs(scores: Candidates, picks: Picks) -> Float[Tensor, "t n"]:
    """Log-probability of each pick, given those before it (Plackett-Luce).

    log p(i_k | i_1 .. i_{k-1}) = s(i_k) - log sum exp s over all candidates but i_1 .. i_{k-1}; their sum is
    the log-probability of the ordered draw. The sums are made from the last pick to the first.
    """
    taken = scores.gather(1, picks)
    rest = scores.scatter(1, picks, TAKEN).logsumexp(dim=1, keepdim=True)
    left = torch.cat([rest, taken.flip(1)], dim=1).logcumsumexp(dim=1)[:, 1:].flip(1)
    return taken - left


def entropies(scores: Candidates) -> Float[Tensor, " t"]:
    """Of the first pick of each decision, in nats: log(candidates) if all are equally likely."""
    log_probs = scores.log_softmax(dim=1)
    return -(log_probs.exp() * log_probs).sum(dim=1)


def pick_advantages(
    rewards: PerStep, expected: Float[Tensor, "t 1"], discount: float, trace: float
) -> PerStep:
    """Advantage of each pick over a pick by the policy: A_tk = r_tk + (A_t - mean_k r_tk).

    A_t is the generalized advantage of the decision, whose reward is the mean of its picks': to what comes
    later all picks contributed. The baseline V_t = sum_i pi(i) q(i), `expected`, is the mean of the critic's
    values under the policy. The value at the pick itself would be none: it expects just what the pick earns.
    """
    means = rewards.mean(dim=1, keepdim=True)
    return rewards - means + generalized_advantages(means, expected, discount, trace)
