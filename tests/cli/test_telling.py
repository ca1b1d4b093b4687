"""What the command line says of results: what to do next, and which image is meant."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flawtrace import verbs
from flawtrace.cli import app as cli
from flawtrace.cli.console import print_error, print_plain, print_trained, print_warning
from flawtrace.cli.progress import labels_in_words
from flawtrace.data import Sample, Split
from flawtrace.measures import NothingToEvaluateError


@pytest.fixture
def summary(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "training.json").read_text())
    return found


def test_what_is_next_can_work(summary: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    print_trained(summary, Path("run"), Path("parts"))
    print_trained({**summary, "left_for_testing": []}, Path("run"), Path("parts"))
    said = [line.split(None, 1)[1] for line in capsys.readouterr().out.splitlines() if line[:4] == "Next"]
    assert said == ["flawtrace evaluate run parts", "flawtrace predict run IMAGES"]


def test_suspects_are_named_with_their_folders(
    summary: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        {"name": "1.png", "file": "parts/good/1.png"},
        {"name": "1.png (0, 64)", "file": "elsewhere/1.png"},
    ]
    print_trained({**summary, "suspects": found}, Path("run"), Path("parts"))
    assert "look wrong: good/1.png, elsewhere/1.png (0, 64)\n" in capsys.readouterr().out


def test_labels_of_one_name_are_told_apart_and_counted() -> None:
    labelled = tuple(Sample(Path(name), defect_type="dent") for name in ("a/1.png", "b/1.png"))
    assert labels_in_words(Split((), labelled, ())) == (
        "Labels: 2 of 2 images with a mask are used: dent a/1.png, b/1.png"
    )


def test_a_comparison_counts_what_either_detector_was_trained_on(run: Path, category: Path) -> None:
    with pytest.raises(NothingToEvaluateError, match="was trained on 9 of its images, and 0 others show"):
        verbs.compare(run, run, category / "train/good")


def test_names_of_files_are_no_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    print_plain("cam/part:100:a.png")
    print_error("cam/part:100:a.png")
    print_warning("cam/part:100:a.png")
    printed = capsys.readouterr()
    assert [said.count("part:100:a.png") for said in (printed.out, printed.err)] == [1, 2]


def test_one_broken_image_costs_suggestions_an_exit_code(
    run: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(category / "test/good/000.png", tmp_path)
    (tmp_path / "001.png").write_bytes(b"GIF89a and so on")
    with pytest.raises(SystemExit) as ended:
        cli.main(["suggest", str(run), str(tmp_path)])
    printed = capsys.readouterr()
    assert ended.value.code == cli.FAILED
    assert "000.png" in printed.out
    assert "it looks like a GIF" in printed.err
