"""A search over settings: judged on held-out labels, gone on with after a stop, and of use to `train`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from nodes import Cluster, until

from flawtrace import cluster as wing
from flawtrace import verbs
from flawtrace.cluster.space import domains, read_space
from flawtrace.data import draw_available, read_folder
from flawtrace.ground.config import Config
from flawtrace.ground.errors import SettingsError, UnknownSettingError
from flawtrace.ground.presets import load_config
from flawtrace.pictures.errors import UnreadableImageError
from flawtrace.pictures.images import read_image

COMMAND = [sys.executable, "-c", "from flawtrace.cli.app import main; main()"]
TINY_FILE = Path(__file__).parents[1] / "tiny.toml"
TINY = tomllib.loads(TINY_FILE.read_text())


def flags() -> list[str]:
    """The tiny settings as flags of a command."""
    flat = {
        f"{group}.{name}" if isinstance(value, dict) else group: inner
        for group, value in TINY.items()
        for name, inner in (value.items() if isinstance(value, dict) else [(group, value)])
    }
    return [f"--{name}={json.dumps(value)}" for name, value in flat.items()]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_stopped_search_goes_on_and_ends_in_settings_that_train_takes(
    cluster: Cluster, category: Path, tmp_path: Path
) -> None:
    space, out = tmp_path / "space.toml", tmp_path / "out"
    space.write_text("predictor.steps = [5, 10]\n")
    command = [*COMMAND, "tune", category, "-o", out, "--space", space, "--trials", "2", "--repeats", "2"]
    command += [*flags(), "--ray", cluster.address, "--memory", "1.2", "--json"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    until(lambda: list(out.glob("runs/*/*/training.json")), driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    finished = {file: file.stat().st_mtime_ns for file in out.glob("runs/*/*/training.json")}

    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert all(file.stat().st_mtime_ns == written for file, written in finished.items())
    assert len(told["trials"]) == len(list((out / "runs").iterdir())) == 2, "a trial was begun anew"
    assert told["best"]["score"] == max(
        trial["score"] for trial in told["trials"] if trial["trainings"] == told["best"]["trainings"]
    )
    config = load_config(file=out / "settings.toml")
    assert config.predictor.steps == told["best"]["settings"]["predictor.steps"]
    assert config.cycles == TINY["cycles"]


def test_values_that_cannot_work_are_refused_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    for text, error, complaint in (
        ("predictor.stepps = [1]", UnknownSettingError, "predictor.steps"),
        ("copies = [-1]", SettingsError, "copies"),
        ("copies = { low = 3, high = 1 }", SettingsError, "low below"),
        ("seed = [1, 2]", SettingsError, "could not be compared"),
        ("copies = 3", SettingsError, "neither a list of values nor a range"),
    ):
        file.write_text(text)
        with pytest.raises(error, match=complaint):
            domains(read_space(file), "light", {})
    file.write_text("")
    with pytest.raises(SettingsError, match="names no setting"):
        read_space(file)


def test_without_labels_there_is_nothing_to_judge_by(category: Path, tmp_path: Path) -> None:
    shutil.copytree(category / "train", tmp_path / "parts/train")
    with pytest.raises(wing.NothingToTuneError, match="at least one label with a mask"):
        wing.search(tmp_path / "parts", tmp_path / "out")


@pytest.mark.slow
def test_a_search_sees_nothing_of_test_images(cluster: Cluster, category: Path, tmp_path: Path) -> None:
    """They end after their header, so that nobody can see more of them than how large they are."""
    parts = shutil.copytree(category, tmp_path / "parts")
    split = draw_available(read_folder(parts).category, TINY["labels"], Config().seed)
    assert len(split.test) > 5
    for sample in split.test:
        sample.image.write_bytes(sample.image.read_bytes()[:64])
        with pytest.raises(UnreadableImageError):
            read_image(sample.image)

    command = [*COMMAND, "tune", parts, "-o", tmp_path / "out", "--trials", "1", "--repeats", "1"]
    command += ["--space", tmp_path / "space.toml", *flags(), "--ray", cluster.address, "--memory", "1.2"]
    (tmp_path / "space.toml").write_text("copies = [1]\n")
    done = subprocess.run([*command, "--json"], capture_output=True, check=True)
    (trial,) = json.loads(done.stdout)["trials"]
    whole = verbs.train(category, tmp_path / "run", settings_file=TINY_FILE)
    assert trial["trainings"] == 1
    assert trial["score"] == whole.summary["validation"]["pixel_ap"]
