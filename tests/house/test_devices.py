"""Whatever runs on an accelerator keeps its tensors there; shown on a device that only pretends to be one."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from elsewhere import ELSEWHERE, elsewhere

from flawtrace import verbs
from flawtrace.comparison.cell import run_cell
from flawtrace.comparison.desk import Desk
from flawtrace.comparison.methods import Method
from flawtrace.data.folders import read_category
from flawtrace.data.protocols import Trial
from flawtrace.data.splits import draw_split
from flawtrace.detector.artefact import Detector
from flawtrace.ground.devices import ON_PROCESSOR, at_once, batches, ready, sent
from flawtrace.ground.presets import load_config
from flawtrace.training import checkpoint
from flawtrace.training.run import Trained, train

SHORT: dict[str, Any] = {"predictor.steps": 3}
"""The steps of a fit are all alike."""
PAPER: dict[str, Any] = {
    "labels": 2,
    "copies": 1,
    "image_side": 128,
    "cycles": 1,
    "updates": 5,
    "last_updates": 5,
    "sampler": {"walkers": 3, "patch_side": 64, "crop_side": 64, "stride": 8},
    "policy": {"learns_from": 2, "hidden": 8},
    "profile": {"length": 3, "tracked": 2},
    "predictor": {"batch": 3, "steps": 2, "crop_side": 128},
}
"""What `paper` is changed to, so that a training takes seconds."""


def test_tensors_of_two_devices_are_not_mixed_there() -> None:
    with elsewhere(), pytest.raises(RuntimeError, match="two devices"):
        torch.ones(3).to(ELSEWHERE) + torch.ones(3)


def test_a_scalar_takes_part_in_arithmetic_there_but_is_not_joined() -> None:
    with elsewhere():
        away = torch.ones(()).to(ELSEWHERE)
        assert (away + torch.ones(())).item() == 2
        with pytest.raises(RuntimeError, match="two devices"):
            torch.stack([away, torch.ones(())])


def test_as_many_rows_go_together_as_their_device_wants() -> None:
    rows = torch.arange(70)
    assert [len(batch) for batch in batches(rows)] == [ON_PROCESSOR] * 17 + [2]
    with elsewhere():
        away = sent(rows, ELSEWHERE)
        assert [len(batch) for batch in batches(away)] == [at_once(ELSEWHERE)] * 2 + [6]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"sampler.kind": "selecting"}, marks=pytest.mark.exhaustive),
        pytest.param({"reward.credit": "per-patch"}, marks=pytest.mark.exhaustive),
        pytest.param({"sampler.kind": "edge-guided"}, marks=pytest.mark.exhaustive),
    ],
    ids=str,
)
def test_light_trains_elsewhere(
    category: Path, tmp_path: Path, tiny: dict[str, Any], changes: dict[str, Any]
) -> None:
    settings = tiny | SHORT | changes
    with elsewhere() as device:
        found = verbs.train(category, tmp_path / "away", settings=settings, device=device).summary
    assert found["device"] == device
    here = verbs.train(category, tmp_path / "here", settings=settings).summary
    jumps = {"pixel_f1": 0.01, "image_f1": 0.1, "found": 0.2, "image_auroc": 0.05}
    """By how much at most, where two of fifteen images change places, or a pixel passes a threshold."""
    for name, value in here["validation"].items():
        assert found["validation"][name] == pytest.approx(value, abs=jumps.get(name, 1e-3)), name


@pytest.mark.slow
def test_features_train_elsewhere(category: Path, tmp_path: Path, tiny: dict[str, Any]) -> None:
    settings = tiny | SHORT | {"encoder": "features", "image_side": 128}
    with elsewhere() as device:
        assert verbs.train(category, tmp_path / "run", settings=settings, device=device)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_paper_s_networks_train_elsewhere(category: Path, tmp_path: Path) -> None:
    with elsewhere() as device:
        assert verbs.train(category, tmp_path / "run", preset="paper", settings=PAPER, device=device)


@pytest.mark.slow
def test_a_single_label_is_learnt_from_elsewhere(
    category: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    """Two of three members are judged by made-up defects alone: there is no label that they did not see."""
    settings = tiny | SHORT | {"cycles": 1, "predictor.recall": None, "predictor.self_supervised": None}
    parts = shutil.copytree(category, tmp_path / "parts")
    first, *others = sorted((parts / "ground_truth").iterdir())
    for kind in others:
        shutil.rmtree(kind)
        shutil.rmtree(parts / "test" / kind.name)
    with elsewhere() as device:
        detector = verbs.train(parts, tmp_path / first.name, settings=settings | {"labels": 1}, device=device)
    assert detector.summary["labelled"]


@pytest.mark.parametrize("credit", ["shared", pytest.param("per-patch", marks=pytest.mark.exhaustive)])
def test_a_run_that_was_stopped_goes_on_elsewhere(
    category: Path, tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, credit: str
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    config = load_config(settings=tiny | SHORT | {"reward.credit": credit, "cycles": 1})
    split = draw_split(read_category(category), labels=2, seed=config.seed)
    with elsewhere() as device:
        stopped = train(split, config, tmp_path, device=ready(device))
        for _ in range(20):
            next(stopped)
        stopped.close()
        *_, last = train(split, config, tmp_path, device=ready(device), resume=True)
    assert isinstance(last, Trained)


def test_a_cell_of_a_benchmark_is_run_elsewhere(category: Path, tmp_path: Path, tiny: dict[str, Any]) -> None:
    split = draw_split(read_category(category), labels=2, seed=42)
    trial = Trial("product", category, "five-per-type", 42, split, labels=2)
    method = Method(name="ours", settings={n: v for n, v in tiny.items() if n not in ("labels", "seed")})
    with elsewhere() as device:
        row = run_cell(Desk(trial, tmp_path, device=device), method, lambda _share, _phase: None)
    assert row["machine"]["device"] == device
    assert row["metrics"].keys() >= {"pixel_f1_max", "pixel_f1", "pixel_aupro"}


def test_a_detector_looks_the_same_elsewhere(own_run: Path, category: Path) -> None:
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    here = Detector.load(own_run)
    with elsewhere() as device:
        away = Detector.load(own_run).to(device)
        maps = away.anomaly_maps(images.to(device))
        assert maps.device.type == "cpu", "what is decided is decided on the processor"
        assert torch.allclose(maps.cpu(), here.anomaly_maps(images), atol=1e-5)
        odd = away.predict(images[0, :, :50, :40])
        here.config = away.config = here.config.model_copy(update={"tile_side": 64})
        wide = images.flatten(2).view(5, 3, 32, 128)[:2].repeat(1, 1, 3, 1)
        tiled, expected = (one.predictions_at((96, 128), [*wide, images[0]]) for one in (away, here))
        here.config = away.config = here.config.model_copy(update={"tile_side": None})
        found = verbs.evaluate(own_run, category, device=device).metrics
    for ours, theirs in zip(expected, tiled, strict=True):
        assert torch.allclose(ours.anomaly_map, theirs.anomaly_map, atol=1e-5)
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    assert torch.allclose(odd.anomaly_map, here.predict(images[0, :, :50, :40]).anomaly_map, atol=1e-5)
    assert found == pytest.approx(verbs.evaluate(own_run, category).metrics, abs=1e-3)
