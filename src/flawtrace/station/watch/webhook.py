"""Tells a receiver of every verdict, signed, at least once, and in order.

What is delivered is kept in a file beside the verdicts; what is not waits, over restarts too. A receiver that
has heard of a verdict already knows it by its `Idempotency-Key`.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import read_json, write_json
from flawtrace.station.watch.errors import NoSecretError
from flawtrace.station.watch.posting import UnansweredError, checked_address, delays, post, shown
from flawtrace.station.watch.verdicts import VERDICTS_NAME

CURSOR_NAME = "webhook.json"
"""How many bytes of the file of verdicts are delivered."""
SECRET = "FLAWTRACE_WEBHOOK_SECRET"
"""The environment variable with the secret."""
SIGNATURE = "X-Flawtrace-Signature"
POLL = 1.0
"""Seconds between two looks at the file of verdicts, where nobody says that there is something new."""
ENDING = 2.0
"""Seconds that a delivery gets to end."""


def signature(secret: str, moment: int, content: bytes) -> str:
    """What a receiver computes too: of the bytes as they came, and the moment (seconds since 1970) in the
    header.

    It compares with `hmac.compare_digest`, and refuses moments that are minutes away from its own clock, so
    that nobody can send an old verdict again.

    >>> signature("secret", 1700000000, b"{}")
    't=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163'
    """
    said = f"{moment}.".encode() + content
    return f"t={moment},v1={hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()}"


class Webhook:
    """A thread that delivers the lines of a file of verdicts; use it as a context."""

    def __init__(
        self, address: str, secret: str, folder: Path, trouble: Callable[[str], None] | None = None
    ) -> None:
        """To `address`, what is in `folder`; `trouble` is told when a receiver fails, and when it is back.

        Raises:
            AddressError, NoSecretError: it cannot be used.
        """
        if not secret:
            raise NoSecretError(SECRET)
        self._address, self._secret = checked_address(address, "--webhook"), secret
        self._file, self._cursor = folder / VERDICTS_NAME, folder / CURSOR_NAME
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
        return sum(1 for _ in self._lines())

    def _run(self) -> None:
        while not self._ending.is_set():
            self._new.clear()
            try:
                self._deliver()
            except FlawtraceError as error:
                self._trouble(f"Verdicts wait to be delivered: {error}")
            self._new.wait(POLL)

    def _deliver(self) -> None:
        for line, end in self._lines():
            if self._ending.is_set() or not self._delivered(line):
                return
            write_json(self._cursor, {"delivered": end})

    def _lines(self) -> Iterator[tuple[bytes, int]]:
        """What is not delivered, and where each ends; a line that is being written is none yet."""
        delivered = read_json(self._cursor)["delivered"] if self._cursor.exists() else 0
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            if delivered > file.seek(0, 2):  # the file of verdicts is another one
                delivered = 0
            file.seek(delivered)
            for line in file:
                if line.endswith(b"\n"):
                    delivered += len(line)
                    yield line.rstrip(b"\n"), delivered

    def _delivered(self, line: bytes) -> bool:
        """Send a line until it is received; False if the end comes first."""
        waits = delays()
        while (problem := self._sent(line)) is not None:
            delay = next(waits)
            self._trouble(f"{shown(self._address)} did not take a verdict ({problem}); again in {delay:g} s.")
            if self._ending.wait(delay):
                return False
        return True

    def _sent(self, line: bytes) -> str | None:
        """What went wrong, if anything did."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": str(json.loads(line).get("id", "")),
            SIGNATURE: signature(self._secret, int(time.time()), line),
        }
        try:
            answer = post(self._address, line, headers)
        except UnansweredError as error:
            return str(error)
        return None if answer.good else f"status {answer.status}"
