"""The process that looks at images for a station: one, with a queue that is never long."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from threading import Lock
from typing import ParamSpec, TypeVar

from flawtrace.station.errors import BusyError, WorkerEndedError
from flawtrace.station.work.orphans import end_with_parent

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

MOST_WAITING = 16
"""Images that may wait; who sends more is told to come back later."""


class Inspector:
    """Hands work to a process of its own, so that neither a page nor a training waits for the interpreter."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most, self._waiting, self._refused, self._lock = most_waiting, 0, 0, Lock()
        self._pool = _pool()
        self._process: Future[int] | None = None
        """Its number, once it was asked for anything."""

    @property
    def waiting(self) -> int:
        """Pieces of work that were asked for and are not done."""
        return self._waiting

    @property
    def refused(self) -> int:
        """Pieces of work that were refused because too many waited."""
        return self._refused

    @property
    def begun(self) -> bool:
        """Whether its process is there and has been asked for something."""
        return self._process is not None and self._process.done()

    def ask(self, work: Callable[Asked, Answer], /, *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        """Do a piece of work there and wait for it; called from a thread, as it takes a while.

        Raises:
            BusyError: too many wait already.
            WorkerEndedError: the process has ended; there is another by now.
        """
        with self._lock:
            if self._waiting >= self._most:
                self._refused += 1
                raise BusyError(self._waiting)
            self._waiting += 1
            pool = self._pool
            if self._process is None:
                self._process = pool.submit(os.getpid)
        try:
            return pool.submit(work, *args, **kwargs).result()
        except BrokenProcessPool as error:
            self._replace(pool)
            raise WorkerEndedError("looking at images") from error
        finally:
            with self._lock:
                self._waiting -= 1

    def close(self) -> None:
        """End the process, whatever it is doing: nobody was answered yet, so no verdict is lost."""
        with self._lock:
            self._pool.shutdown(wait=False, cancel_futures=True)
            if self._process is not None and self.begun:
                with suppress(BrokenProcessPool, CancelledError, ProcessLookupError):
                    os.kill(self._process.result(), signal.SIGTERM)
            self._process = None

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Of several that met the same broken pool, the first makes a new one."""
        with self._lock:
            if self._pool is broken:
                self._pool, self._process = _pool(), None
        broken.shutdown(wait=False)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
