"""A benchmark on a real cluster of three nodes: the same bits, whatever dies."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodes import Cluster, until

from flawtrace import verbs
from flawtrace.comparison import bench, read_methods
from flawtrace.comparison.errors import ThreadsChangedError
from flawtrace.ground.files import read_jsonl

COMMAND = [sys.executable, "-c", "from flawtrace.cli.app import main; main()"]
CIRCUMSTANCES = {"seconds", "predict_seconds", "peak_memory_mb", "finished", "commit"}
"""What differs from one run of a cell to the next."""

pytestmark = pytest.mark.slow


def benchmark(parts: Path, out: Path, methods: Path, *more: str) -> list[str]:
    return [*COMMAND, "benchmark", str(parts), "-o", str(out), "--methods", str(methods), *more]


def on(cluster: Cluster) -> list[str]:
    return ["--ray", cluster.address, "--memory", "1.2"]


def rows_of(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """By cell, without what differs from run to run; each cell has one."""
    rows = list(read_jsonl(out / "rows.jsonl"))
    found = {(row["trial"], row["method"]): row for row in rows}
    assert len(found) == len(rows)
    return {cell: {n: v for n, v in row.items() if n not in CIRCUMSTANCES} for cell, row in found.items()}


@pytest.mark.exhaustive
def test_whatever_dies_the_numbers_are_those_of_one_machine(
    cluster: Cluster, parts: Path, methods: Callable[[str], Path], tmp_path: Path
) -> None:
    """The driver is killed after its first row and started again, then a node in mid-run; the whole is
    compared with a benchmark that never saw Ray, and each of the two has nothing left to do.
    """
    file = methods("[ours]\n")
    here, there = tmp_path / "here", tmp_path / "there"
    command = benchmark(parts, there, file, "--seeds", "1-3", *on(cluster))
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    until(lambda: list(read_jsonl(there / "rows.jsonl")), driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    kept = list(read_jsonl(there / "rows.jsonl"))
    assert 0 < len(kept) < 3

    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    until(lambda: list((there / "runs").glob("*/*/settings.json")), driver)
    cluster.kill_one()
    assert driver.wait(timeout=600) == 0
    assert list(read_jsonl(there / "rows.jsonl"))[: len(kept)] == kept

    verbs.benchmark([parts], here, methods=file, seeds=(1, 2, 3), threads=1, jobs=2)
    assert rows_of(there) == rows_of(here)
    assert len(rows_of(here)) == 3

    design = bench.Design(read_methods(file), ("five-per-type",), (1, 2, 3), threads=1)
    for out in (here, there):
        assert not bench.plan(bench.find_categories([parts]), design, out / "rows.jsonl").tasks


@pytest.mark.exhaustive
def test_a_cell_whose_process_always_dies_is_reported_and_the_others_run(
    cluster: Cluster, parts: Path, methods: Callable[[str], Path], tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    (tmp_path / "killer.py").write_text(
        f"import os; open({str(deaths)!r}, 'a').write('x'); os.kill(os.getppid(), 9)"
    )
    file = methods('[killer]\ncommand = ["{python}", "{here}/killer.py"]\n[ours]\n')
    done = subprocess.run(
        benchmark(parts, tmp_path / "out", file, "--seeds", "1", "--json", *on(cluster)),
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    by_method = {row["method"]: row for row in json.loads(done.stdout)["rows"]}
    assert "its process died 4 times on the cluster" in by_method["killer"]["error"]
    assert by_method["ours"]["metrics"]
    assert deaths.read_text() == "xxxx"


def test_what_no_node_has_room_for_is_refused(
    cluster: Cluster, parts: Path, methods: Callable[[str], Path], tmp_path: Path
) -> None:
    done = subprocess.run(
        benchmark(parts, tmp_path / "out", methods("[ours]\n"), "--threads", "64", *on(cluster)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "No node of the cluster has room for 64 CPU, 1.2 GB" in done.stderr
    assert "1 CPU, 3.0 GB of memory" in done.stderr


@pytest.mark.exhaustive
def test_a_wrong_token_is_told(cluster: Cluster, parts: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "benchmark", parts, "-o", tmp_path, "--ray", cluster.address],
        env=os.environ | {"RAY_AUTH_TOKEN": "0" * 64}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"No Ray cluster answers at {cluster.address}" in done.stderr
    assert "RAY_AUTH_TOKEN" in done.stderr


def test_another_number_of_threads_makes_another_cell(
    parts: Path, methods: Callable[[str], Path], tmp_path: Path
) -> None:
    file = methods("[ours]\n")
    verbs.benchmark([parts], tmp_path / "out", methods=file, seeds=(1,), threads=1)
    row = next(read_jsonl(tmp_path / "out/rows.jsonl"))
    assert row["threads"] == row["machine"]["threads"] == 1
    with pytest.raises(ThreadsChangedError, match="Give --threads 1"):
        verbs.benchmark([parts], tmp_path / "out", methods=file, seeds=(1,), threads=2)
    before = (tmp_path / "out/rows.jsonl").read_text()
    verbs.benchmark([parts], tmp_path / "out", methods=file, seeds=(1,))
    assert (tmp_path / "out/rows.jsonl").read_text() == before
