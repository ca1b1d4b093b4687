"""One request to another machine, and its answer.

By the standard library: requests go out one at a time, so a pool of connections would bring nothing, and
flawtrace has one dependency less to keep safe on a machine beside a production line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from flawtrace.station.delivery.errors import AddressError

PATIENCE = 60.0
"""Seconds to wait for an answer."""
MOST_BYTES = 2**20
"""Of an answer that are read."""


class UnansweredError(Exception):
    """There is no answer: nobody is there, or the connection broke."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    content: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class _NoDetours(HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its content, and look delivered."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = build_opener(_NoDetours)


def post(address: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    """Send `content`, and wait for the answer, whatever its status.

    Raises:
        UnansweredError: there is none.
    """
    return _answer_to(Request(address, content, dict(headers), method="POST"), PATIENCE)


def get(address: str, headers: Mapping[str, str], patience: float = PATIENCE) -> Answer:
    """Ask for something, and wait so many seconds for the answer, whatever its status.

    Raises:
        UnansweredError: there is none.
    """
    return _answer_to(Request(address, None, dict(headers)), patience)


def _answer_to(request: Request, patience: float) -> Answer:
    request.add_header("User-Agent", "flawtrace")
    try:
        try:
            with _OPENER.open(request, timeout=patience) as said:
                return Answer(said.status, said.headers, said.read(MOST_BYTES))
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(MOST_BYTES))
    except (OSError, HTTPException) as error:
        raise UnansweredError(str(error) or type(error).__name__) from error


def checked_address(address: str, flag: str) -> str:
    """An address that `post` takes, without a slash at its end.

    Raises:
        AddressError: it is none.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:  # brackets without an address, or a port that is no number
        host = None
    plain = address.isascii() and address.isprintable() and " " not in address
    if not (plain and host and parts.scheme in ("http", "https")) or "@" in parts.netloc:
        raise AddressError(flag, re.sub(r"[?#].*|(?<=//)[^/]*@", "", address, flags=re.DOTALL))
    return address.rstrip("/")


def shown(address: str) -> str:
    """An address without what may be secret in it.

    >>> shown("https://me:secret@example.com:8443/hook?key=secret")
    'https://example.com:8443/hook'
    """
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def delays(first: float = 1.0, most: float = 300.0) -> Iterator[float]:
    """Seconds to wait after each failure in a row, growing.

    >>> from itertools import islice
    >>> list(islice(delays(most=3.0), 4))
    [1.0, 2.0, 3.0, 3.0]
    """
    delay = first
    while True:
        yield min(delay, most)
        delay = min(2 * delay, most)
