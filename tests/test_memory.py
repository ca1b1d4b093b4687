"""A peak of memory is that of what is asked about, not of what went before."""

import pytest
import torch

from flawtrace.memory import FORGET, forget_peak, peak_memory_mb


def test_a_peak_can_be_forgotten() -> None:
    if not FORGET.exists():
        pytest.skip(f"no {FORGET} on this system: a process cannot forget its peak")
    before = torch.ones(100_000_000)
    high = peak_memory_mb()
    del before
    forget_peak()
    assert peak_memory_mb() < high - 300
