"""A real Ray cluster on addresses of the loopback, one process group for each node, ended by its own ids."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_health_check_period_ms": "1000",  # so that a node that is killed is missed within seconds
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
}
"""Of every node and of every program that comes to it."""
DEADLY = "deadly.png"
TRAP = f"""
import os, sys

def spring(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        if os.path.basename(os.path.realpath(os.fsdecode(arguments[0]))) == {DEADLY!r}:
            os._exit(13)

sys.addaudithook(spring)
"""
"""In every process of every node: whoever opens a file of that name, or a link to one, is gone at once."""


def environment() -> dict[str, str]:
    """For nodes and drivers; the token is one of this process."""
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    return os.environ | SETTINGS | {"RAY_AUTH_TOKEN": os.environ["RAY_AUTH_TOKEN"]}


SQUATTER = """
import sys, time
import numpy as np, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

ray.init(sys.argv[1], logging_level="ERROR", log_to_driver=False)

@ray.remote(num_cpus=0)
class Squatter:
    def fill(self):  # what somebody looks at can neither be spilled nor evicted
        self.put, self.looked_at = [], []
        while not self.full():
            self.put.append(ray.put(np.zeros(2_000_000, np.uint8)))
            self.looked_at.append(ray.get(self.put[-1]))

    def full(self):  # then objects come to lie in files on the disk
        mapped = {line.split()[5] for line in open("/proc/self/maps") if "plasma" in line}
        return any(not file.startswith("/dev/shm") for file in mapped)

nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
squatters = [Squatter.options(scheduling_strategy=On(node, soft=False)).remote() for node in nodes]
ray.get([squatter.fill.remote() for squatter in squatters])
print("full", flush=True)
time.sleep(600)
"""
"""Fills the object store of every node, says so, and stays."""


def trapped() -> dict[str, str]:
    """The environment of a process that dies of a deadly file."""
    folder = tempfile.mkdtemp(prefix="trap-")
    (Path(folder) / "sitecustomize.py").write_text(TRAP)  # Python runs it first
    return environment() | {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def until(happened: Callable[[], object], process: "subprocess.Popen[bytes]") -> None:
    """Wait for it while the process runs."""
    given_up = time.monotonic() + 300
    while not happened():
        assert process.poll() is None, "it was over before anything happened"
        assert time.monotonic() < given_up
        time.sleep(0.05)


class Node:
    """A node, as `ray start` opens it."""

    def __init__(self, address: str, *flags: str) -> None:
        folder = Path(tempfile.mkdtemp(prefix="ray-node-"))
        self._log = folder / "log"
        sizes = ["--memory=3000000000", "--object-store-memory=100000000"]
        quiet = "--include-log-monitor=false"  # each looks for news ten times a second, and nobody reads it
        command = [*RAY, "start", f"--node-ip-address={address}", *sizes, quiet, *flags, "--block"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=trapped(), start_new_session=True
            )

    def wait_for(self, text: str) -> None:
        given_up = time.monotonic() + 300
        while text not in self._log.read_text():
            if self.process.poll() is not None or time.monotonic() > given_up:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.2)

    def kill(self) -> None:
        """As when somebody pulls the plug: everything that this node has started, at once."""
        for pid in sorted(self.descendants(self.process.pid), reverse=True):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    @staticmethod
    def descendants(root: int) -> set[int]:
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                after = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(after[1])
        found = {root}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


class Cluster:
    """A head that computes nothing, and workers with one processor each."""

    def __init__(self, subnet: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._subnet, self._last = subnet, 4
        self.address = f"127.0.{subnet}.2:{port}"
        flags = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false"]
        self.nodes = [Node(f"127.0.{subnet}.2", *flags)]
        self.workers: list[Node] = []

    def open(self) -> None:
        """Return when all nodes are there; two that start at once get in each other's way."""
        self.nodes[0].wait_for("Ray runtime started")
        for last in (3, 4):
            self.workers.append(self._open(last))
            self.workers[-1].wait_for("Ray runtime started")

    def kill_one(self) -> None:
        """A worker goes, and another one comes."""
        self.workers.pop(0).kill()
        self._last += 1
        self.workers.append(self._open(self._last))

    @contextmanager
    def full(self) -> Iterator[None]:
        """Inside, the object stores of all nodes are."""
        command = [sys.executable, "-c", SQUATTER, self.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as squatter:
            try:
                assert squatter.stdout is not None
                assert squatter.stdout.readline() == "full\n"
                yield
            finally:
                squatter.kill()

    def running(self, what: str) -> set[int]:
        """Processes of workers that do this just now."""
        alive = {pid for node in self.workers for pid in Node.descendants(node.process.pid)}
        return {pid for pid in alive if what in _command(pid)}

    def end(self) -> None:
        for node in reversed(self.nodes):
            node.kill()

    def _open(self, last: int) -> Node:
        node = Node(f"127.0.{self._subnet}.{last}", f"--address={self.address}", "--num-cpus=1")
        self.nodes.append(node)
        return node
