"""Who looks at the images: a detector in this process, or a station elsewhere."""

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from flawtrace import verbs
from flawtrace.detector import regions_of
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.groups import RuntimeChoice
from flawtrace.pictures.images import read_image
from flawtrace.station.delivery.posting import Answer, UnansweredError, checked_address, get, post, shown
from flawtrace.station.watch.errors import NotNowError, StationRefusedError, UnseenError

Eye: TypeAlias = Callable[[Path, bytes], dict[str, Any]]
"""A file and its content enter; what stands in a line of verdicts leaves.

Raises:
    UnseenError: the image cannot be looked at, now or ever.
    NotNowError: it cannot be looked at now.
"""
BROKEN = (413, 415, 422)
"""Statuses of a station that are the image's fault."""
FIRST_PATIENCE = 5.0
"""Seconds to wait for what a station says before there is any image."""
KEPT = ("verdict", "score", "doubt", "regions", "thresholds", "detector", "entry")
"""Of what a station says: the map has an address there."""


def eye_of_run(run: Path, *, device: str = "cpu", runtime: RuntimeChoice = "auto") -> Eye:
    """A detector that is loaded once."""
    detector = verbs.load(run, device=device, runtime=runtime)
    thresholds, fingerprint = vars(detector.thresholds), detector.facts.fingerprint

    def look(file: Path, _: bytes) -> dict[str, Any]:
        try:
            found = detector.predict(read_image(file))
        except FlawtraceError as error:
            raise UnseenError(str(error)) from error
        return {
            "verdict": found.verdict,
            "score": round(found.score, 6),
            "doubt": found.doubt,
            "regions": [region.to_json() for region in regions_of(found.mask, found.anomaly_map)],
            "thresholds": thresholds,
            "detector": fingerprint,
        }

    return look


def eye_of_station(address: str, token: str | None = None) -> Eye:
    """A station at `address`; verdicts are in its history too.

    Raises:
        AddressError: it is no address.
    """
    address = checked_address(address, "--station")
    headers = {"Content-Type": "image/*"} | _bearer(token)

    def look(file: Path, content: bytes) -> dict[str, Any]:
        try:
            said = post(f"{address}/v1/inspect?name={quote(file.name, errors='replace')}", content, headers)
        except UnansweredError as error:
            raise NotNowError(f"{shown(address)} does not answer: {error}") from error
        if said.good:
            answer = json.loads(said.content)
            return {name: answer[name] for name in KEPT}
        raise _refusal(shown(address), said)

    return look


def why_not_yet(address: str, token: str | None = None) -> str | None:
    """Why a station cannot look at images now, though it may later; None where it can.

    Raises:
        AddressError: it is no address.
        StationRefusedError: it never will, with this token or at this address.
    """
    address = checked_address(address, "--station")
    try:
        said = get(f"{address}/v2/health/ready", _bearer(token), FIRST_PATIENCE)
    except UnansweredError as error:
        return f"{shown(address)} does not answer: {error}"
    if said.good:
        return None
    if said.status == HTTPStatus.SERVICE_UNAVAILABLE and b'"ready"' in said.content:
        return f"{shown(address)} has no detector at work yet."
    refusal = _refusal(shown(address), said)
    if isinstance(refusal, NotNowError):
        return str(refusal)
    raise refusal


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _refusal(address: str, said: Answer) -> Exception:
    """What an answer without a verdict means."""
    reason = _detail(said)
    if said.status in BROKEN:
        return UnseenError(reason)
    if said.status >= 500 or said.status in (409, 429):  # away, busy, or without a detector yet
        seconds = said.headers.get("Retry-After", "")
        return NotNowError(f"{address}: {reason}", float(seconds) if seconds.isdecimal() else None)
    return StationRefusedError(address, said.status, reason.split("\n")[0])


def _detail(said: Answer) -> str:
    try:
        answer = json.loads(said.content)
        return str(answer["detail"] if "detail" in answer else answer["error"])
    except (ValueError, TypeError, KeyError):
        return f"status {said.status}"
