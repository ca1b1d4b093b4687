"""A peak of memory is that of what is asked about, not of what went before."""

from pathlib import Path

import pytest
import torch

from flawtrace.ground.memory import FORGET, forget_peak, peak_memory_mb


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
