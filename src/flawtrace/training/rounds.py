"""Cycles side by side: what those of one round begin with, what each leaves, and what becomes of that.

A round is some cycles in which the policy does not change: as many as there are actors. Everything that lives
longer than one cycle is sent with each of them, so a cycle depends on nothing but its `Round` and its number,
wherever and however often it is begun:

- the policy: all cycles act with the same weights, and what they bring is learnt from together, in the order
  of their numbers (synchronous PPO, on-policy);
- the predictor that learns jointly: each cycle goes on with a copy, and their mean, of weights and of Adam's
  moments, begins the next round (local SGD). So R_pred is by the same judge in all cycles of a round, and no
  actor has anything of its own that could die with it;
- j, by which beta and the weight of normal pixels decay, counts updates as if cycles came one by one;
- the seed: cycle c has the one that it has in a single process.

Errors, visits, history and autoencoder begin anew in each cycle, and belong to it alone.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from flawtrace.ground.config import Config
from flawtrace.ground.devices import PROCESSOR
from flawtrace.ground.learner import averaged, derive
from flawtrace.ground.shapes import ErrorMaps
from flawtrace.method import Cycle, Episode, Feedback, Material
from flawtrace.method.sampler import Sampler
from flawtrace.training.study import finite


@dataclass(frozen=True)
class Round:
    """What some cycles begin with."""

    cycles: range
    sampler: dict[str, Any]
    """The sampler's state between two cycles."""
    predictor: dict[str, Any]
    """State of the learner of the predictor that learns jointly."""


@dataclass(frozen=True)
class Lived:
    """What a cycle leaves, all on the processor."""

    index: int
    episode: Episode
    feedbacks: tuple[Feedback, ...]
    predictor: dict[str, Any]
    visits: Float[Tensor, "rows columns"]
    """To each cell, over all images."""
    rng: UInt8[Tensor, " bytes"]
    """State of the cycle's generator."""


@runtime_checkable
class Collector(Protocol):
    """Has the cycles of a round lived somewhere, in any order, as many at once as there is room for."""

    @property
    def count(self) -> int:
        """Cycles of a round: on this depends what the policy becomes, as it does on no death and no order."""

    def __call__(
        self, material: Material, statics: ErrorMaps, config: Config
    ) -> AbstractContextManager[Callable[[Round], Iterator[Lived]]]: ...


def begin(cycle: Cycle, index: int, updates: int) -> None:
    """Cycle number `index` of a run, whose seed follows from that of the run."""
    cycle.begin(derive(cycle.config.seed, 4, index), updates)


def walked(cycle: Cycle, sampler: Sampler) -> Feedback:
    """One update: the sampler chooses patches, the cycle says what they were worth."""
    rewards, feedback = cycle.advance(sampler.place(cycle.walkers, cycle.rng))
    sampler.credit(rewards)
    return feedback


def live(cycle: Cycle, sampler: Sampler, start: Round, index: int) -> Lived:
    """One cycle of a round, from its begin to its end; nothing that was in `cycle` or `sampler` counts.

    Raises:
        DivergedError: a loss is no longer a finite number.
    """
    sampler.load(start.sampler)
    cycle.take_up(index * cycle.config.updates, start.predictor)
    begin(cycle, index, cycle.config.updates)
    feedbacks = []
    while not cycle.over:
        feedbacks.append(finite(walked(cycle, sampler)))
    return Lived(
        index,
        sampler.episode().to(PROCESSOR),
        tuple(feedbacks),
        cycle.online.learner.state(),
        cycle.walkers.visited(),
        cycle.rng.get_state(),
    )


def take_home(cycle: Cycle, lived: list[Lived]) -> torch.Generator:
    """Let `cycle` be as if these cycles, in their order, had been its own; gives the first's generator."""
    after = lived[-1].index + 1
    cycle.take_up(after * cycle.config.updates, averaged([each.predictor for each in lived]))
    cycle.rng.set_state(lived[0].rng)
    return cycle.rng
