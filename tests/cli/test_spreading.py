"""The flag --ray: what it needs, what it goes with, and that nothing changes without it."""

import subprocess
import sys
from pathlib import Path

import pytest

from flawtrace.cli import app as cli

WITHOUT_RAY = "import sys; sys.modules['ray'] = None; from flawtrace.cli.app import main; main(sys.argv[1:])"


def call(arguments: list[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and standard error of one command."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("command", ["benchmark", "train", "train-all", "tune"])
def test_without_its_packages_one_message_says_how_to_get_them(
    command: str,
    category: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in sys.modules if name.startswith("flawtrace.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    code, err = call([command, category, "-o", tmp_path / "out", "--ray", "local"], capsys)
    assert code == 1
    assert "pip install 'flawtrace[cluster]'" in err
    assert not (tmp_path / "out").exists()


def test_without_the_flag_nothing_of_it_is_loaded(category: Path, tmp_path: Path) -> None:
    how = ["-o", tmp_path / "out", "--settings", Path(__file__).parents[1] / "tiny.toml"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, "train-all", category, *how],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 product, 0 of them failed." in done.stdout


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["benchmark", "--memory", "2"], "--memory from the command line: it counts only with --ray"),
        (["train", "--memory", "2"], "--memory from the command line: it counts only with --ray"),
        (["train", "--actors", "2"], "--actors from the command line: it counts only with --ray"),
        (["train", "--threads", "2"], "--threads from the command line: it counts only with --ray"),
        (["benchmark", "--ray", "local", "--jobs", "2"], "--jobs from the command line: with --ray, as many"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(
    command: list[str], complaint: str, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = call([command[0], category, "-o", tmp_path / "out", *command[1:]], capsys)
    assert code == 2
    assert complaint in err


@pytest.mark.parametrize("command", ["benchmark", "predict", "train", "train-all", "tune"])
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost", "Expected the address of a head node, such as 10.0.0.5:6379, or `local`"),
        ("lcoal", "or `local` to start Ray on this machine"),
        ("ray://10.0.0.5:10001", "such as 10.0.0.5:6379"),
        (":6379", "such as 10.0.0.5:6379"),
        ("10.0.0.5:", "such as 10.0.0.5:6379"),
        ("10.0.0.5:head", "such as 10.0.0.5:6379"),
        ("10.0.0.5:-1", "such as 10.0.0.5:6379"),
        ("10.0.0.5:0", "Expected a port from 1 to 65535"),
        ("10.0.0.5:70000", "Expected a port from 1 to 65535"),
        ("10.0.0.5:" + "9" * 5000, "Expected a port from 1 to 65535"),
    ],
)
def test_what_is_no_address_is_refused_before_anything_starts(  # noqa: PLR0917 (fixtures)
    command: str, address: str, expected: str, run: Path, category: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "flawtrace.cluster", None)  # whoever loads it fails
    paths = [run, category] if command == "predict" else [category]
    code, err = call([command, *paths, "-o", tmp_path / "out", "--ray", address], capsys)
    assert code == cli.UNUSABLE
    assert f"Cannot use --ray: {address!r} is not host:port." in err.replace("\n", "")
    assert expected in " ".join(err.split())
    assert not (tmp_path / "out").exists()


def test_rows_of_a_cluster_need_a_folder(
    run: Path, category: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = call(["predict", run, category / "test/hole", "--ray", "local"], capsys)
    assert code == 2
    assert "give one with -o" in err


@pytest.mark.slow
def test_an_address_where_nobody_answers_is_told_at_once(category: Path, tmp_path: Path) -> None:
    """Ray itself would try for ten minutes."""
    pytest.importorskip("ray", reason="`pip install 'flawtrace[cluster]'` lets the tests use Ray")
    done = subprocess.run(
        [sys.executable, "-c", "from flawtrace.cli.app import main; main()", "train-all", category,
         "-o", tmp_path / "out", "--ray", "127.0.0.1:9"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "No Ray cluster answers at 127.0.0.1:9" in done.stderr
