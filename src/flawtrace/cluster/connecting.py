"""The way to a cluster: one that is there, or Ray started on this machine for as long as a command takes."""

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from flawtrace.cluster.errors import NoRoomError, UnreachableError
from flawtrace.ground.addresses import AUTO, LOCAL, host_and_port

LOOPBACK = "127.0.0.2"
"""Ray replaces 127.0.0.1 by the machine's outer address; this one it leaves alone."""
KNOCK = 10.0
"""Seconds for a head node to answer at all."""
GIGABYTE = 10**9


@dataclass(frozen=True)
class Needs:
    """What one task occupies while it runs."""

    threads: int = 1
    memory: float = 4.0
    """In GB. Ray sets it aside, and does not enforce it."""
    gpus: int = 0

    @classmethod
    def of(cls, threads: int, memory: float, device: str) -> "Needs":
        """One GPU, if it computes on one."""
        return cls(threads, memory, int(device.startswith("cuda")))

    @property
    def options(self) -> dict[str, Any]:
        """As Ray asks for them."""
        return {
            "num_cpus": self.threads,
            "num_gpus": self.gpus,
            "memory": round(self.memory * GIGABYTE),
        }

    def __str__(self) -> str:
        return _in_words(self.threads, self.memory, self.gpus)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Inside, Ray runs tasks at `address`, or on this machine alone if that is `local`.

    Ray listens on every interface of the machine even then, and asks everybody for a token: that of
    RAY_AUTH_TOKEN, or one that it puts into the user's folder `.ray`. A program that has called `ray.init`
    itself stays connected as it is.

    Raises:
        ArgumentError: it is no address.
        UnreachableError: no cluster answers there, or it refuses the token.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns that it will be so
    here: dict[str, Any] = {}
    if address not in (LOCAL, AUTO):
        _knock(address)
    if address == LOCAL:
        here = {"include_dashboard": False}
        here |= {"_node_ip_address": LOOPBACK} if sys.platform == "linux" else {}
    try:
        ray.init(address, logging_level="ERROR", log_to_driver=False, **here)
    except (OSError, RuntimeError, ValueError, AssertionError, RayError) as error:
        ray.shutdown()
        raise UnreachableError(address, str(error).strip().partition("\n")[0].rstrip(".")) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ray itself goes on trying for ten minutes and more where nobody answers.

    Raises:
        ArgumentError: it is no address.
        UnreachableError: nobody does.
    """
    place = host_and_port(address)
    try:
        socket.create_connection(place, timeout=KNOCK).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a machine
        raise UnreachableError(address, str(error)) from error


def refuse_if_nowhere(needs: Needs) -> None:
    """Before anything is handed out.

    Raises:
        NoRoomError: no node is large enough.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {"CPU": needs.threads, "GPU": needs.gpus, "memory": needs.memory * GIGABYTE}
    if not any(all(node.get(name, 0) >= much for name, much in asked.items()) for node in nodes):
        raise NoRoomError(str(needs), [_size(node) for node in nodes])


def _size(resources: Mapping[str, float]) -> str:
    memory = resources.get("memory", 0) / GIGABYTE
    return _in_words(resources.get("CPU", 0), memory, resources.get("GPU", 0))


def _in_words(threads: float, memory: float, gpus: float) -> str:
    return f"{threads:g} CPU, {memory:.1f} GB of memory" + (f", {gpus:g} GPU" if gpus else "")
