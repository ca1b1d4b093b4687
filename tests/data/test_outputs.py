"""What commands write into: nothing of somebody else's is mixed up with results."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flawtrace import verbs
from flawtrace.data import ForeignFolderError
from flawtrace.data.outputs import refuse_foreign
from flawtrace.ground.errors import OutputError

WRITERS: dict[str, Callable[[Path, Path, Path], Any]] = {
    "train": lambda _, parts, out: verbs.train(parts, out),
    "refit": verbs.refit,
    "predict": verbs.predict,
    "benchmark": lambda _, parts, out: verbs.benchmark([parts], out),
    "demo": lambda _, __, out: verbs.demo(out),
    "import": lambda _, parts, out: verbs.import_labels(parts, out),
    "export": lambda _, parts, out: verbs.export_labels(parts, out, "coco"),
}
FILE_WRITERS: dict[str, Callable[[Path, Path, Path], Any]] = {
    "compare": lambda run, parts, out: verbs.compare(run, run, parts, out),
    "suggest": lambda run, parts, out: verbs.suggest(run, parts / "test/hole", out=out),
    "export": lambda run, _, out: verbs.export(run, out),
    "decide": lambda run, _, out: verbs.decide(run, plot=out),
}


@pytest.fixture
def occupied(category: Path, tmp_path: Path) -> Path:
    """A folder with a picture of its owner."""
    shutil.copy(category / "test/hole/000.png", tmp_path / "holiday.png")
    return tmp_path


@pytest.mark.parametrize("writer", WRITERS)
def test_no_command_writes_among_images_of_others(
    writer: str, run: Path, category: Path, occupied: Path
) -> None:
    with pytest.raises(ForeignFolderError, match=r"holds holiday\.png, which .*\n.*\nChoose another"):
        WRITERS[writer](run, category, occupied)
    assert [path.name for path in occupied.iterdir()] == ["holiday.png"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_is_no_output_folder(writer: str, run: Path, category: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(OutputError, match=r"notes: it is a file\.\nExpected a folder, not a file"):
        WRITERS[writer](run, category, tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize("writer", FILE_WRITERS)
def test_a_folder_is_no_output_file(writer: str, run: Path, category: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"it is a folder\.\nExpected the name of a file"):
        FILE_WRITERS[writer](run, category, tmp_path)


def test_logs_and_notes_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("")
    (tmp_path / ".hidden.png").write_text("")
    refuse_foreign(tmp_path)
