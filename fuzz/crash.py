"""Killed at random moments, or out of room on the disk: what is left is whole, and work goes on from there.

    python fuzz/crash.py --kills 200 --full 50
    python fuzz/crash.py --kills 5 train

Training, prediction and a benchmark work on made-up images, each in a process of its own. A kill (SIGKILL)
comes at a random moment of the work; a full disk is a small file system in memory, with a random number of
bytes left free, mounted for this script alone where the system lets it. After each, every file is read: one
that is there has to be whole, and a lack of room has to be told by name. Then the same command goes on, in
the end undisturbed, and its result is compared byte for byte with that of work that was never disturbed; rows
that a benchmark had finished must not be run again.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from PIL import Image as Pillow

from flawtrace import verbs
from flawtrace.comparison.bench import read_rows
from flawtrace.detector.artefact import Detector
from flawtrace.ground.errors import FlawtraceError, OutputError
from flawtrace.ground.files import LOCK_NAME, read_json, read_jsonl
from flawtrace.pictures.mask_files import read_mask
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.training import checkpoint

TINY = Path(__file__).parents[1] / "tests/tiny.toml"
"""With which training takes about a second."""
INTERVAL = 0.02
"""Seconds between checkpoints, so that many are under way when a kill comes."""
IN_A_ROW = 3
"""Times that one piece of work is disturbed at most, before it may end."""
VOLATILE = ("seconds", "predict_seconds", "peak_memory_mb", "finished")
"""What no two runs have in common."""
ROOM = 64 * 2**20
"""Bytes of the small file system."""
OUT = "out"
"""What every folder of results is called, since pages name it."""
DONE, NO_ROOM, FAILED = 0, 1, 70


@dataclass(frozen=True)
class Work:
    """Something to disturb: what is done in a folder, and what it leaves there."""

    do: Callable[[Path], None]
    result: Callable[[Path], dict[str, Any]]
    """By name, what has to be the same in the end."""
    finished: Callable[[Path], list[Any]]
    """What must not be lost, or done again."""


def works(folder: Path) -> dict[str, Work]:
    """On images and with a detector that are made in `folder`."""
    parts = make_dataset(folder / "parts", side=64, num_normal=9, num_test_normal=2, num_per_type=6)
    verbs.train(parts, folder / "run", settings_file=TINY)
    methods = folder / "methods.toml"
    tiny = TINY.read_text().replace("labels = 2\n", "")  # how many there are is up to the protocol
    shared = "[shared.settings]\n" + tiny.replace("\n[", "\n[shared.settings.")
    methods.write_text(shared + "\n[a]\n[b]\nsettings = { copies = 0 }\n")
    images = sorted((parts / "test").rglob("*.png"))

    def train(out: Path) -> None:
        verbs.train(parts, out, settings_file=TINY, resume=True)

    def predict(out: Path) -> None:
        list(verbs.predict(folder / "run", images, out))

    def benchmark(out: Path) -> None:
        verbs.benchmark([parts], out, methods=methods, seeds=(1,))

    return {
        "train": Work(train, trained, lambda _: []),
        "predict": Work(predict, predicted, lambda _: []),
        "benchmark": Work(benchmark, compared, lambda out: read_rows(out / "rows.jsonl")),
    }


def trained(out: Path) -> dict[str, Any]:
    names = ("detector.safetensors", "visits.safetensors", "settings.json", "log.jsonl")
    return {name: (out / name).read_bytes() for name in names}


def predicted(out: Path) -> dict[str, Any]:
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in visible(out)}


def compared(out: Path) -> dict[str, Any]:
    rows = read_rows(out / "rows.jsonl")
    return {
        f"{row['trial']} {row['method']}": {k: v for k, v in row.items() if k not in VOLATILE} for row in rows
    }


def visible(out: Path) -> list[Path]:
    """Every file that anyone reads: those whose name begins with a dot are on their way to a name."""
    return sorted(file for file in out.rglob("*") if file.is_file() and file.name[0] != ".")


READERS: dict[str, Callable[[Path], Any]] = {
    "detector.safetensors": Detector.load,
    "checkpoint.safetensors": checkpoint.unpack,
    ".safetensors": safetensors.torch.load_file,
    ".json": read_json,
    ".jsonl": lambda file: list(read_jsonl(file)),
    ".png": read_mask,
    ".tiff": lambda file: Pillow.open(file).load(),
    ".html": lambda file: ended(file, "</html>"),
    ".csv": lambda file: ended(file, "\n"),
    ".tex": lambda file: ended(file, "\n"),
    ".md": lambda file: ended(file, "\n"),
    ".svg": lambda file: ended(file, "</svg>\n"),
}
"""By name or by ending: how a file says that it is whole."""


def ended(file: Path, end: str) -> None:
    if not file.read_text().endswith(end):
        raise ValueError(f"{file} is cut off")


def read_all(out: Path) -> None:
    """Read every file as its reader does."""
    for file in visible(out):
        READERS.get(file.name, READERS.get(file.suffix, Path.read_bytes))(file)


def begun(work: Work, out: Path) -> int:
    """The process that now does the work."""
    child = os.fork()
    if child:
        with suppress(OSError):  # both do it, so that the group is there whoever comes first
            os.setpgid(child, child)
        return child
    with suppress(OSError):
        os.setpgid(0, 0)
    checkpoint.INTERVAL = INTERVAL
    code = FAILED
    try:
        work.do(out)
        code = DONE
    except OutputError as error:
        code = NO_ROOM if "No space left" in str(error) else FAILED
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # what this process has from its parent is none of its business


def ended_with(child: int) -> int:
    """Its exit code; minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(work: Work, out: Path, moment: float, rng: random.Random) -> bool:
    """Begin the work and kill it, alone or with all its workers; False if it was over before.

    Raises:
        RuntimeError: it was over because it went wrong.
    """
    child = begun(work, out)
    time.sleep(moment)
    over, status = os.waitpid(child, os.WNOHANG)
    if over and (code := os.waitstatus_to_exitcode(status)) != DONE:
        raise RuntimeError(f"undisturbed, it ended with {code}")
    if over:
        return False
    if rng.random() < 0.5:
        os.kill(child, signal.SIGKILL)
    else:
        os.killpg(child, signal.SIGKILL)
    ended_with(child)
    return True


