"""The policy that picks squares, of the benchmarks: it learns what it is paid for."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from flawtrace.ground.groups import PolicyConfig

PICKING = Path(__file__).parents[2] / "benchmarks/picking.py"


@pytest.fixture(scope="module")
def picking() -> ModuleType:
    spec = importlib.util.spec_from_file_location("picking", PICKING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("paid", [True, False])
def test_it_learns_to_pick_what_is_paid_for_and_nothing_where_nothing_is(
    picking: ModuleType, rng: torch.Generator, paid: bool
) -> None:
    """One of four squares is bright."""
    config = PolicyConfig(widths=(4, 4), hidden=8, lr=1e-2)
    picker = picking.Picker(8, config, seed=0)
    found = []
    for _ in range(10 * picking.ROLLOUT):
        bright = torch.randint(4, (32,), generator=rng)
        offered = 0.1 * torch.rand(32, 4, 6, 8, 8, generator=rng)
        offered[torch.arange(32), bright] += 0.8
        right = (picker.pick(offered, rng) == bright).float()
        picker.credit(right if paid else torch.rand(32, generator=rng), rng)
        found.append(float(right.mean()))
    last = sum(found[-picking.ROLLOUT :]) / picking.ROLLOUT
    assert last > 0.9 if paid else last < 0.5
