"""The command line as scripts see it: output, exit codes, messages."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from flawtrace import verbs
from flawtrace.cli import app as cli
from flawtrace.ground.files import write_json
from flawtrace.ground.presets import load_config
from flawtrace.pictures.errors import NotAFileError


def call(arguments: list[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize("verb", ["inspect", "train", "evaluate", "predict", "demo", "settings"])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call([verb, "--help"], capsys)
    assert code == 0
    assert f"flawtrace {verb}" in out


def test_help_does_not_wait_for_torch() -> None:
    script = "import sys; import flawtrace.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_misspelt_verb_gets_a_suggestion_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(["trian", "parts"], capsys)
    assert code == 2
    assert "train" in out + err


@pytest.mark.parametrize(("typo", "meant"), [("--sampler.strid", "--sampler.stride"), ("--sede", "--seed")])
def test_a_misspelt_option_gets_a_suggestion(
    typo: str, meant: str, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(["train", category, "-o", tmp_path / "run", typo, "8"], capsys)
    assert code == 2
    assert f"Did you mean {meant}?" in err


def test_inspect_tells_what_it_sees(category: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(["inspect", category], capsys)
    assert code == 0
    assert "9 for training, 3 kept for testing" in out
    assert "4 images, 4 with a mask" in out


def test_inspect_exits_with_1_where_training_would_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(["inspect", tmp_path, "--json"], capsys)
    assert code == 1
    assert json.loads(out)["problems"]


def test_evaluate_prints_json(own_run: Path, category: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(["evaluate", own_run, category, "--json"], capsys)
    assert code == 0
    found = json.loads(out)
    assert 0 <= found["metrics"]["pixel_auroc"] <= 1
    assert found["misses"]["images"] == found["num_anomalous"]


def test_evaluate_tells_both_kinds_of_errors(
    own_run: Path, category: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = " ".join(call(["evaluate", own_run, category], capsys)[1].split())
    assert "of 6 defect images are OK; that is compatible with" in out
    assert "False alarms:" in out


def test_predict_leaves_maps_masks_overlays_and_a_table(
    run: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(["predict", run, category / "test/hole", "-o", tmp_path, "--json"], capsys)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(rows) == 4
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 5
    for row in rows:
        name = Path(row["image"]).stem
        anomaly_map = tifffile.imread(tmp_path / f"maps/{name}.tiff")
        mask = np.array(Image.open(tmp_path / f"masks/{name}.png"))
        assert anomaly_map.dtype == np.float32
        assert anomaly_map.shape == mask.shape == (64, 64)
        assert mask.any() or row["verdict"] != "DEFECT"
        assert not mask.any() or row["verdict"] != "OK"
        assert 0 <= row["score"] <= 1
        assert (tmp_path / f"overlays/{name}.png").exists()


def test_files_are_named_in_the_table_and_hidden_ones_left_alone(
    run: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next((category / "test/good").iterdir())
    for folder in ("one", "two"):
        (tmp_path / folder / "a folder.png").mkdir(parents=True)
        (tmp_path / folder / "part.png").write_bytes(good.read_bytes())
        (tmp_path / folder / "._part.png").write_text("what a file system of macOS leaves behind")
    out = tmp_path / "out"
    code, printed, _ = call(["predict", run, tmp_path / "one", tmp_path / "two", "-o", out, "--json"], capsys)
    assert code == 0
    names = [json.loads(line)["name"] for line in printed.splitlines()]
    assert names == ["one/part", "two/part"]
    assert all((out / f"masks/{name}.png").exists() for name in names)


@pytest.mark.parametrize(
    "flags", [["bench", "RUN", "--repeats", "0"], ["benchmark", "RUN", "-o", "OUT", "--jobs", "0"]]
)
def test_no_such_number_is_refused(flags: list[str], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call([str(run) if flag == "RUN" else flag for flag in flags], capsys)
    assert code == 2
    assert ">= 1" in err


def test_a_demo_over_another_one_touches_no_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "run/settings.json", load_config(settings={"seed": 3}).model_dump(mode="json"))
    code, _, err = call(["demo", "-o", tmp_path], capsys)
    assert code == 1
    assert "other settings" in " ".join(err.split())
    assert not (tmp_path / "images").exists()


def test_an_unreadable_image_is_reported_and_the_others_go_on(
    run: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / ("long" * 40) / "[red]broken.png"
    broken.parent.mkdir()
    broken.write_text("no image")
    good = next((category / "test/good").iterdir())
    code, out, err = call(["predict", run, broken, good], capsys)
    assert code == 1
    assert str(good) in out
    assert str(broken) in err


def test_a_script_can_ask_for_an_exit_code(
    run: Path, category: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3 where an image is not OK."""
    code, out, _ = call(["predict", run, category / "test/hole", "--exit-code"], capsys)
    assert code == (3 if "DEFECT" in out or "UNSURE" in out else 0)
    code, out, _ = call(["predict", run, category / "test/hole", "--exit-code", "--threshold", 0], capsys)
    assert "DEFECT" in out
    assert code == 3


def test_one_path_of_any_kind_is_one_image(run: Path, category: Path) -> None:
    image = category / "test/hole/000.png"
    assert [row.image for row in verbs.predict(run, str(image))] == [str(image)]
    assert list(verbs.predict(run, image)) == list(verbs.predict(run, [image]))


@pytest.mark.parametrize(
    "given", [[np.zeros((64, 64, 3))], np.zeros((64, 64, 3)), Image.new("L", (64, 64)), None]
)
def test_pictures_in_memory_are_sent_to_the_function_for_them(run: Path, given: Any) -> None:
    unchecked: Any = getattr(verbs.predict, "__wrapped__", verbs.predict)
    with pytest.raises(NotAFileError, match=r"flawtrace\.load\(run\)\.predict"):
        list(unchecked(run, given))


def test_an_error_is_one_message_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(["train", tmp_path / "nowhere", "-o", tmp_path / "run"], capsys)
    assert code == 1
    assert "nowhere" in err
    assert "Traceback" not in err


def test_an_output_that_cannot_be_written_is_named(
    category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = call(["train", category, "-o", tmp_path / "file" / "run", "--labels", "2"], capsys)
    assert code == 1
    assert "Cannot write" in err


def test_settings_lists_names_values_and_meanings(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(["settings"], capsys)
    assert code == 0
    assert "sampler.stride" in out
    code, out, _ = call(["settings", "--preset", "paper", "--json"], capsys)
    assert json.loads(out)["autoencoder"]["bottleneck"] == 200


def test_whoever_stops_early_finds_a_table_and_can_go_on(run: Path, category: Path, tmp_path: Path) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verbs.predict(run, [category / "test/hole"], tmp_path, progress=stop)
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 2
    assert len(verbs.predict(run, [category / "test/hole"], tmp_path)) == 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named(
    run: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["train", category, "-o", tmp_path],
        ["evaluate", run, category],
        ["predict", run, category],
    ):
        code, _, err = call([*arguments, "--device", "cuda"], capsys)
        assert code == 1
        assert "--device cpu" in err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--labels", "1"], "only k-per-type and k-in-all"),
        (["--labels", "few", "--protocol", "k-per-type"], "'few' is neither a number"),
        (["--seeds", "46-42"], "'46-42' is neither a number nor a range"),
    ],
)
def test_what_a_benchmark_is_told_to_vary_is_numbers(
    flags: list[str], said: str, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(["benchmark", category, "-o", tmp_path, *flags], capsys)
    assert code == 2
    assert said in " ".join(err.split())
