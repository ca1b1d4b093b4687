"""Defects that hide among the normal images are found, set aside and learnt from by nobody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from flawtrace import verbs
from flawtrace.data import read_category
from flawtrace.data.splits import draw_split
from flawtrace.detector import Detector
from flawtrace.ground.files import read_json, read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.pictures.images import fit, read_image
from flawtrace.training import checkpoint, last_fit
from flawtrace.training.deciding import decided
from flawtrace.training.exam import Exam
from flawtrace.training.fitting import Examples
from flawtrace.training.judging import HeldOut, Kind, scored
from flawtrace.training.last_fit import hidden
from flawtrace.training.progress import Event
from flawtrace.training.run import Trained, train

N, D, L = Kind.NORMAL, Kind.OTHER_DAY, Kind.LABELLED


def held_out(*seen: tuple[Kind, float]) -> HeldOut:
    """Images of these kinds, with these scores; rows of one kind in their order."""
    kinds, scores = (torch.tensor(column) for column in zip(*seen, strict=True))
    normal = torch.isin(kinds, torch.tensor((N, D)))
    rows = torch.where(normal, normal.cumsum(0), (~normal).cumsum(0)) - 1
    maps = torch.zeros(len(kinds), 4, 4)
    return HeldOut(maps, maps.bool(), torch.zeros(len(kinds), 4), scores, kinds, rows, judged=True)


CLEAR = [(N, 0.1)] * 8 + [(D, 0.2)] * 8 + [(L, 0.9)] * 5


def test_what_looks_defective_to_who_never_saw_it_is_set_aside() -> None:
    seen = held_out((N, 0.6), *CLEAR, (D, 0.5))
    assert hidden(seen, 18).nonzero()[:, 0].tolist() == [0, 17]
    assert not hidden(held_out(*CLEAR), 16).any()


def test_who_misses_labelled_defects_is_not_trusted_with_normal_images() -> None:
    assert not hidden(held_out((N, 0.6), *CLEAR, (L, 0.4)), 17).any()
    assert hidden(held_out((N, 0.6), *CLEAR, *[(L, 0.8)] * 7, (L, 0.4)), 17).any()


def test_who_saw_few_defects_takes_them_for_all_and_is_not_trusted_either() -> None:
    assert not hidden(replace(held_out((N, 0.6), *CLEAR), few=True), 17).any()


def test_without_a_judge_or_a_defect_nobody_knows() -> None:
    seen = held_out((N, 0.6), *CLEAR)
    assert not hidden(replace(seen, judged=False), 17).any()
    kinds = torch.where(seen.kinds == L, int(Kind.MADE_UP), seen.kinds)
    assert not hidden(replace(seen, kinds=kinds), 17).any()


ASIDE = [1, 4]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exam]]:
    """Normal row 1 looks defective, and row 4 once nobody learns from row 1; the exams of all rounds."""
    exams: list[Exam] = []
    monkeypatch.setattr(last_fit, "_confirmed", lambda found, *_: found)

    def examine(*arguments: Any, **before: Any) -> Exam:
        exams.append(whole(*arguments, **before))
        return exams[-1]

    def one_more(_: HeldOut, num_normal: int) -> torch.Tensor:
        known = exams[-1].set_aside if exams else torch.zeros(num_normal).bool()
        return torch.arange(num_normal) == ASIDE[min(int(known.sum()), 1)]

    whole = last_fit.examine
    monkeypatch.setattr(last_fit, "examine", examine)
    monkeypatch.setattr(last_fit, "hidden", one_more)
    monkeypatch.setattr(last_fit, "MOST", 0.5)
    yield exams


@pytest.fixture
def tiny_judged(tiny: dict[str, Any]) -> dict[str, Any]:
    return tiny | {"predictor.steps": 3}


def test_nobody_learns_from_what_is_set_aside_and_it_is_told(
    found: list[Exam], category: Path, tiny_judged: dict[str, Any], tmp_path: Path
) -> None:
    trained = verbs.train(category, tmp_path / "run", settings=tiny_judged)
    first, _, second = found
    shown = [set(exam.shown(member, 1000).tolist()) for exam in (first, second) for member in range(3)]
    assert set.union(*shown[:3]) >= set(ASIDE)
    assert set.union(*shown[3:]).isdisjoint(ASIDE)
    assert second.set_aside.nonzero()[:, 0].tolist() == ASIDE
    assert first.normal.views.distances.shape == second.normal.views.distances.shape
    summary = read_json(tmp_path / "run/training.json")
    aside = [suspect for suspect in summary["suspects"] if suspect["set_aside"]]
    assert len(aside) == len(ASIDE)
    assert summary["false_alarms"]["images"] == int(first.as_taken.sum())
    assert "set aside" in (tmp_path / "run/report.html").read_text()
    warnings = verbs.inspect(category, run=tmp_path / "run").warnings
    (named,) = [text for text in warnings if "learnt from" in text]
    assert all(str(Path(one["file"]).relative_to(category)) in named for one in aside)
    assert trained.detector.facts.num_labelled == first.num_labelled


def test_of_few_only_the_numbers_are_chosen_again(
    found: list[Exam],
    category: Path,
    tiny_judged: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_fit, "FEW", 0.2)
    verbs.train(category, tmp_path / "run", settings=tiny_judged)
    assert len(found) == 1
    suspects = read_json(tmp_path / "run/training.json")["suspects"]
    assert sum(one["set_aside"] for one in suspects) == 1
    assert not any(row["kind"] == "set aside" for row in read_jsonl(tmp_path / "run/log.jsonl"))


def test_it_can_be_left_undone(
    found: list[Exam], category: Path, tiny_judged: dict[str, Any], tmp_path: Path
) -> None:
    verbs.train(category, tmp_path / "run", settings=tiny_judged | {"predictor.set_aside": False})
    assert len(found) == 1


@pytest.mark.usefixtures("found")
def test_where_many_normal_images_look_defective_the_detector_is_in_doubt(
    category: Path, tiny_judged: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_fit, "MOST", 0.0)
    verbs.train(category, tmp_path / "run", settings=tiny_judged)
    assert not any(one["set_aside"] for one in read_json(tmp_path / "run/training.json")["suspects"])


@pytest.mark.usefixtures("found")
def test_a_run_that_is_stopped_in_either_round_goes_on_to_the_same_bits(
    category: Path, tiny_judged: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    config = load_config(settings=tiny_judged)
    split = draw_split(read_category(category), config.labels, config.seed)
    *_, whole = train(split, config, tmp_path / "whole")
    for stop in ("last fit 3/3", "last fit 2/3, without hidden defects"):
        for event in train(split, config, tmp_path / "stopped", resume=True):
            if isinstance(event, Event) and event.phase == stop:
                break
    *_, resumed = train(split, config, tmp_path / "stopped", resume=True)
    assert isinstance(whole, Trained)
    assert isinstance(resumed, Trained)
    ours, theirs = whole.detector.state_dict(), resumed.detector.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    logs = [list(read_jsonl(tmp_path / name / "log.jsonl")) for name in ("whole", "stopped")]
    assert logs[0] == logs[1]
    assert [row["rows"] for row in logs[0] if row["kind"] == "set aside"] == [ASIDE[:1], ASIDE]


def test_a_refit_sets_aside_too(found: list[Exam], run: Path, category: Path, tmp_path: Path) -> None:
    verbs.refit(run, category, tmp_path / "new", labels=2)
    assert [int(exam.set_aside.sum()) for exam in found] == [0, 1, 2]
    aside = [one for one in read_json(tmp_path / "new/training.json")["suspects"] if one["set_aside"]]
    assert len(aside) == 2


@pytest.mark.parametrize(("seen_as_taken", "aside"), [(0.9, 2), (0.1, 1)])
def test_what_looks_defective_on_another_day_is_looked_at_as_it_was_taken(
    category: Path,
    tiny_judged: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    seen_as_taken: float,
    aside: int,
) -> None:
    """Row 0 is learnt from as it was taken, row 1 as on another day."""
    asked: list[tuple[list[int], torch.Tensor]] = []

    def stub(rows: torch.Tensor, shown: Examples, *_: Any, **__: Any) -> torch.Tensor:
        asked.append((rows.tolist(), shown.views.pictures))
        return torch.full((len(rows),), seen_as_taken)

    monkeypatch.setattr(last_fit, "hidden", lambda _, count: torch.arange(count) < 2)
    monkeypatch.setattr(last_fit, "MOST", 0.5)
    monkeypatch.setattr(last_fit, "ROUNDS", 2)
    monkeypatch.setattr("flawtrace.training.run.ROUNDS", 2)
    monkeypatch.setattr(last_fit, "scored", stub)
    verbs.train(category, tmp_path / "run", settings=tiny_judged)
    [(rows, pictures), *_] = asked
    assert rows == [1]
    config = load_config(settings=tiny_judged)
    split = draw_split(read_category(category), config.labels, config.seed)
    expected = fit(read_image(split.normal[1].image), config.image_side)
    assert torch.allclose(pictures[0].float(), expected, atol=1e-3)
    suspects = read_json(tmp_path / "run/training.json")["suspects"]
    assert sum(one["set_aside"] for one in suspects) == aside


def test_a_member_scores_what_it_never_saw(category: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    """Shown as they were learnt, normal rows get the scores that they were judged by."""
    found: list[last_fit.Fitted] = []

    def kept(fitted: last_fit.Fitted, *rest: Any) -> Detector:
        found.append(fitted)
        return decided(fitted, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawtrace.training.run.decided", kept)
        verbs.train(category, tmp_path / "run", settings=tiny)
    [fitted] = found
    held_out = fitted.judgement.held_out
    rows = held_out.rows[held_out.normal]
    shown = fitted.exam.normal[rows]
    scores = scored(rows, shown, fitted.members, fitted.judgement, fitted.exam.normal_folds)
    assert scores.allclose(held_out.scores[held_out.normal], atol=1e-4)
