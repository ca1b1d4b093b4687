"""What a run was started with: files by content, wherever they lie, and what has changed among them."""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawtrace import verbs
from flawtrace.data import Sample, Split
from flawtrace.data.folders import read_category
from flawtrace.data.splits import draw_available
from flawtrace.ground.errors import DamagedFileError
from flawtrace.ground.presets import load_config
from flawtrace.ground.run_files import CHECKPOINT_NAME, IMAGES_NAME
from flawtrace.training import Trained, train
from flawtrace.training.errors import DataChangedError, FinishedRunWarning, ResumedRunWarning
from flawtrace.training.progress import Drawn, Plan
from flawtrace.training.roster import Changes, Roster


def file(folder: Path, name: str) -> Path:
    """Unique content, unless the name says otherwise; nothing is decoded here."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
    return path


def labelled(folder: Path, name: str) -> Sample:
    return Sample(file(folder, f"defects/{name}"), file(folder, f"masks/{name}"), "scratch")


@pytest.fixture
def split(tmp_path: Path) -> Split:
    folder = tmp_path / "parts"
    return Split(
        normal=(Sample(file(folder, "normal/1")), Sample(file(folder, "normal/2"))),
        labelled=(labelled(folder, "1"), labelled(folder, "2")),
        test=(Sample(file(folder, "test/1")), labelled(folder, "3")),
        unmasked=(Sample(file(folder, "defects/4"), None, "scratch"),),
    )


def moved(sample: Sample, old: Path, new: Path) -> Sample:
    def path(file: Path | None) -> Path | None:
        return new / file.relative_to(old) if file else None

    image = path(sample.image)
    assert image is not None
    return Sample(image, path(sample.mask), sample.defect_type)


def test_nothing_has_changed_at_first(split: Split, tmp_path: Path) -> None:
    roster = Roster.of(split)
    roster.write(tmp_path)
    assert Roster.read(tmp_path) == roster
    assert not roster.changes(Roster.of(split))
    assert roster.restored(split, Roster.of(split), tmp_path).labelled == split.labelled


def test_a_later_draw_does_not_change_who_is_labelled(split: Split, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    new = labelled(folder, "5")
    later = Split(
        normal=(*split.normal, Sample(file(folder, "normal/3"))),
        labelled=(split.test[1], new),
        test=(split.test[0], *split.labelled),
        unmasked=split.unmasked,
    )
    before, now = Roster.of(split), Roster.of(later)
    assert before.changes(now) == Changes(defects=1, normal=1)
    restored = before.restored(later, now, tmp_path)
    assert restored.normal == split.normal
    assert restored.labelled == split.labelled
    assert set(restored.test) == {*split.test, new}


def test_a_folder_that_was_moved_is_the_same(split: Split, tmp_path: Path) -> None:
    old, new = tmp_path / "parts", tmp_path / "elsewhere"
    shutil.copytree(old, new)
    there = Split(
        *(tuple(moved(sample, old, new) for sample in part) for part in (split.normal, split.labelled)),
        *(tuple(moved(sample, old, new) for sample in part) for part in (split.test, split.unmasked)),
    )
    before, now = Roster.of(split), Roster.of(there)
    assert not before.changes(now)
    assert before.restored(there, now, tmp_path).labelled == there.labelled


def test_a_mask_is_new_where_it_was_drawn_or_corrected(split: Split, tmp_path: Path) -> None:
    before = Roster.of(split)
    file(tmp_path / "parts", "masks/1").write_text("corrected")
    drawn = Sample(split.unmasked[0].image, file(tmp_path / "parts", "masks/4"), "scratch")
    later = Split(split.normal, split.labelled, (*split.test, drawn))
    now = Roster.of(later)
    assert before.changes(now) == Changes(masks=2)
    with pytest.raises(DataChangedError, match="2 new or corrected masks"):
        before.restored(later, now, tmp_path)


def test_an_image_that_a_grown_folder_keeps_for_testing_is_not_gone(split: Split, tmp_path: Path) -> None:
    roster = Roster.of(split)
    new = Sample(file(tmp_path / "parts", "normal/3"))
    grown = replace(split, normal=(split.normal[0], new), test=(*split.test, split.normal[1]))
    found = roster.with_known(grown)
    now = Roster.of(found)
    assert roster.changes(now) == Changes(normal=1)
    again = roster.restored(found, now, tmp_path)
    assert (set(again.normal), again.test) == (set(split.normal), split.test)
    assert roster.with_known(split) == split


def test_what_is_gone_is_counted_and_cannot_be_gone_on_with(split: Split, tmp_path: Path) -> None:
    before = Roster.of(split)
    later = Split(split.normal[1:], split.labelled, split.test, split.unmasked)
    now = Roster.of(later)
    assert before.changes(now) == Changes(gone=1)
    with pytest.raises(DataChangedError, match="1 missing image"):
        before.restored(later, now, tmp_path)


@given(st.builds(Changes, *[st.integers(0, 3)] * 4))
def test_changes_are_said_exactly_if_there_are_any(changes: Changes) -> None:
    assert bool(str(changes)) == bool(changes)
    assert str(changes).count(",") == max(0, sum(map(bool, vars(changes).values())) - 1)


def test_something_else_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / IMAGES_NAME).write_text('{"normal": [1]}')
    with pytest.raises(DamagedFileError, match=r"images\.json"):
        Roster.read(tmp_path)


def one_more(category: Path, folder: Path) -> Path:
    """A copy of the data with one more label, of an image that nobody knows."""
    shutil.copytree(category, folder)
    for part, name in (("test/hole", "9.png"), ("ground_truth/hole", "9_mask.png")):
        source = folder / part / name.replace("9", "000")
        shutil.copy(source, folder / part / name)
    image = folder / "test/hole/9.png"
    image.write_bytes(image.read_bytes() + b" ")  # decoded alike, and another file
    return folder


def test_a_finished_run_says_what_is_new_and_trains_nothing(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    parts = one_more(category, tmp_path / "parts")
    with pytest.warns(FinishedRunWarning, match=r"1 new image of a defect.*flawtrace refit"):
        trained = verbs.train(parts, tmp_path / "run", settings=tiny, resume=True)
    assert trained.changes == Changes(defects=1)
    assert trained.summary == verbs.train(category, tmp_path / "run", settings=tiny, resume=True).summary


def test_a_stopped_run_goes_on_with_its_own_labels(
    category: Path, run: Path, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawtrace.training.checkpoint.INTERVAL", 0.0)
    config, out = load_config(settings=tiny), tmp_path / "run"
    begun = train(draw_available(read_category(category), config.labels, config.seed), config, out)
    while not (out / CHECKPOINT_NAME).exists():
        next(begun)
    begun.close()  # type: ignore[attr-defined]
    parts = one_more(category, tmp_path / "parts")
    events: list[Any] = []
    with pytest.warns(ResumedRunWarning, match="1 new image of a defect, which it does not use"):
        resumed = verbs.train(parts, out, settings=tiny, resume=True, progress=events.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResumedRunWarning)
        whole = verbs.train(category, run, settings=tiny, resume=True)
    assert resumed.summary["labelled"] == whole.summary["labelled"]
    assert resumed.detector.facts.fingerprint == whole.detector.facts.fingerprint
    assert isinstance(events[0], Drawn)
    shares = [event.done / event.total for event in events[1:]]
    assert shares == sorted(shares)


def test_a_run_that_goes_on_begins_where_it_was_stopped(category: Path, tiny: dict[str, Any]) -> None:
    """Reading images again is no sign of how long the rest takes."""
    config = load_config(settings=tiny)
    split = draw_available(read_category(category), config.labels, config.seed)
    whole, later = (
        Plan.of(config, split, saved) for saved in (None, {"study": {"index": 1, "members": [None]}})
    )
    assert whole.loading_event(0, 9).done == 0
    assert 0 < later.loading_event(0, 9).done < later.total - later.loading
    assert later.total == whole.total


def test_what_is_drawn_comes_before_anything_is_read(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    config = load_config(settings=tiny)
    split = draw_available(read_category(category), config.labels, config.seed)
    first = next(iter(train(split, config, tmp_path)))
    assert not isinstance(first, Trained)
    assert isinstance(first, Drawn)
    assert first.split == split
