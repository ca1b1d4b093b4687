"""Whoever hears of verdicts: an address, and the secret with which they are signed."""

import hashlib
import hmac
import time

from flawtrace.station.delivery.errors import NoSecretError
from flawtrace.station.delivery.posting import UnansweredError, checked_address, post, shown

SECRET = "FLAWTRACE_WEBHOOK_SECRET"
"""The environment variable with the secret."""
SIGNATURE = "X-Flawtrace-Signature"


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


class Receiver:
    """Takes JSON by POST."""

    def __init__(self, address: str, secret: str) -> None:
        """At `address`; nothing is asked of it yet.

        Raises:
            AddressError, NoSecretError: it cannot be used.
        """
        if not secret:
            raise NoSecretError(SECRET)
        self._address, self._secret = checked_address(address, "--webhook"), secret
        self.shown = shown(self._address)
        """Its address without what may be secret in it."""

    def problem_with(self, content: bytes, key: str) -> str | None:
        """Send `content`, which is known by `key`; what went wrong, if anything did."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            SIGNATURE: signature(self._secret, int(time.time()), content),
        }
        try:
            answer = post(self._address, content, headers)
        except UnansweredError as error:
            return str(error)
        return None if answer.good else f"status {answer.status}"
