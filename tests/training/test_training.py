"""A whole training: what it leaves, that it repeats, and that nothing stops it for good."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from flawtrace import verbs
from flawtrace.data.errors import FewImagesWarning, VanishedDefectError
from flawtrace.data.folders import read_category
from flawtrace.data.samples import Split
from flawtrace.data.splits import draw_split
from flawtrace.detector.artefact import Detector
from flawtrace.ground.errors import FolderInUseError, OutputError
from flawtrace.ground.files import LOCK_NAME, read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.ground.run_files import CHECKPOINT_NAME, SETTINGS_NAME
from flawtrace.pictures.images import read_image
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.training import checkpoint
from flawtrace.training.errors import DataChangedError, DivergedError, OtherSettingsError, RunExistsError
from flawtrace.training.progress import Event
from flawtrace.training.run import Trained, train
from flawtrace.training.study import checked

SCRIPT = """
import sys, json, os, signal
from flawtrace.training import checkpoint
from flawtrace import verbs
checkpoint.INTERVAL = 0.0
category, out, settings, stops = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
def trained(stop):
    seen = 0
    def count(event):
        nonlocal seen
        seen += 1
        if seen == stop:
            os.kill(os.getpid(), signal.SIGKILL)
    verbs.train(category, out, settings=settings, resume=True, progress=count)
