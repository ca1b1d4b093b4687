"""Cycles side by side: what is learnt from them depends on how many there are, and on nothing else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from flawtrace import verbs
from flawtrace.data import draw_available, read_folder
from flawtrace.ground.config import Config
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import ErrorMaps
from flawtrace.method import Cycle, Material, sampler
from flawtrace.training import Lived, OneAutoencoderError, Round, checkpoint, live
from flawtrace.training.progress import Event
from flawtrace.training.run import train


class Here:
    """A `Collector` that has all cycles lived in this process, in an order of its own."""

    def __init__(self, count: int, order: Callable[[Sequence[int]], Sequence[int]] = list) -> None:
        self.count = count
        self.lived: list[int] = []
        self._order = order

    @contextmanager
    def __call__(
        self, material: Material, statics: ErrorMaps, config: Config
    ) -> Iterator[Callable[[Round], Iterator[Lived]]]:
        cycle = Cycle(material, statics, config)
        crop = cycle.walkers.geometry.crop
        chooser = sampler.build(config.sampler.kind, crop, config.policy, 5, statics.device)

        def collect(start: Round) -> Iterator[Lived]:
            for index in self._order(start.cycles):
                self.lived.append(index)
                yield deepcopy(live(cycle, chooser, deepcopy(start), index))

        yield collect


pytestmark = pytest.mark.slow


def backwards(numbers: Sequence[int]) -> Sequence[int]:
    return numbers[::-1]


@pytest.fixture
def settings(tiny: dict[str, Any]) -> dict[str, Any]:
    """As little as possible after the cycles."""
    return tiny | {"cycles": 5, "predictor.steps": 1, "predictor.members": 2}


def log(run: Path) -> list[dict[str, Any]]:
    """Without how many cycles were side by side."""
    return [{n: v for n, v in row.items() if n != "side_by_side"} for row in read_jsonl(run / "log.jsonl")]


def assert_same(one: Path, other: Path) -> None:
    assert log(one) == log(other)
    weights = [safetensors.torch.load_file(run / "detector.safetensors") for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(weight.equal(weights[1][name]) for name, weight in weights[0].items())


@pytest.mark.parametrize("kind", ["learned", "selecting", "random-walk"])
def test_one_cycle_in_a_round_is_one_after_the_other_to_the_same_bits(
    category: Path, settings: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    settings |= {"sampler.kind": kind}
    verbs.train(category, tmp_path / "alone", settings=settings)
    verbs.train(category, tmp_path / "rounds", settings=settings, collector=Here(1))
    assert_same(tmp_path / "alone", tmp_path / "rounds")


def test_the_order_in_which_cycles_end_changes_nothing(
    category: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    for out, order in (("one", list), ("other", backwards)):
        verbs.train(category, tmp_path / out, settings=settings, collector=Here(2, order))
    assert_same(tmp_path / "one", tmp_path / "other")


def test_another_number_of_cycles_in_a_round_makes_another_policy(
    category: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    for count in (1, 2):
        verbs.train(category, tmp_path / str(count), settings=settings, collector=Here(count))
    ones, twos = log(tmp_path / "1"), log(tmp_path / "2")
    assert ones[0]["return"] == twos[0]["return"], "the first cycle begins alike"
    assert ones[1]["entropy"] != twos[1]["entropy"]


def test_a_run_stopped_between_rounds_goes_on_after_the_last_that_was_over(
    category: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    verbs.train(category, tmp_path / "whole", settings=settings, collector=Here(2))
    config = load_config(settings=settings)
    split = draw_available(read_folder(category).category, config.labels, config.seed)
    for event in train(split, config, tmp_path / "stopped", collector=Here(2)):
        if isinstance(event, Event) and event.phase.startswith("cycles 3 to 4"):
            break
    second = Here(2)
    verbs.train(category, tmp_path / "stopped", settings=settings, resume=True, collector=second)
    assert second.lived == [2, 3, 4]
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_a_cycle_that_has_begun_is_finished_before_others_are_side_by_side(
    category: Path, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    config = load_config(settings=settings | {"cycles": 3})
    split = draw_available(read_folder(category).category, config.labels, config.seed)
    for event in train(split, config, tmp_path):
        if isinstance(event, Event) and "reward" in event.values:
            break
    *_, _ = train(split, config, tmp_path, resume=True, collector=Here(2))
    rows = [row for row in read_jsonl(tmp_path / "log.jsonl") if row["kind"] == "cycle"]
    assert [row.get("side_by_side") for row in rows] == [None, 2, 2, None]


def test_cycles_that_share_an_autoencoder_are_refused(
    category: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    settings |= {"autoencoder.diversity": "bottleneck_dropout"}
    with pytest.raises(OneAutoencoderError, match="Expected --autoencoder"):
        verbs.train(category, tmp_path / "run", settings=settings, collector=Here(2))
    assert not (tmp_path / "run/log.jsonl").exists()
