"""Predictions are complete, go on where they stopped, and harm nothing that is there."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from flawtrace import verbs
from flawtrace.data import ForeignFolderError
from flawtrace.data.errors import UnreadableFolderError
from flawtrace.detector import Detector
from flawtrace.detector.regions import regions_of, without_small
from flawtrace.pictures.images import read_image
from flawtrace.verbs.gathering import gathered
from flawtrace.verbs.results import OtherPredictionsError


@pytest.fixture
def photos(category: Path, tmp_path: Path) -> Path:
    """Two images, one of them in a sub-folder, and things that are no images."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(category / "test/hole/000.png", folder / "000.png")
    shutil.copy(category / "test/hole/001.png", folder / "sub/000.png")
    (folder / "notes.pgm").write_text("x")
    (folder / "gone.png").symlink_to("nowhere.png")
    return folder


def test_what_was_passed_over_is_counted_by_kind(photos: Path) -> None:
    words = gathered(photos).skipped_in_words
    assert words is not None
    for part in ("1 .pgm file", "1 broken link", "1 sub-folder"):
        assert part in words


def test_links_lead_to_each_folder_once(photos: Path) -> None:
    (photos / "loop").symlink_to(".")
    (photos / "sub/up").symlink_to("..")
    assert [file.name for file in gathered(photos, recursive=True).files] == ["000.png", "000.png"]


def test_a_sub_folder_that_nobody_may_look_into_is_told_and_the_others_go_on(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "sub" and may(path, mode))
    found = gathered(photos, recursive=True)
    assert [file.name for file in found.files] == ["000.png"]
    assert "1 unreadable sub-folder" in str(found.skipped_in_words)
    with pytest.raises(UnreadableFolderError, match="sub: permission denied"):
        gathered(photos / "sub")


def test_sub_folders_keep_their_names(run: Path, photos: Path, tmp_path: Path) -> None:
    rows = verbs.predict(run, photos, tmp_path / "out", recursive=True)
    assert [row.name for row in rows] == ["000", "sub/000"]
    assert (tmp_path / "out/masks/sub/000.png").is_file()
    assert (tmp_path / "out/overlays/index.html").read_text().count("<figure>") == 2


def test_images_of_one_name_in_two_folders_are_told_apart(category: Path) -> None:
    names = gathered([category / "test/hole", category / "test/stain"]).names
    assert names[0] == "hole/000"
    assert len(set(names)) == len(names)


