"""Looks at every image that appears in a folder, and tells what it found.

A folder into which a camera writes, and a detector or the address of a station, enter; lines in a file, and
requests to whoever wants to hear of them (a webhook), leave. Half-written files, copies, broken files, a
detector or a receiver that is away, and being killed lose nothing and repeat nothing.
"""

from flawtrace.station.watch.eyes import Eye, eye_of_run, eye_of_station
from flawtrace.station.watch.verdicts import VERDICTS_NAME
from flawtrace.station.watch.watching import watch
from flawtrace.station.watch.webhook import SECRET, Webhook, signature

__all__ = ["SECRET", "VERDICTS_NAME", "Eye", "Webhook", "eye_of_run", "eye_of_station", "signature", "watch"]