for stop in stops:
    child = os.fork()
    if not child:
        try:
            trained(stop)
            os._exit(0)
        finally:
            os._exit(70)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""One training after the other, each in a process of its own, killed at an event; torch is imported once."""


def drawn(category: Path, settings: dict[str, Any]) -> Split:
    config = load_config(settings=settings)
    return draw_split(read_category(category), config.labels, config.seed)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "detector.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def log(run: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(run / "log.jsonl"))


def test_a_run_leaves_a_detector_a_log_a_summary_and_a_report(run: Path) -> None:
    names = {path.name for path in run.iterdir()} - {LOCK_NAME}
    assert {"detector.safetensors", "log.jsonl", "training.json", "settings.json", "report.html"} <= names
    assert CHECKPOINT_NAME not in names


def test_the_log_tells_the_parts_of_the_reward_and_how_the_policy_learned(run: Path) -> None:
    first = log(run)[0]
    assert {"clone", "cover", "prediction", "return"} <= set(first)
    assert {"entropy", "clipped_fraction", "value_error", "reconstruction_loss"} <= set(first)
    assert 0 <= first["defective"] <= 1
    assert first["return"] == pytest.approx(first["return_exploration"] + first["return_prediction"])


def test_the_same_seed_gives_the_same_bits(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    verbs.train(category, tmp_path / "again", settings=tiny)
    assert same(weights(run), weights(tmp_path / "again"))
    assert log(run) == log(tmp_path / "again")


def test_with_other_threads_a_detector_says_the_same_and_a_short_training_nearly(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    """Sums come in another order: of one pass, in the last digits; of some updates, in the third.

    In a training of full length these differences grow, so that it ends like one with another seed.
    """
    images = [read_image(sample.image) for sample in read_category(category).anomalous]

    def maps(folder: Path) -> torch.Tensor:
        return torch.stack([Detector.load(folder).predict(image).anomaly_map for image in images])

    short = tiny | {"cycles": 1, "updates": 4, "last_updates": 6, "predictor.steps": 4}
    verbs.train(category, tmp_path / "one", settings=short)
    usual, trained, threads = maps(run), maps(tmp_path / "one"), torch.get_num_threads()
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        assert torch.allclose(maps(run), usual, atol=1e-5)
        verbs.train(category, tmp_path / "other", settings=short)
        assert torch.allclose(maps(tmp_path / "other"), trained, atol=1e-2)
        made_with = Detector.load(tmp_path / "other").facts.versions
        assert made_with["threads"] == str(torch.get_num_threads())
        assert made_with["commit"]
    finally:
        torch.set_num_threads(threads)


def test_another_seed_gives_another_detector(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    verbs.train(category, tmp_path / "other", settings=tiny | {"seed": 43})
    assert not same(weights(run), weights(tmp_path / "other"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param(
            {"autoencoder.diversity": "bottleneck_dropout", "sampler.kind": "selecting"},
            marks=pytest.mark.exhaustive,
        ),
    ],
    ids=str,
)
def test_a_killed_run_goes_on_to_the_same_bits(
    category: Path, tiny: dict[str, Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = tiny | changes
    verbs.train(category, tmp_path / "whole", settings=settings)
    stopped = tmp_path / "stopped"
    stops = (10, 21, 0)  # in the first cycle, in a last fit, never
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        str(category),
        str(stopped),
        json.dumps(settings),
        json.dumps(stops),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    assert [int(code) for code in done.stdout.split()] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert same(weights(tmp_path / "whole"), weights(stopped))
    assert log(tmp_path / "whole") == log(stopped)


def test_a_run_stopped_after_the_last_step_of_a_fit_goes_on_to_the_same_bits(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    config, split = load_config(settings=tiny), drawn(category, tiny)
    steps = 0
    for event in train(split, config, tmp_path):
        steps += isinstance(event, Event) and event.phase == "last fit 1/3"
        if steps == config.predictor.steps:
            break
    *_, last = train(split, config, tmp_path, resume=True)
    assert isinstance(last, Trained)
    assert same(weights(run), weights(tmp_path))
    assert log(run) == log(tmp_path)


def test_a_finished_run_is_not_trained_again(category: Path, run: Path, tiny: dict[str, Any]) -> None:
    before = (run / "detector.safetensors").stat().st_mtime_ns
    (event,) = train(drawn(category, tiny), load_config(settings=tiny), run, resume=True)
    assert isinstance(event, Trained)
    assert (run / "detector.safetensors").stat().st_mtime_ns == before


def test_a_finished_run_keeps_its_evaluation_and_its_images(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    copy, others = tmp_path / "run", tmp_path / "others"
    shutil.copytree(run, copy)
    verbs.evaluate(copy, category)
    before = (copy / "report.html").read_text()
    verbs.train(category, copy, settings=tiny, resume=True)
    assert (copy / "report.html").read_text() == before
    make_dataset(others, side=64, num_normal=9, num_test_normal=3, num_per_type=4, seed=1)
    with pytest.raises(DataChangedError, match="byte for byte"):
        verbs.train(others, copy, settings=tiny, resume=True)


def test_a_type_with_few_images_is_trained_on_with_all_of_them(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    """Four of each type, and one of holes."""
    copy = tmp_path / "parts"
    shutil.copytree(category, copy)
    for name in ("000", "001", "002"):
        (copy / f"test/hole/{name}.png").unlink()
        (copy / f"ground_truth/hole/{name}_mask.png").unlink()
    with pytest.warns(FewImagesWarning, match="Only 1 image of defect type hole"):
        trained = verbs.train(copy, tmp_path / "run", settings=tiny)
    assert sorted(trained.summary["defect_types"]).count("hole") == 1
    assert len(trained.summary["defect_types"]) == 5


def test_a_run_is_not_overwritten_by_accident(category: Path, run: Path, tiny: dict[str, Any]) -> None:
    with pytest.raises(RunExistsError, match="--resume"):
        verbs.train(category, run, settings=tiny)


def test_a_run_of_which_nothing_was_kept_is_begun_again(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    events = train(drawn(category, tiny), load_config(settings=tiny), tmp_path)
    while not (tmp_path / SETTINGS_NAME).exists():
        next(events)
    events.close()
    verbs.train(category, tmp_path, settings=tiny | {"cycles": 1})
    assert Detector.load(tmp_path).config.cycles == 1


def test_a_run_does_not_go_on_with_other_settings(category: Path, run: Path, tiny: dict[str, Any]) -> None:
    with pytest.raises(OtherSettingsError, match=r"other settings: seed \(42, now 7\) and cycles") as told:
        verbs.train(category, run, settings=tiny | {"cycles": 3, "seed": 7}, resume=True)
    assert "--resume" not in str(told.value)
    assert "Repeat those settings, choose another folder with -o" in str(told.value)


def test_a_handful_of_other_settings_is_named_in_short(
    category: Path, run: Path, tiny: dict[str, Any]
) -> None:
    region = [[[0.125, 0.125], [0.875, 0.125], [0.875, 0.875], [0.125, 0.875]]]
    others = {
        "copies": 2,
        "region": region,
        "sampler.walkers": 7,
        "cycles": 3,
        "updates": 9,
        "policy.hidden": 9,
    }
    with pytest.raises(OtherSettingsError, match=r"copies \(1, now 2\), .*, .*and 1 more\.\n") as told:
        verbs.train(category, run, settings=tiny | others, resume=True)
    assert "region (None, now" in str(told.value)
    assert max(map(len, str(told.value).partition("\n")[0].removeprefix(str(run)).split(")"))) < 80


def test_a_product_whose_run_has_other_settings_is_not_told_of_a_flag_that_train_all_has_not(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / category.name)
    [product] = verbs.train_all(category, tmp_path, settings=tiny | {"cycles": 3})
    assert product.state == "failed"
    assert product.error is not None
    assert "cycles (2, now 3)" in product.error
    assert "--resume" not in product.error


def test_a_run_does_not_go_on_with_other_images(
    category: Path, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawtrace.training.checkpoint.INTERVAL", 0.0)
    events = train(drawn(category, tiny), load_config(settings=tiny), tmp_path)
    while not (tmp_path / CHECKPOINT_NAME).exists():
        next(events)
    monkeypatch.setattr("flawtrace.training.study.fingerprint", lambda _: "another")
    with pytest.raises(DataChangedError, match="byte for byte"):
        list(train(drawn(category, tiny), load_config(settings=tiny), tmp_path, resume=True))


def test_progress_never_goes_back(category: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    events = list(train(drawn(category, tiny), load_config(settings=tiny), tmp_path))
    done = [event.done / event.total for event in events if isinstance(event, Event)]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_training(loss: float) -> None:
    with pytest.raises(DivergedError, match="update 7"):
        checked("reconstruction loss", loss, 7)


@pytest.mark.parametrize("sampler", ["random-walk", "uniform", "edge-guided"])
def test_every_fixed_sampler_trains_a_detector(
    category: Path, tiny: dict[str, Any], tmp_path: Path, sampler: str
) -> None:
    verbs.train(category, tmp_path / "run", settings=tiny | {"sampler.kind": sampler})
    assert Detector.load(tmp_path / "run").config.sampler.kind == sampler
    assert "entropy" not in log(tmp_path / "run")[0]


def test_a_policy_that_selects_trains_a_detector_and_tells_how_it_learned(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    verbs.train(category, tmp_path / "run", settings=tiny | {"sampler.kind": "selecting"})
    assert Detector.load(tmp_path / "run").config.sampler.kind == "selecting"
    assert log(tmp_path / "run")[0]["entropy"] > 3


def test_a_defect_that_vanishes_at_working_size_is_named(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    root = tmp_path / "parts"
    shutil.copytree(category, root)
    for file in (root / "ground_truth/hole").iterdir():
        speck = np.zeros((640, 640), np.uint8)
        speck[0, 0] = 255
        Image.fromarray(speck).save(file)
        Image.new("RGB", (640, 640), "grey").save(root / "test/hole" / file.name.replace("_mask", ""))
    with pytest.raises(VanishedDefectError, match="64 x 64"):
        verbs.train(root, tmp_path / "run", settings=tiny)


def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # no file may grow beyond 4 kB
    try:
        with pytest.raises(OutputError, match="Free some space"):
            verbs.train(category, tmp_path / "run", settings=tiny)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "run/detector.safetensors").exists()
    assert not [
        file for file in (tmp_path / "run").iterdir() if file.name.startswith(".") and file.name != LOCK_NAME
    ]
    verbs.train(category, tmp_path / "run", settings=tiny, resume=True)
    assert Detector.load(tmp_path / "run")


def test_the_plain_layout_trains_and_evaluates(category: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(category / "train/good", tmp_path / "parts/normal")
    for kind in ("hole", "stain"):
        shutil.copytree(category / "test" / kind, tmp_path / "parts/defects" / kind)
        shutil.copytree(category / "ground_truth" / kind, tmp_path / "parts/masks" / kind)
    verbs.train(tmp_path / "parts", tmp_path / "run", settings=tiny)
    evaluation = verbs.evaluate(tmp_path / "run", tmp_path / "parts")
    assert evaluation.num_anomalous == 4
    assert evaluation.num_normal > 0


def test_a_second_process_keeps_out_of_a_run(category: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError, match="Another process"):
            verbs.train(category, tmp_path, settings=tiny)
        holder.kill()
    assert verbs.train(category, tmp_path, settings=tiny).summary["num_normal"] == 9


HOLD = """
import pathlib, sys
from flawtrace.ground.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
