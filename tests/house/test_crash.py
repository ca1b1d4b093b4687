"""A short run of the crash script: killed and out of room, work goes on as if nothing had been."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from flawtrace.data.errors import NoImagesError
from flawtrace.ground.errors import FlawtraceError, OutputError

CRASH = Path(__file__).parents[2] / "fuzz/crash.py"


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it forks, and mounts a small file system")
def test_work_that_is_killed_or_has_no_room_goes_on_to_the_same_end() -> None:
    command = [sys.executable, CRASH, "--kills", "4", "--full", "3", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(", 0 failures") == 3
    if "not tested" in done.stdout:
        pytest.skip("kills were survived; full disks: nothing can be mounted here")


def test_an_error_comes_back_from_another_process_as_it_was() -> None:
    """Errors ask for different things when they are made; what arrives has the same class and words."""
    for error in (OutputError(Path("a"), OSError(28, "No space left on device")), NoImagesError(Path("b"))):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            arrived = pool.submit(_itself, error).result()
        assert (type(arrived), str(arrived)) == (type(error), str(error))


def _itself(error: FlawtraceError) -> FlawtraceError:
    return error
