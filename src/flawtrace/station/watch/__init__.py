"""Looks at every image that appears in a folder, and tells what it found.

A folder into which a camera writes, and a detector or the address of a station, enter; lines in a file, and
requests to whoever wants to hear of them (a webhook), leave. Half-written files, copies, broken files, a
detector or a receiver that is away, and being killed lose nothing and repeat nothing.
"""

from flawtrace.station.delivery.receiver import SECRET, Receiver, signature
from flawtrace.station.delivery.webhook import Webhook
from flawtrace.station.watch.eyes import Eye, eye_of_run, eye_of_station, why_not_yet
from flawtrace.station.watch.undelivered import Undelivered
from flawtrace.station.watch.verdicts import VERDICTS_NAME
from flawtrace.station.watch.watching import watch

__all__ = [
    "SECRET",
    "VERDICTS_NAME",
    "Eye",
    "Receiver",
    "Undelivered",
    "Webhook",
    "eye_of_run",
    "eye_of_station",
    "signature",
    "watch",
    "why_not_yet",
]
