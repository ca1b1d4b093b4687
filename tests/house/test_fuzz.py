"""A short run of the fuzzer: damaged files give a named error or a value."""

import subprocess
import sys
from pathlib import Path

import pytest

from flawtrace.comparison.bench import read_rows
from flawtrace.ground.errors import DamagedFileError

FUZZ = Path(__file__).parents[2] / "fuzz/fuzz.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="its alarm and its memory limit are POSIX's")
def test_damaged_files_are_refused_by_name() -> None:
    done = subprocess.run(
        [sys.executable, FUZZ, "--inputs", "20", "--seed", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(", 0 failures") == 19


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="its alarm and its memory limit are POSIX's")
def test_files_that_were_never_good_are_refused_by_name() -> None:
    command = [sys.executable, FUZZ, "--generated", "--inputs", "80"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(", 0 failures") == 19


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="atheris is built for Linux")
def test_files_that_coverage_guides_are_refused_by_name() -> None:
    pytest.importorskip("atheris", reason="atheris is not installed")
    command = [sys.executable, FUZZ, "--guided", "--inputs", "200", "image", "detector", "split"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(", 0 failures") == 3


def test_a_damaged_line_of_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"trial": "a", "method": "b"}\n{"trial": \n')
    with pytest.raises(DamagedFileError, match="line 2"):
        read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    "row", ['{"trial": [], "method": "b"}', '{"trial": "a"}', '{"trial": "a", "method": {}}']
)
def test_a_row_without_a_name_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{row}\n")
    with pytest.raises(DamagedFileError, match=r"where its (trial|method) is named"):
        read_rows(tmp_path / "rows.jsonl")