class Trial:
    """One kind of work, disturbed in one way again and again."""

    def __init__(self, name: str, work: Work, folder: Path, seed: int) -> None:
        self.name, self.work, self.folder = name, work, folder
        self.rng = random.Random(f"{name} {seed}")
        self.failures: list[str] = []
        started = time.monotonic()
        self.undisturbed = folder / "undisturbed" / OUT
        if ended_with(begun(work, self.undisturbed)) != DONE:
            raise SystemExit(f"{name} does not work even undisturbed")
        self.seconds = time.monotonic() - started
        self.expected = work.result(self.undisturbed)
        if not self.expected:
            raise SystemExit(f"{name} leaves nothing to compare")

    def kills(self, count: int) -> None:
        """At `count` moments, spread over the work."""
        done = 0
        while done < count:
            out = self.folder / "killed" / OUT
            for _ in range(self.rng.randint(1, IN_A_ROW)):
                if not killed(self.work, out, self.rng.uniform(0, self.seconds), self.rng):
                    break
                done += 1
                self.check(out, f"after kill {done}", self.left)
            self.check(out, f"going on after kill {done}", self.goes_on)
            shutil.rmtree(out)

    def full_disks(self, count: int) -> None:
        """With `count` amounts of room that may not be enough."""
        need = sum(file.stat().st_size for file in visible(self.undisturbed))
        for number in range(1, count + 1):
            with small_disk(self.folder / "disk") as disk:
                free = self.rng.randrange(0, 2 * need)
                (disk / "ballast").write_bytes(bytes(ROOM - free))
                out = disk / OUT
                if (code := ended_with(begun(self.work, out))) not in (DONE, NO_ROOM):
                    self.failures.append(f"full disk {number}: ended with {code}")
                self.check(out, f"after full disk {number}", self.left)
                (disk / "ballast").unlink()
                self.check(out, f"going on after full disk {number}", self.goes_on)

    def check(self, out: Path, when: str, claim: Callable[[Path], None]) -> None:
        try:
            claim(out)
        except (Exception, SystemExit) as error:  # whatever it is, it is a failure
            self.failures.append(f"{when}: {type(error).__name__}: {str(error)[:300]}")

    def left(self, out: Path) -> None:
        read_all(out)
        self.work.finished(out)

    def goes_on(self, out: Path) -> None:
        kept = self.work.finished(out)
        if (code := ended_with(begun(self.work, out))) != DONE:
            raise SystemExit(f"ended with {code}")
        read_all(out)
        if any(row not in self.work.finished(out) for row in kept):
            raise ValueError("what was finished was lost or done again")
        found = self.work.result(out)
        if wrong := [name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name)]:
            raise ValueError(f"not as undisturbed: {', '.join(sorted(wrong))}")
        if litter := [file.name for file in out.rglob(".*") if file.is_file() and file.name != LOCK_NAME]:
            raise ValueError(f"left behind: {', '.join(litter)}")


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def may_mount() -> bool:
    """Whether this process may; it becomes root for itself alone, if it is not and the system lets it."""
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if os.geteuid() == 0:
        return True
    if (
        shutil.which("unshare")
        and subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0
    ):
        os.execvp(inside[0], [*inside, sys.executable, *sys.argv])
    return False


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("train", "predict", "benchmark")
    parser.add_argument("works", nargs="*", choices=[[], *names])
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--full", type=int, default=50, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.full and not may_mount():
        print("full disks: not tested, nothing can be mounted here", flush=True)
        arguments.full = 0
    torch.set_num_threads(1)
    os.environ["PYTHONWARNINGS"] = (
        "ignore::UserWarning:multiprocessing.resource_tracker"  # killed ones clean up late
    )
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        chosen = arguments.works or names
        for index, (name, work) in enumerate((n, w) for n, w in works(Path(folder)).items() if n in chosen):
            (Path(folder) / name).mkdir()
            started, trial = time.monotonic(), Trial(name, work, Path(folder) / name, arguments.seed)
            kills, full = (share(total, len(chosen), index) for total in (arguments.kills, arguments.full))
            trial.kills(kills)
            trial.full_disks(full)
            for failure in trial.failures:
                print(f"{name}: {failure}", file=sys.stderr)
            took = time.monotonic() - started
            told = f"{name}: {kills} kills, {full} full disks, {len(trial.failures)} failures, {took:.0f} s"
            print(told, flush=True)  # or the processes to come would say it again
            failed += len(trial.failures)
    return int(failed > 0)


def share(total: int, parts: int, index: int) -> int:
    """Of the part at `index`, when all get as many as can be."""
    return total // parts + (index < total % parts)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FlawtraceError as error:
        sys.exit(str(error))
