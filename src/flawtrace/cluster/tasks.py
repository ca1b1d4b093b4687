"""Many independent tasks on a cluster: each result as it comes, and what became of those that died."""

import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from flawtrace.cluster.connecting import Needs
from flawtrace.cluster.errors import ElsewhereError
from flawtrace.ground.devices import compute_with
from flawtrace.ground.files import in_use

RETRIES = 3
"""How often a task is begun again whose process or node died."""
LOOK_EVERY = 1.0
"""Seconds after which somebody who waits is told that nothing has come."""
FREED_WITHIN = 60.0
"""Seconds in which a process that nobody waits for any more lets go of its folder."""

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Finished(Generic[Key, Result]):
    """One task that is over."""

    key: Key
    result: Result | None
    lost: str | None = None
    """Why there is no result."""


@dataclass(frozen=True)
class Waiting(Generic[Key]):
    """Nothing has come for a while."""

    key: Key
    """Of a task that is not over, the one handed out first."""
    left: int


def as_they_finish(
    work: Callable[..., Result], tasks: Mapping[Key, tuple[Any, ...]], needs: Needs, name: str
) -> "Iterator[Finished[Key, Result] | Waiting[Key]]":
    """Call `work` with the arguments of each task, somewhere in the cluster, as often as there is room.

    Each task has a process of its own, in the folder of this one and with the threads that it needs; Ray's
    own tools call it by `name`. One that dies, with its node or alone, is begun again up to `RETRIES` times,
    and then reported as lost. Whoever stops listening ends all of them.

    Raises:
        FlawtraceError: a task raised it.
        ElsewhereError: a node does not see this process's folder.
    """
    options = {"max_calls": 1, "max_retries": RETRIES, **needs.options}
    remote = ray.remote(**options)(_at_work)
    here = Path.cwd()
    pending = {
        remote.options(name=name).remote(here, needs.threads, work, arguments): key
        for key, arguments in tasks.items()
    }
    try:
        while pending:
            over, _ = ray.wait(list(pending), timeout=LOOK_EVERY)
            if not over:
                yield Waiting(next(iter(pending.values())), len(pending))
            for reference in over:
                yield _finished(pending.pop(reference), reference)
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)


def _finished(key: Key, reference: Any) -> "Finished[Key, Any]":
    try:
        return Finished(key, ray.get(reference))
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        why = str(error).strip().partition("\n")[0].rstrip(".")
        return Finished(key, None, lost=f"its process died {RETRIES + 1} times on the cluster: {why}")


def _at_work(folder: Path, threads: int, work: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """In a process of a node."""
    settle_in(folder, threads)
    return work(*arguments)


def settle_in(folder: Path, threads: int) -> None:
    """In a process of a node: paths mean what they mean to whoever sent the work.

    Raises:
        ElsewhereError: the node does not see the folder.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise ElsewhereError(folder, ray.util.get_node_ip_address()) from error
    compute_with(threads)


def wait_until_free(folder: Path) -> None:
    """A process that died a moment ago, or whose driver did, may hold its folder for as long as it ends."""
    given_up = time.monotonic() + FREED_WITHIN
    while in_use(folder) and time.monotonic() < given_up:
        time.sleep(0.2)
