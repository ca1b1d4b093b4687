"""A station under load: how fast it answers, whether it grows, and whether killing it loses a verdict.

    python benchmarks/station_load.py RUN IMAGES -o benchmarks/results/station_load.jsonl

Clients send images, one after the other, to a station with the detector of RUN, in a process of its own, for
some minutes; a client that is told that too many wait (503) comes back when it was told to. Then the station
is killed (SIGKILL) while they go on, and every verdict that a client was sent is looked up in the history.
Any other error, and any verdict that is missing, makes this program fail. Linux only: memory is read from
/proc, and counts what processes share once for each.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import numpy as np

from flawtrace.comparison.cell import circumstances
from flawtrace.data import is_image
from flawtrace.ground.files import append_json
from flawtrace.station import verify
from flawtrace.station.delivery.posting import UnansweredError, post
from flawtrace.station.store.tables import EntryRow
from flawtrace.station.store.versions import promote, register
from flawtrace.station.store.workspace import Workspace

SERVE = (
    "import sys; from pathlib import Path; from flawtrace.station import serve; "
    "serve(Path(sys.argv[1]), port=0, ready=lambda address: print(address, flush=True))"
)
HEADERS = {"Content-Type": "image/*"}
MEMORY_EVERY = 5.0
"""Seconds between two looks at the memory."""
SETTLING = 0.2
"""Share of the time, at its beginning, in which memory may grow: models are loaded, caches filled."""


@dataclass
class Load:
    """What clients saw."""

    contents: Sequence[bytes]
    address: str
    seconds: list[float] = field(default_factory=list)
    """Of each answer with a verdict."""
    accepted: dict[int, str] = field(default_factory=dict)
    """Number and hash of each line of the history that a client was told of."""
    errors: Counter[str] = field(default_factory=Counter)
    ending: Event = field(default_factory=Event)

    def client(self, number: int) -> None:
        """Sends one image after the other until the end, or until nobody answers any more."""
        turn = number
        while not self.ending.is_set():
            began = time.perf_counter()
            try:
                answer = post(self.address, self.contents[turn % len(self.contents)], HEADERS)
                said = json.loads(answer.content)
            except (UnansweredError, ValueError) as error:  # killed, perhaps in the middle of an answer
                if not self.ending.wait(1):
                    self.errors[f"no answer: {error}"] += 1
                return
            turn += 1
            if answer.status == 503:
                self.errors["503"] += 1
                self.ending.wait(float(answer.headers["Retry-After"]))
            elif not answer.good:
                self.errors[f"{answer.status}: {said}"] += 1
            else:
                self.seconds.append(time.perf_counter() - began)
                self.accepted[said["entry"]] = said["entry_hash"]


def prepared(run: Path, folder: Path) -> Path:
    """A workspace in which the detector of a run is at work."""
    workspace = Workspace(folder)
    copy = workspace.run_folder(1)
    shutil.copytree(run, copy)
    version = register(workspace, copy, "load")
    with workspace.database.writing() as session:
        promote(session, version, "load")
    workspace.close()
    return folder


def memory_mb(process: int) -> float:
    """Resident memory of a process and all that it started, in MB."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        below = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS")]
    own = float(lines[0].split()[1]) / 1024 if lines else 0.0
    return own + sum(memory_mb(int(child)) for child in below)


def missing(folder: Path, accepted: dict[int, str]) -> int:
    """How many verdicts that clients were sent are not in the history, whose chain is verified first."""
    verify(folder)
    workspace = Workspace(folder)
    with workspace.database.reading() as session:
        kept = {line: session.get(EntryRow, line) for line in accepted}
    workspace.close()
    return sum(1 for line, row in kept.items() if row is None or row.hash != accepted[line])


def measured(folder: Path, contents: Sequence[bytes], clients: int, minutes: float) -> dict[str, Any]:
    """Load a station until it is killed; what came of it."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    load = Load(contents, f"{process.stdout.readline().strip()}v1/inspect")
    post(load.address, contents[0], HEADERS)  # the process that looks at images loads its detector first
    threads = [Thread(target=load.client, args=(number,)) for number in range(clients)]
    began, memory = time.monotonic(), []
    for thread in threads:
        thread.start()
    while (passed := time.monotonic() - began) < 60 * minutes:
        memory.append((passed, memory_mb(process.pid)))
        time.sleep(MEMORY_EVERY)
    answered = len(load.seconds)
    process.kill()
    load.ending.set()
    for thread in threads:
        thread.join()
    process.wait()
    process.stdout.close()
    settled = [size for passed, size in memory if passed >= SETTLING * 60 * minutes]
    third = max(1, len(settled) // 3)
    return {
        "clients": clients,
        "minutes": minutes,
        "images": len(contents),
        "verdicts": answered,
        "verdicts_per_second": round(answered / passed, 2),
        "p50_ms": round(1000 * float(np.percentile(load.seconds, 50)), 1),
        "p99_ms": round(1000 * float(np.percentile(load.seconds, 99)), 1),
        "refused_503": load.errors.pop("503", 0),
        "errors": dict(load.errors),
        "memory_mb": [round(size) for _, size in memory],
        "memory_growth_mb": round(median(settled[-third:]) - median(settled[:third]), 1),
        "accepted": len(load.accepted),
        "missing": missing(folder, load.accepted),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("images", type=Path, help="a folder of images, looked into all the way down")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("-o", "--out", type=Path, help="a file of rows")
    arguments = parser.parse_args()
    contents = [file.read_bytes() for file in sorted(arguments.images.rglob("*")) if is_image(file)]
    with tempfile.TemporaryDirectory() as folder:
        workspace = prepared(arguments.run, Path(folder) / "workspace")
        row = measured(workspace, contents, arguments.clients, arguments.minutes)
    row |= circumstances()
    if arguments.out:
        append_json(arguments.out, row)
    print(json.dumps(row))
    if row["errors"] or row["missing"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
