import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from flawtrace import verbs
from flawtrace.cli.app import main
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import in_use, write_json
from flawtrace.ground.presets import load_config


def test_a_bug_report_has_versions_and_machine() -> None:
    found = verbs.doctor()
    assert found["versions"]["torch"] == version("torch")
    assert found["machine"]["cores"] >= 1
    assert json.loads(json.dumps(found)) == found


def test_of_a_run_it_says_how_it_was_made_and_nothing_of_its_images(
    run: Path, tiny: dict[str, Any], category: Path
) -> None:
    found = verbs.doctor(run)["run"]
    assert found["state"] == "finished"
    assert found["settings"]["cycles"] == tiny["cycles"]
    assert "sampler.kind" not in found["settings"]
    assert found["false_alarms"]["images"] == 5
    assert str(category) not in json.dumps(found)


def test_a_run_that_was_stopped_is_told_from_one_that_was_finished(run: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes((run / "settings.json").read_bytes())
    assert verbs.doctor(tmp_path)["run"]["state"] == "begun, no checkpoint yet"
    (tmp_path / "checkpoint.safetensors").touch()
    assert verbs.doctor(tmp_path)["run"]["state"] == "stopped, to be resumed"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlawtraceError, match=r"settings\.json"):
        verbs.doctor(tmp_path)


def test_the_command_prints_plain_lines(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["doctor", str(run)])
    printed = capsys.readouterr().out
    assert "  torch: " in printed
    assert "  state: finished" in printed


def test_a_run_under_way_is_not_called_stopped(run: Path, tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    assert verbs.doctor(tmp_path)["run"]["state"] == "begun, images not read to the end"
    holder = (
        "import sys, pathlib, flawtrace.ground.files as f\nwith f.locked(pathlib.Path(sys.argv[1])): input()"
    )
    command = [sys.executable, "-c", holder, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        deadline = time.monotonic() + 60
        while not in_use(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert verbs.doctor(tmp_path)["run"]["state"] == "running, reading images"
        (tmp_path / "settings.json").write_bytes((run / "settings.json").read_bytes())
        assert verbs.doctor(tmp_path)["run"]["state"] == "running"
        process.stdin.write("\n")
    assert verbs.doctor(tmp_path)["run"]["state"] == "begun, no checkpoint yet"


def test_a_run_from_before_there_were_orientations_saw_one(tmp_path: Path) -> None:
    for encoder, found in (("features", {"orientations": 1}), ("pixels", {})):
        settings = load_config(settings={"encoder": encoder}).model_dump(mode="json")
        del settings["orientations"]
        write_json(tmp_path / "settings.json", settings)
        said = verbs.doctor(tmp_path)["run"]["settings"]
        assert said == {"preset": "light", "seed": 42, "encoder": encoder} | found


def test_settings_are_told_from_those_of_the_preset_even_where_these_cannot_stand_alone(
    tmp_path: Path,
) -> None:
    """The published cells of one pixel suit no features."""
    changes = {"encoder": "features", "cell": 4, "image_side": 512, "sampler.patch_side": 256}
    changes |= {"sampler.crop_side": 512, "autoencoder.kind": "compact"}
    config = load_config("paper", settings=changes)
    write_json(tmp_path / "settings.json", config.model_dump(mode="json"))
    found = verbs.doctor(tmp_path)["run"]["settings"]
    assert found == {"preset": "paper", "seed": 42} | changes
