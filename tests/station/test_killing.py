"""A real server that is killed in the middle of its work: what it answered is in the history."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from flawtrace.station import verify
from flawtrace.station.delivery.posting import UnansweredError, post
from flawtrace.station.store.tables import EntryRow
from flawtrace.station.store.workspace import Workspace

SERVE = (
    "import sys; from pathlib import Path; from flawtrace.station import serve; "
    "serve(Path(sys.argv[1]), port=0, ready=lambda address: print(address, flush=True))"
)
CLIENTS, ENOUGH = 4, 40

pytestmark = pytest.mark.slow


@dataclass
class Server:
    process: subprocess.Popen[str]
    address: str

    def inspect(self, content: bytes) -> dict[str, Any]:
        answer = post(f"{self.address}v1/inspect", content, {"Content-Type": "image/png"})
        assert answer.status == 200, answer.content
        said: dict[str, Any] = json.loads(answer.content)
        return said


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path, put_to_work: Callable[[Workspace], int]) -> Path:
    """A workspace with a detector at work."""
    workspace = Workspace(tmp_path / "workspace")
    put_to_work(workspace)
    workspace.close()
    return workspace.root


@pytest.fixture(scope="session")
def contents(category: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(category.rglob("*.png"))[:10]]


def children(process: int) -> list[int]:
    said = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in said.split()]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_no_verdict_that_was_answered_is_lost(folder: Path, contents: list[bytes]) -> None:
    answered: list[dict[str, Any]] = []

    def ask_until_it_is_gone(server: Server) -> None:
        try:
            while True:
                answered.append(server.inspect(contents[len(answered) % len(contents)]))
        except (UnansweredError, ValueError):  # gone, or in the middle of an answer
            return

    with serving(folder) as server, ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask_until_it_is_gone, server) for _ in range(CLIENTS)]
        while len(answered) < ENOUGH:
            assert server.process.poll() is None
            Event().wait(0.01)
        server.process.kill()
        for client in clients:
            client.result()
    assert verify(folder) >= len(answered) >= ENOUGH
    workspace = Workspace(folder)
    with workspace.database.reading() as session:
        kept = {entry["entry"]: session.get_one(EntryRow, entry["entry"]).hash for entry in answered}
    workspace.close()
    assert kept == {entry["entry"]: entry["entry_hash"] for entry in answered}
    with serving(folder) as server:
        assert server.inspect(contents[0])["entry"] > max(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes as Linux shows them")
def test_no_process_outlives_the_server(folder: Path, contents: list[bytes]) -> None:
    with serving(folder) as server:
        server.inspect(contents[0])
        workers = children(server.process.pid)
        assert workers
        server.process.kill()
        server.process.wait()
        end = time.monotonic() + 20
        while any(map(alive, workers)):
            assert time.monotonic() < end
            Event().wait(0.05)


def test_a_server_that_is_asked_to_end_does_so_at_once(folder: Path, contents: list[bytes]) -> None:
    with serving(folder) as server:
        server.inspect(contents[0])
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=15) in (0, -signal.SIGTERM)
    assert verify(folder) == 1
