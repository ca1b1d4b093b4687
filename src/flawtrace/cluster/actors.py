"""Learning cycles of one training side by side: actors that live them, for one policy that learns from all.

An actor holds a copy of the images (from the object store, into which they are put once) and nothing else
that counts: what a cycle begins with is sent for each round, see `flawtrace.training.rounds`. So an actor
that dies takes nothing with it; its cycle is begun again by whoever is free, to the same bits.

What comes back are trajectories, not gradients: PPO passes several times over the same cycles in minibatches
drawn from all of them, so gradients would have to be exchanged after each of its steps. In `light`, a cycle
of 100 updates brings 20 MB, once. Its 28 steps would send 0.13 MB of weights and as many of gradients each,
7 MB together; but they would wait for the slowest actor 28 times, and give other bits for another order of
the sums. In `paper`, whose policy observes 128 x 128 cells, it is 1.3 GB against 75 MB; a single process
keeps as much.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from flawtrace.cluster.connecting import Needs, refuse_if_nowhere
from flawtrace.cluster.errors import LostCycleError
from flawtrace.cluster.tasks import RETRIES
from flawtrace.ground.config import Config
from flawtrace.ground.devices import compute_with
from flawtrace.ground.shapes import ErrorMaps
from flawtrace.method import Cycle, Material, sampler
from flawtrace.training import Lived, Round, live


@dataclass(frozen=True)
class Actors:
    """A `Collector` for `flawtrace.train`, to be called while this process is `connected`."""

    count: int = 2
    """Cycles of a round. Where there is room for fewer actors, they live them one after the other."""
    threads: int = 1
    memory: float = 4.0
    """GB that each actor occupies."""

    @contextmanager
    def __call__(
        self, material: Material, statics: ErrorMaps, config: Config
    ) -> Iterator[Callable[[Round], Iterator[Lived]]]:
        """Inside, there are actors with these images; gives what has the cycles of a round lived.

        Raises:
            NoRoomError: no node is large enough for an actor.
            LostCycleError: a cycle, or an actor before it had one, died again and again.
        """
        needs = Needs.of(self.threads, self.memory, str(material.canvases.device))
        refuse_if_nowhere(needs)
        crew = _Crew(needs, (self.threads, ray.put((material, statics, config))))
        try:
            for _ in range(min(self.count, config.cycles)):
                crew.hire()
            yield crew.collect
        finally:
            crew.dismiss()


class Actor:
    """In a process of a node: an autoencoder's cycle, again and again."""

    def __init__(self, threads: int, ground: tuple[Material, ErrorMaps, Config]) -> None:
        compute_with(threads)
        material, statics, config = ground
        self._cycle = Cycle(material, statics, config)
        self._sampler = sampler.of_settings(config, self._cycle.walkers.geometry.crop, statics.device)

    def ready(self) -> None:
        """Returns when there is an actor."""

    def live(self, start: Round, index: int) -> Lived:
        return live(self._cycle, self._sampler, start, index)


@dataclass
class _Crew:
    """Actors, and who of them does what."""

    needs: Needs
    arguments: tuple[Any, ...]
    """Of each actor."""
    _busy: dict[Any, tuple[Any, int | None]] = field(default_factory=dict)
    """By what is waited for: the actor, and its cycle; None until it is there."""
    _free: list[Any] = field(default_factory=list)
    _deaths: Counter[int | None] = field(default_factory=Counter)

    def hire(self) -> None:
        """Ask for an actor; it is there when a node has room."""
        actor = ray.remote(**self.needs.options)(Actor).remote(*self.arguments)
        self._busy[actor.ready.remote()] = actor, None

    def dismiss(self) -> None:
        for actor in [*self._free, *(actor for actor, _ in self._busy.values())]:
            ray.kill(actor)

    def collect(self, start: Round) -> Iterator[Lived]:
        """What the cycles of the round leave, as they are over."""
        sent, waiting = ray.put(start), deque(start.cycles)
        self._deaths.clear()
        over = 0
        while over < len(start.cycles):
            while self._free and waiting:
                actor, index = self._free.pop(), waiting.popleft()
                self._busy[actor.live.remote(sent, index)] = actor, index
            for reference in ray.wait(list(self._busy))[0]:
                actor, number = self._busy.pop(reference)
                try:
                    lived = ray.get(reference)
                except RayTaskError as error:
                    raise error.cause from error
                except RayError as error:
                    self._bury(number, error)
                    if number is not None:
                        waiting.appendleft(number)
                    self.hire()
                    continue
                self._free.append(actor)
                if lived is not None:
                    over += 1
                    yield lived

    def _bury(self, number: int | None, error: RayError) -> None:
        """Another death of this cycle, or of an actor that was not there yet."""
        self._deaths[number] += 1
        if self._deaths[number] > RETRIES:
            what = "An actor" if number is None else f"Cycle {number + 1}"
            raise LostCycleError(what, RETRIES + 1, str(error).strip().partition("\n")[0].rstrip("."))
