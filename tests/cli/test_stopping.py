"""Ctrl-C, closed pipes and narrow consoles: a command ends with a message, and says what is kept."""

import _thread
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flawtrace.cli import app as cli
from flawtrace.cli.console import adapt, err_console, out_console
from flawtrace.cli.stopping import Stopped, kept_of_results, kept_of_training, stoppable
from flawtrace.ground.run_files import CHECKPOINT_NAME, SETTINGS_NAME, SUMMARY_NAME

SETTINGS = Path(__file__).parents[1] / "tiny.toml"


def interrupted_when(file: Path) -> None:
    """Ctrl-C, as soon as a file is there."""

    def wait() -> None:
        for _ in range(600):
            if file.exists():
                break
            time.sleep(0.05)
        _thread.interrupt_main()

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        (SETTINGS_NAME, "nothing is kept. Run the same command again to start over."),
        (CHECKPOINT_NAME, "is kept in"),
    ],
)
def test_a_stopped_training_says_what_is_kept_and_how_it_goes_on(
    file: str, kept: str, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interval = 0.0 if file == CHECKPOINT_NAME else 1e9
    interrupted_when(tmp_path / "run" / file)
    arguments = ["train", category, "-o", tmp_path / "run", "--settings", SETTINGS, "--cycles", "500"]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr("flawtrace.training.checkpoint.INTERVAL", interval)
        cli.main([str(argument) for argument in arguments])
    err = capsys.readouterr().err
    assert stopped.value.code == 130
    assert "Stopped." in err
    assert kept in err
    assert ("Run the same command with --resume" in err) == (file == CHECKPOINT_NAME)
    assert "Traceback" not in err


def test_what_is_kept_follows_from_the_folder(tmp_path: Path) -> None:
    assert "start over" in kept_of_training(tmp_path)
    (tmp_path / CHECKPOINT_NAME).write_text("")
    assert "continue" in kept_of_training(tmp_path)
    (tmp_path / SUMMARY_NAME).write_text("")
    assert "is finished" in kept_of_training(tmp_path)


def test_results_are_kept_where_there_is_a_folder_for_them(tmp_path: Path) -> None:
    assert str(tmp_path) in kept_of_results(tmp_path, "Predictions")()
    assert "Nothing was written" in kept_of_results(None, "Predictions")()


def test_ctrl_c_carries_what_is_kept_by_then() -> None:
    with pytest.raises(Stopped, match="three results"), stoppable(lambda: "three results"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"], ["--help"]])
def test_a_reader_that_has_ended_gets_no_traceback(arguments: list[str]) -> None:
    script = f"from flawtrace.cli.app import main; main({arguments})"
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=writes, stderr=subprocess.PIPE, check=False, text=True
    )
    os.close(writes)
    assert done.stderr == ""
    assert done.returncode == cli.UNREAD


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_narrow_console_shows_a_code_for_what_it_lacks(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, console in (("stdout", out_console), ("stderr", err_console)):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, name, io.TextIOWrapper(raw, encoding=encoding))
        adapt()
        console.print("parts/零件\udcff.png", markup=False)
        getattr(sys, name).flush()
        assert raw.getvalue().decode(encoding).strip() == "parts/\\u96f6\\u4ef6\\udcff.png"


def test_colours_are_left_out_where_they_are_not_wanted() -> None:
    script = "from flawtrace.cli.app import main; main(['train', 'nowhere', '-o', 'x'])"
    for wanted in ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}):
        done = subprocess.run(
            [sys.executable, "-c", script], env=os.environ | wanted, capture_output=True, check=False
        )
        assert done.returncode == 1
        assert b"31m" not in done.stderr
