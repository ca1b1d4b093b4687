"""The thread that delivers lines to a receiver, in order, and each until it is received.

What waits, waits over restarts too, because the source of the lines keeps how far they are delivered. A
receiver that has heard of a line already knows it by its `Idempotency-Key`.
"""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import NamedTuple, Protocol, runtime_checkable

from flawtrace.ground.errors import FlawtraceError
from flawtrace.station.delivery.posting import delays
from flawtrace.station.delivery.receiver import Receiver

POLL = 1.0
"""Seconds between two looks at the source, where nobody says that there is something new."""
ENDING = 2.0
"""Seconds that a delivery gets to end."""


class Line(NamedTuple):
    content: bytes
    """JSON, as it is signed and sent."""
    key: str
    """The same whenever this line is sent."""
    end: int
    """Where its source goes on behind it."""


@runtime_checkable
class Source(Protocol):
    """Lines, and how far they are delivered."""

    def waiting(self) -> Iterator[Line]:
        """Those that are not delivered, in order. Nothing is kept open or locked between two of them."""

    def delivered(self, line: Line) -> None:
        """Keep that all lines up to this one are delivered."""


class Webhook:
    """A thread that delivers what a source has; use it as a context."""

    def __init__(
        self, receiver: Receiver, source: Source, trouble: Callable[[str], None] | None = None
    ) -> None:
        """`trouble` is told when the receiver, or the source, fails, and when the receiver is back."""
        self._receiver, self._source = receiver, source
        self._trouble = trouble or (lambda _: None)
        self._ending, self._new = Event(), Event()
        self._thread = Thread(target=self._run, name="webhook", daemon=True)

    def __enter__(self) -> "Webhook":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._new.set()
        self._thread.join(ENDING)

    def look(self) -> None:
        """There is something new."""
        self._new.set()

    @property
    def undelivered(self) -> int:
        """Lines that wait."""
        return sum(1 for _ in self._source.waiting())

    def _run(self) -> None:
        waits = delays()
        while not self._ending.is_set():
            self._new.clear()
            try:
                self._deliver()
            except FlawtraceError as error:
                delay = next(waits)
                self._trouble(f"Verdicts wait to be delivered; again in {delay:g} s: {error}")
                self._ending.wait(delay)
            else:
                waits = delays()
                self._new.wait(POLL)

    def _deliver(self) -> None:
        for line in self._source.waiting():
            if self._ending.is_set() or not self._received(line):
                return
            self._source.delivered(line)

    def _received(self, line: Line) -> bool:
        """Send a line until it is received; False if the end comes first."""
        waits, receiver, failed = delays(), self._receiver, False
        while (problem := receiver.problem_with(line.content, line.key)) is not None:
            delay, failed = next(waits), True
            self._trouble(f"{receiver.shown} did not take a verdict ({problem}); again in {delay:g} s.")
            if self._ending.wait(delay):
                return False
        if failed:
            self._trouble(f"{receiver.shown} takes verdicts again.")
        return True
