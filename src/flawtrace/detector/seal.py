"""A seal on files that another library reads: damage is found before that library has to cope with it."""

import hashlib
import re

OPEN = "sealed by flawtrace: " + "0" * 64
"""Somewhere in a content that is to be sealed, once."""
SEAL = re.compile(rb"sealed by flawtrace: ([0-9a-f]{64})")


def sealed(content: bytes) -> bytes:
    """The content with the SHA-256 of all of it in its open seal, of the same length.

    >>> intact(sealed(b"one " + OPEN.encode() + b" two"))
    True
    """
    before, after = content.split(OPEN.encode())
    return before + OPEN.encode()[:-64] + _digest(content) + after


def intact(content: bytes) -> bool | None:
    """Whether the content is as it was sealed; None if it has no seal.

    >>> intact(b"buy milk") is None
    True
    """
    found = SEAL.search(content)
    if found is None:
        return None
    opened = content[: found.start(1)] + b"0" * 64 + content[found.end(1) :]
    return _digest(opened) == found[1]


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
