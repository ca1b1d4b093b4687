"""The benchmark programs run, and add a row per cell: nobody else would notice that one no longer does."""

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from flawtrace.ground.config import Config
from flawtrace.ground.presets import load_config
from flawtrace.pictures.synthetic import make_dataset

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHOSEN = ("uniform", "selecting", "rationed")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough images of each type for `five-per-type`."""
    root = tmp_path_factory.mktemp("product") / "bricks"
    return make_dataset(root, side=64, num_normal=12, num_test_normal=3, num_per_type=7)


@pytest.fixture
def program(tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a program, whose settings are then the tests' small ones wherever it sets nothing itself."""
    before = set(sys.modules)

    def small(preset: str = "light", settings: dict[str, Any] | None = None) -> Config:
        return load_config(preset, settings=tiny | {"labels": 5} | (settings or {}))

    def imported(name: str) -> ModuleType:
        monkeypatch.syspath_prepend(BENCHMARKS)
        module = import_module(name)
        if hasattr(module, "load_config"):
            monkeypatch.setattr(module, "load_config", small)
        return module

    yield imported
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def rows_of(module: ModuleType, product: Path, out: Path, **more: Any) -> list[dict[str, Any]]:
    arguments = argparse.Namespace(data=[product], out=out, seeds="42", **more)
    return list(module.cells(arguments))


def test_headroom(
    program: Callable[[str], ModuleType], product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headroom = program("headroom")
    monkeypatch.setattr(headroom, "REGIMES", {"2 updates": {"updates": 2}, "3 updates": {"updates": 3}})
    rows = rows_of(headroom, product, tmp_path / "rows.jsonl")
    assert len(rows) == 2 * len(headroom.STRATEGIES)
    assert "bricks, 3 updates" in headroom.table(rows)


def test_labels(program: Callable[[str], ModuleType], product: Path, tmp_path: Path) -> None:
    labels = program("labels")
    kinds = ("right", "exchanged", "shifted", "hidden-10")
    rows = rows_of(labels, product, tmp_path / "rows.jsonl", kinds=kinds, device="cpu")
    assert [row["kind"] for row in rows] == list(kinds)
    wrong = [row["wrong"] for row in rows]
    assert wrong[0] == 0
    assert all(wrong[1:])
    assert "| bricks | shifted |" in labels.table(rows)


def test_edges(program: Callable[[str], ModuleType]) -> None:
    edges = program("edges")
    masks = np.zeros((2, 12, 12), dtype=bool)
    masks[0, 4:8, 4:8] = True
    found = edges.row(edges.widened(masks, 1).astype(np.float32), masks)
    assert found["F1_max"] == found["masks 1 px too wide"] == pytest.approx(2 * 16 / (36 + 16))
    assert found["1 px too narrow"] == pytest.approx(2 * 4 / (4 + 16))
    assert found["1 px from edges left out"] == 1
    assert found["2 px left out"] is None
    assert (found["defective pixels within 1 px"], found["within 2 px"]) == (12 / 16, 1)


def test_samplers(program: Callable[[str], ModuleType], product: Path, tmp_path: Path) -> None:
    samplers = program("samplers")
    some = ("uniform", "selecting")
    rows = rows_of(samplers, product, tmp_path / "rows.jsonl", samplers=some, cycles=2)
    assert [row["sampler"] for row in rows] == list(some)
    assert all(len(row["returns"]) == 2 for row in rows)
    assert rows[0]["learning_ms"] < rows[1]["learning_ms"]
    assert "| bricks | selecting | 1 | " in samplers.table(rows)


@pytest.mark.slow
def test_squares(
    program: Callable[[str], ModuleType], product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squares = program("squares")
    monkeypatch.setattr(squares, "SETTINGS", {"predictor.batch": 4, "predictor.members": 1})
    rows = rows_of(squares, product, tmp_path / "rows.jsonl", choosers=CHOSEN, steps=6)
    assert [row["method"] for row in rows] == list(CHOSEN)
    assert all(len(row["defective_squares"]) for row in rows)
    assert "rationed" in squares.table(rows)


def test_unlike(
    program: Callable[[str], ModuleType], product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("unlike").main([product])
    assert "| blank | " in capsys.readouterr().out


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads memory as Linux tells it")
def test_station_load(program: Callable[[str], ModuleType], product: Path, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the station needs `pip install 'flawtrace[serve]'`")
    load = program("station_load")
    contents = [file.read_bytes() for file in sorted(product.rglob("*.png"))[:5]]
    workspace = load.prepared(run, tmp_path / "workspace")
    row = load.measured(workspace, contents, clients=2, minutes=0.1)
    assert (row["errors"], row["missing"]) == ({}, 0)
    assert row["accepted"] >= row["verdicts"] > 0
    assert row["p99_ms"] >= row["p50_ms"] > 0
    assert min(row["memory_mb"]) > 0
