"""A peak of memory is that of what is asked about, not of what went before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from flawtrace.ground.memory import FORGET, KEPT, forget_peak, peak_memory_mb


def test_a_system_without_the_line_is_asked_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmRSS:\t 1024 kB\n")
    for file in (status, tmp_path / "missing"):
        monkeypatch.setattr("flawtrace.ground.memory.STATUS", file)
        assert peak_memory_mb() > 10


def test_a_peak_can_be_forgotten() -> None:
    if not FORGET.exists():
        pytest.skip(f"no {FORGET} on this system: a process cannot forget its peak")
    before = torch.ones(100_000_000)
    high = peak_memory_mb()
    del before
    forget_peak()
    assert peak_memory_mb() < high - 300


WORK = """
import resource
import numpy as np
from flawtrace.ground.memory import keep_freed_memory
keep_freed_memory()
for _ in range(20):
    blocks = [np.ones(2**20) for _ in range(10)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
"""As layers of a network take and free memory; prints how often the system had to bring some."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told what to keep")
def test_what_is_freed_is_used_again_unless_the_environment_wants_otherwise() -> None:
    plain = {name: value for name, value in os.environ.items() if name not in KEPT}
    as_asked = plain | {"MALLOC_TRIM_THRESHOLD_": "131072"}
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", WORK], env=env, capture_output=True, check=True).stdout)
        for env in (plain, as_asked)
    )
    assert kept < returned / 2
