"""Cycles of one training on a cluster: one policy from them, whoever dies and whoever is first."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodes import Cluster, until
from safetensors.torch import load_file

from flawtrace.ground.files import read_jsonl
from flawtrace.training.checkpoint import unpack

TINY = Path(__file__).parents[1] / "tiny.toml"
COMMAND = [sys.executable, "-c", "from flawtrace.cli.app import main; main()", "train"]
LONG = 120
"""Updates of a cycle of some seconds, so that something can happen in it."""
LIVING = "ray::Actor.live"
"""What an actor's process is called while it is in a cycle."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory, parts: Path) -> Path:
    return Path(shutil.copytree(parts / "bricks", tmp_path_factory.mktemp("product") / "bricks"))


@pytest.fixture(scope="session")
def train(cluster: Cluster, product: Path) -> Callable[..., list[Any]]:
    """The command that trains with so many actors, or without Ray."""

    def command(out: Path, actors: int, *more: str, cycles: int = 4, updates: int = LONG) -> list[Any]:
        settings = ["--cycles", str(cycles), "--updates", str(updates), "--reward.decay", "2000"]
        on = ["--ray", cluster.address, "--actors", str(actors), "--memory", "1.2"] if actors else []
        return [*COMMAND, product, "-o", out, "--settings", TINY, *settings, *on, *more]

    return command


@pytest.fixture(scope="session")
def undisturbed(train: Callable[..., list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two actors."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    subprocess.run(train(out, 2), check=True, stdout=subprocess.DEVNULL)
    return out


def log(run: Path) -> list[dict[str, Any]]:
    """Without how many cycles were side by side; returns and entropies are told to the last bit."""
    return [{n: v for n, v in row.items() if n != "side_by_side"} for row in read_jsonl(run / "log.jsonl")]


def assert_same(one: Path, other: Path) -> None:
    assert log(one) == log(other)
    weights = [load_file(run / "detector.safetensors") for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(weight.equal(weights[1][name]) for name, weight in weights[0].items())


def test_one_actor_is_one_process_to_the_same_bits(train: Callable[..., list[Any]], tmp_path: Path) -> None:
    """In cycles that learn from each other, however short they are."""
    for out, actors in ((tmp_path / "alone", 0), (tmp_path / "actor", 1)):
        subprocess.run(train(out, actors, cycles=3, updates=40), check=True, stdout=subprocess.DEVNULL)
    assert_same(tmp_path / "alone", tmp_path / "actor")


@pytest.mark.exhaustive
def test_whatever_dies_the_policy_is_the_same(
    cluster: Cluster, train: Callable[..., list[Any]], undisturbed: Path, tmp_path: Path
) -> None:
    """An actor is killed in mid-cycle, and in the next round the driver, which then goes on."""
    out = tmp_path / "run"
    driver = subprocess.Popen(train(out, 2), stdout=subprocess.DEVNULL, start_new_session=True)
    until(lambda: cluster.running(LIVING), driver)
    os.kill(min(cluster.running(LIVING)), signal.SIGKILL)
    until(lambda: (out / "log.jsonl").exists() and len(log(out)) >= 2, driver)
    until((out / "checkpoint.safetensors").exists, driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert unpack(out / "checkpoint.safetensors")["study"]["index"] == 2
    before = (out / "log.jsonl").read_text().splitlines()[:2]
    subprocess.run(train(out, 2, "--resume"), check=True, stdout=subprocess.DEVNULL)
    assert (out / "log.jsonl").read_text().splitlines()[:2] == before
    assert_same(out, undisturbed)
    assert [row.get("side_by_side") for row in read_jsonl(out / "log.jsonl")][:5] == [2, 2, 2, 2, None]


@pytest.mark.exhaustive
def test_a_full_object_store_changes_nothing(
    cluster: Cluster, train: Callable[..., list[Any]], undisturbed: Path, tmp_path: Path
) -> None:
    """Images and trajectories (4 MB from each cycle) have to go through it."""
    with cluster.full():
        subprocess.run(train(tmp_path / "run", 2), check=True, stdout=subprocess.DEVNULL)
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.exhaustive
def test_an_actor_that_always_dies_is_told_and_the_run_goes_on_without(
    cluster: Cluster, train: Callable[..., list[Any]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    driver = subprocess.Popen(train(out, 1, cycles=1), stderr=subprocess.PIPE, start_new_session=True)
    killed, given_up = set[int](), time.monotonic() + 300
    while driver.poll() is None:
        assert time.monotonic() < given_up
        for pid in cluster.running(LIVING) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.05)
    message = driver.communicate()[1].decode()
    assert "Cycle 1 died 4 times on the cluster" in message
    assert "--resume" in message
    assert "Traceback" not in message
    assert driver.returncode == 1
    assert len(killed) == 4
    told = subprocess.run(
        train(out, 0, "--resume", "--json", cycles=1), check=True, capture_output=True
    ).stdout
    assert json.loads(told)
