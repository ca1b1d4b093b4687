"""Files that cannot be used: left out where that was asked for, and always told."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawtrace import verbs
from flawtrace.cli.console import print_inspection
from flawtrace.data import LeftOutWarning, WideMasksWarning, inspect
from flawtrace.data.errors import InvertedMasksError
from flawtrace.data.folders import read_category, read_folder
from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.errors import UnreadableImageError
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.training import Event, Unused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=3, num_per_type=4)
    truncate(root / "train/good/002.png")
    (root / "test/hole/000.png").write_text("no image")
    (root / "ground_truth/scratch/001_mask.png").unlink()
    (root / "ground_truth/scratch/001_mask.png").write_text("no mask")
    (root / "ground_truth/stain/099_mask.png").write_bytes(
        (root / "ground_truth/stain/000_mask.png").read_bytes()
    )
    return root


def truncate(path: Path) -> None:
    """So that its header is whole."""
    path.write_bytes(path.read_bytes()[:-2000])


BAD = ["ground_truth/stain/099_mask.png", "test/hole/000.png", "test/scratch/001.png", "train/good/002.png"]


def test_bad_files_are_left_out_and_nothing_else(folder: Path) -> None:
    found = read_folder(folder, skip_bad=True)
    assert [path.relative_to(folder).as_posix() for path in found.left_out] == BAD
    assert (len(found.category.normal), len(found.category.anomalous)) == (8, 10)
    assert not {*found.unused} & {*found.left_out}


def test_without_the_flag_the_message_names_it(folder: Path) -> None:
    with pytest.raises(FlawtraceError, match="--skip-bad"):
        read_folder(folder)
    with pytest.raises(FlawtraceError) as caught:
        read_category(folder)
    assert "--skip-bad" not in str(caught.value)


def test_where_no_normal_image_is_left_that_is_said(folder: Path) -> None:
    for image in (folder / "train/good").iterdir():
        truncate(image)
    with pytest.raises(FlawtraceError, match="No normal image"):
        read_folder(folder, skip_bad=True)


def test_inspect_lists_them_and_says_whether_training_can_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without, skipping = inspect(folder), inspect(folder, skip_bad=True)
    assert (without.ok, without.can_skip, skipping.ok) == (False, True, True)
    assert list(skipping.left_out) == BAD
    assert skipping.to_json()["left_out"] == BAD
    assert not {*skipping.ignored} & {*BAD}
    print_inspection(without)
    assert "or leave such files out with --skip-bad." in capsys.readouterr().out
    print_inspection(skipping)
    assert "Ready to train with --skip-bad." in capsys.readouterr().out


def test_training_and_evaluation_go_on_without_them_and_say_so_in_one_line(
    folder: Path, tmp_path: Path, tiny: dict[str, object]
) -> None:
    with pytest.warns(LeftOutWarning, match="Left out 4 bad files: ground_truth/stain/099_mask.png") as told:
        verbs.train(folder, tmp_path / "run", settings=tiny, skip_bad=True)
    assert sum(issubclass(one.category, LeftOutWarning) for one in told) == 1
    with pytest.warns(LeftOutWarning):
        evaluation = verbs.evaluate(tmp_path / "run", folder, skip_bad=True)
    assert evaluation.num_left_out == 8 + 6


def test_an_image_that_only_decoding_shows_to_be_damaged_names_the_flag(
    tmp_path: Path, tiny: dict[str, object]
) -> None:
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=3, num_per_type=3)
    truncate(root / "train/good/002.png")
    with pytest.raises(UnreadableImageError, match="--skip-bad"):
        verbs.train(root, tmp_path / "run", settings=tiny)


def test_training_says_once_which_files_it_does_not_use(tmp_path: Path, tiny: dict[str, object]) -> None:
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=3, num_per_type=3)
    for name in ("a.jp2", "b.jp2", "notes.txt"):
        (root / "train/good" / name).write_text("x")
    (root / "train/good/dead.png").symlink_to(tmp_path / "nowhere.png")
    events: list[Event] = []
    verbs.train(root, tmp_path / "run", settings=tiny, progress=events.append)
    told = [event for event in events if isinstance(event, Unused)]
    assert [dict(event.kinds) for event in told] == [{".jp2 file": 2, "broken link": 1, ".txt file": 1}]


def test_hundreds_of_odd_files_take_a_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=3, num_per_type=6)
    for index in range(100):
        for suffix in ("txt", "json", "jp2"):
            (root / f"train/good/x{index}.{suffix}").write_text("x")
        (root / f"train/good/y{index}.png").write_text("x")
        (root / f"train/good/z{index}.png").symlink_to(tmp_path / "nowhere.png")
    found = inspect(root)
    assert len(json.dumps(found.to_json()).split("y9.png")) == 2
    print_inspection(found)
    out = capsys.readouterr().out
    assert out.count("\n") < 30
    assert "99 more broken links" in out
    assert "99 more problems of this kind" in out


def inverted(mask: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(mask).convert("L"))).save(mask)


def test_masks_that_are_all_inverted_stop_training_and_one_is_told(
    tmp_path: Path, tiny: dict[str, object]
) -> None:
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=3, num_per_type=3)
    first, *others = sorted((root / "ground_truth").rglob("*.png"))
    inverted(first)
    with pytest.warns(WideMasksWarning, match=f"{first.name}: the mask covers more than half"):
        verbs.train(root, tmp_path / "run", settings=tiny)
    for mask in others:
        inverted(mask)
    with pytest.raises(InvertedMasksError, match="All 9 masks"):
        verbs.train(root, tmp_path / "other", settings=tiny)
    assert "inverted" in inspect(root).problems[0]


def test_hidden_files_are_not_counted(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "parts", side=64, num_normal=9, num_test_normal=3, num_per_type=3)
    (root / ".DS_Store").write_text("x")
    (root / ".git").mkdir()
    (root / ".git/config").write_text("x")
    assert read_folder(root).unused == ()