def test_only_what_is_new_or_changed_is_looked_at_again(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = verbs.predict(run, photos, tmp_path / "out")
    lines = (tmp_path / "out/predictions.jsonl").read_text()
    assert verbs.predict(run, photos, tmp_path / "out") == first
    assert (tmp_path / "out/predictions.jsonl").read_text() == lines
    os.utime(photos / "000.png", ns=(1, 1))
    verbs.predict(run, photos, tmp_path / "out")
    assert len((tmp_path / "out/predictions.jsonl").read_text().splitlines()) == 2


def test_relative_paths_are_told_apart_from_wherever_they_are_named(
    run: Path, category: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, image in (("mon", "test/hole/000.png"), ("tue", "test/good/000.png")):
        (tmp_path / day).mkdir()
        shutil.copy(category / image, tmp_path / day / "1.png")
        monkeypatch.chdir(tmp_path / day)
        verbs.predict(run, "1.png", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/masks").iterdir()) == ["1-2.png", "1.png"]
    monkeypatch.chdir(tmp_path)
    (row,) = verbs.predict(run, "mon/1.png", tmp_path / "out")
    assert (row.image, row.name) == ("mon/1.png", "1")
    table = (tmp_path / "out/predictions.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["mon/1.png", str(tmp_path / "tue/1.png")]
    assert len((tmp_path / "out/predictions.jsonl").read_text().splitlines()) == 2


def test_another_decision_needs_another_folder(run: Path, photos: Path, tmp_path: Path) -> None:
    verbs.predict(run, photos, tmp_path / "out")
    with pytest.raises(OtherPredictionsError, match="by other thresholds"):
        verbs.predict(run, photos, tmp_path / "out", threshold=0.1)
    with pytest.raises(OtherPredictionsError, match="with --min-area 0, not 5"):
        verbs.predict(run, photos, tmp_path / "out", min_area=5)


def test_a_data_set_is_never_written_into(run: Path, category: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(category, tmp_path / "parts")
    before = sorted(copy.rglob("*"))
    with pytest.raises(ForeignFolderError, match="holds ground_truth/, test/, train/, which"):
        verbs.predict(run, copy / "test/hole", copy)
    assert sorted(copy.rglob("*")) == before


def test_a_run_holds_no_predictions(run: Path, photos: Path) -> None:
    with pytest.raises(ForeignFolderError, match=r"holds detector\.safetensors, .*settings\.json"):
        verbs.predict(run, photos, run)
    assert not (run / "predict.json").exists()


def test_an_odd_name_costs_one_row(run: Path, category: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    source = category / "test/hole/000.png"
    for name in (b"ok.png", b"\xff\xfe.png", b"x" * 250 + b".png"):
        shutil.copy(source, folder / os.fsdecode(name))
    (folder / "bad.png").write_text("no image")
    rows = verbs.predict(run, folder, tmp_path / "out")
    verdicts = {Path(row.image).name[:3]: row.verdict for row in rows}
    assert [verdicts[name] for name in ("bad", "xxx")] == ["ERROR", "ERROR"]
    assert verdicts["ok."] != "ERROR"
    assert len((tmp_path / "out/predictions.csv").read_text().splitlines()) > 4
    lines = (tmp_path / "out/predictions.jsonl").read_text().splitlines()
    assert len([json.loads(line)["image"] for line in lines]) == len(rows)


def test_regions_agree_with_a_count_by_hand() -> None:
    mask = torch.zeros(12, 12, dtype=torch.bool)
    mask[1:3, 1:5], mask[8, 8] = True, True
    anomaly_map = torch.arange(144.0).view(12, 12) / 144
    large, small = regions_of(mask, anomaly_map)
    assert (large.left, large.top, large.width, large.height, large.area) == (1, 1, 4, 2, 8)
    assert large.peak == pytest.approx(28 / 144)
    assert large.mean == pytest.approx(np.mean([13, 14, 15, 16, 25, 26, 27, 28]) / 144)
    assert small.area == 1
    xs, ys = zip(*large.contour, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (1, 5, 1, 3)


def test_small_regions_leave_the_mask() -> None:
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[0, :3], mask[5, 5] = True, True
    assert int(without_small(mask, 3).sum()) == 3
    assert not without_small(mask, 4).any()
    assert without_small(mask, 0).equal(mask)


def test_what_shows_only_small_regions_is_unsure(run: Path, photos: Path) -> None:
    (before,) = verbs.predict(run, photos / "000.png", threshold=0.0)
    (after,) = verbs.predict(run, photos / "000.png", threshold=0.0, min_area=64 * 64 + 1)
    assert before.verdict == "DEFECT"
    assert before.regions
    assert (after.verdict, after.regions, after.defective_share) == ("UNSURE", (), 0)
    assert after.doubt is not None


def test_one_string_is_one_path(run: Path, photos: Path) -> None:
    assert len(verbs.predict(run, str(photos / "000.png"))) == 1


def test_suggestions_differ_and_leave_out_what_is_known(run: Path, category: Path, tmp_path: Path) -> None:
    found = verbs.suggest(run, category / "test", 4, recursive=True, out=tmp_path / "next.html")
    assert len(found) == 4
    assert len({one.image for one in found}) == 4
    assert (tmp_path / "next.html").read_text().count("<figure>") == 4
    assert all(one.reason for one in found)
    everything = verbs.suggest(run, category / "test", 100, recursive=True)
    assert len(everything) == 15 - 6


def test_one_suggestion_is_at_a_distance_that_one_can_read(run: Path, category: Path, tmp_path: Path) -> None:
    images = sorted((category / "test").glob("*/*.png"))
    detector = Detector.load(run)
    new = next(image for image in images if not detector.knows(read_image(image)))
    (one,) = verbs.suggest(run, new)
    assert one.distance is not None
    assert 0 < one.distance < 10
    shutil.copy(new, tmp_path / "twin.png")
    first, second = verbs.suggest(run, [new, tmp_path / "twin.png"])
    assert second.distance == 0
    assert first.distance is not None


def test_suggestions_go_on_without_what_cannot_be_read(run: Path, photos: Path) -> None:
    (photos / "001.png").write_text("no image")
    with pytest.warns(UserWarning, match=r"001\.png is no image .*: it is text"):
        (left,) = verbs.suggest(run, photos)
    assert left.image == str(photos / "000.png")


def test_a_name_that_is_too_long_is_told_so(run: Path, photos: Path, tmp_path: Path) -> None:
    long = photos / f"{'x' * 240}.png"
    shutil.copy(photos / "000.png", long)
    rows = {Path(row.image).name: row for row in verbs.predict(run, photos, tmp_path / "found")}
    assert rows["000.png"].error is None
    assert "Expected a shorter name" in str(rows[long.name].error)


def test_files_of_one_name_in_two_calls_both_keep_their_results(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (first,) = verbs.predict(run, photos / "000.png", out)
    written = (out / "maps/000.tiff").read_bytes()
    (second,) = verbs.predict(run, photos / "sub/000.png", out)
    assert (first.name, second.name) == ("000", "000-2")
    assert (out / "maps/000.tiff").read_bytes() == written != (out / "maps/000-2.tiff").read_bytes()
    table = (out / "predictions.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == [second.image, first.image]
    assert (out / "overlays/index.html").read_text().count("<figure>") == 2


def test_its_own_pictures_are_no_images_to_look_at(run: Path, photos: Path) -> None:
    out = photos / "found"
    first = verbs.predict(run, photos, out, recursive=True)
    assert verbs.predict(run, photos, out, recursive=True) == first
    assert len(first) == 2
