"""The inspection station: a page on this machine to look, label, retrain and decide.

A workspace's folder and the address of its database enter, web pages and an interface for machines leave. In
`store` is what is kept, in `work` what computes in processes of its own, in `web` what a browser or a machine
asks; `watch` looks at a folder, with or without a station; `delivery` tells others of verdicts. The station
has no logic of its own: detectors, trainings, comparisons and label formats are the verbs'.
"""

from flawtrace.station import watch
from flawtrace.station.delivery.receiver import SECRET, Receiver
from flawtrace.station.serving import admit, admitted, dismiss, serve, verify
from flawtrace.station.store.intake import Taken
from flawtrace.station.store.people import Person

__all__ = [
    "SECRET",
    "Person",
    "Receiver",
    "Taken",
    "admit",
    "admitted",
    "dismiss",
    "serve",
    "verify",
    "watch",
]
