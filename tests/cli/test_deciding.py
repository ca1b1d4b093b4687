"""Deciding anew: a table that changes nothing, and a choice that is stored without training again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flawtrace import verbs
from flawtrace.cli.app import main
from flawtrace.data import NoImagesError
from flawtrace.detector.artefact import Detector
from flawtrace.detector.errors import KeptExportWarning, NothingToDecideByError
from flawtrace.ground.errors import ArgumentError


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def test_looking_at_the_trade_off_changes_nothing(copy: Path) -> None:
    before = (copy / "detector.safetensors").read_bytes()
    found = verbs.decide(copy)
    assert found.chosen is None
    alarms = [choice.false_alarms.alarms for choice in found.choices]
    misses = [choice.misses.alarms for choice in found.choices]
    assert alarms == sorted(alarms, reverse=True)
    assert misses == sorted(misses)
    assert (copy / "detector.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("limits", "kind"), [({"max_false_alarms": 0.0}, "false_alarms"), ({"max_misses": 0.0}, "misses")]
)
def test_a_limit_is_kept_and_stored(copy: Path, limits: dict[str, float], kind: str) -> None:
    chosen = verbs.decide(copy, **limits).chosen
    assert chosen is not None
    assert getattr(chosen, kind).alarms == 0
    stored = Detector.load(copy)
    assert (stored.thresholds.defect, stored.thresholds.unsure) == (chosen.threshold, chosen.unsure_from)
    assert getattr(stored.facts, kind) == getattr(chosen, kind).to_json()


def test_a_limit_that_is_kept_anyway_leaves_even_odds(copy: Path) -> None:
    """As in training: the threshold moves only as far as a limit asks."""
    chosen = verbs.decide(copy, max_false_alarms=1.0).chosen
    assert chosen is not None
    assert chosen.threshold == 0.5


def test_an_exported_file_that_cannot_follow_is_told(copy: Path) -> None:
    (copy / "detector.onnx").write_bytes(b"of another detector")
    with pytest.warns(KeptExportWarning, match=r"detector\.onnx keeps its own thresholds"):
        verbs.decide(copy, threshold=0.4)
    assert Detector.load(copy).thresholds.defect == pytest.approx(0.4)


def test_what_is_stored_decides_and_maps_stay_as_they_are(copy: Path, category: Path) -> None:
    image = category / "test/hole"
    before = list(verbs.predict(copy, [image]))
    verbs.decide(copy, threshold=0.0)
    after = list(verbs.predict(copy, [image]))
    assert [row.score for row in after] == [row.score for row in before]
    assert {row.verdict for row in after} == {"DEFECT"}


def test_normal_images_of_another_day_take_the_place_of_those_held_out(copy: Path, category: Path) -> None:
    found = verbs.decide(copy, images=category / "test/good")
    assert found.chosen is not None
    assert found.chosen.false_alarms.images == 3
    assert found.normal_from.endswith("test/good")


def test_a_threshold_for_one_call_is_not_stored(copy: Path, category: Path) -> None:
    before = Detector.load(copy).facts
    rows = list(verbs.predict(copy, [category / "test/good"], threshold=0.0))
    assert {row.verdict for row in rows} == {"DEFECT"}
    assert Detector.load(copy).facts == before


def test_two_limits_at_once_and_numbers_out_of_range_are_refused(copy: Path) -> None:
    with pytest.raises(ArgumentError, match="only one"):
        verbs.decide(copy, max_misses=0.1, threshold=0.5)
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        verbs.decide(copy, threshold=1.5)


def test_a_detector_without_held_out_scores_says_so(copy: Path) -> None:
    detector = Detector.load(copy)
    detector.facts.held_out.clear()
    detector.save(copy / "detector.safetensors")
    with pytest.raises(NothingToDecideByError, match="nothing in"):
        verbs.decide(copy)


@pytest.fixture
def unlabelled(category: Path, tiny: dict[str, Any], tmp_path: Path) -> Path:
    """A run that has seen no defect."""
    verbs.train(category / "train/good", tmp_path / "unlabelled", settings=tiny)
    return tmp_path / "unlabelled"


def test_a_detector_without_labels_is_decided_by_normal_images(unlabelled: Path, category: Path) -> None:
    looked = verbs.decide(unlabelled)
    assert looked.before.misses.images == 0
    assert looked.before.false_alarms.images > 0
    by_images = verbs.decide(unlabelled, images=category / "test/good").chosen
    assert by_images is not None
    assert (by_images.false_alarms.alarms, by_images.false_alarms.images) == (0, 3)
    rows = verbs.predict(unlabelled, category / "test/good")
    assert max(row.score for row in rows if row.score) == pytest.approx(by_images.threshold, abs=1e-5)
    verbs.decide(unlabelled, threshold=0.7)
    assert Detector.load(unlabelled).thresholds.defect == 0.7
    with pytest.raises(ArgumentError, match="--max-misses: training held out no defect image"):
        verbs.decide(unlabelled, max_misses=0.1)


def test_a_folder_without_images_is_told_as_such(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match=r"No image in .*empty"):
        verbs.decide(copy, images=tmp_path / "empty")


def test_the_trade_off_is_drawn(copy: Path, tmp_path: Path) -> None:
    verbs.decide(copy, plot=tmp_path / "trade-off.svg")
    drawn = (tmp_path / "trade-off.svg").read_text()
    assert "<svg" in drawn
    for words in ("false alarms", "defects below", "DEFECT from"):
        assert words in drawn


def test_the_command_prints_a_table_or_json(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["decide", str(copy)], "Nothing was changed."),
        (["decide", str(copy), "--max-misses", "0"], "stored now"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert expected in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["decide", str(copy), "--json"])
    assert set(json.loads(capsys.readouterr().out)) == {"choices", "before", "chosen", "normal_from"}
