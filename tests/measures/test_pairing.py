"""Two detectors on the same images: nothing differs from itself, and signs are right."""

from dataclasses import replace
from pathlib import Path

import pytest

from flawtrace import verbs
from flawtrace.cli.app import main
from flawtrace.data import read_category
from flawtrace.detector import Detector
from flawtrace.measures import Comparison, Evaluation, compared, evaluate


@pytest.fixture(scope="module")
def evaluation(run: Path, category: Path) -> Evaluation:
    return evaluate(Detector.load(run), read_category(category).for_testing(10))


def everything_is(evaluation: Evaluation, verdict: str) -> Evaluation:
    """The same, with this verdict of all images."""
    cases = tuple(
        replace(case, prediction=replace(case.prediction, verdict=verdict)) for case in evaluation.cases
    )
    rates = {"OK": (0.0, 1.0), "DEFECT": (1.0, 0.0)}[verdict]
    metrics = evaluation.metrics | {"false_alarm_rate": rates[0], "miss_rate": rates[1], "unsure_rate": 0.0}
    return replace(evaluation, cases=cases, metrics=metrics)


def test_a_detector_does_not_differ_from_itself(evaluation: Evaluation) -> None:
    found = compared(evaluation, evaluation, 0)
    assert all((change.difference, change.low, change.high) == (0, 0, 0) for change in found.changes)
    assert not found.changed
    assert not found.worse


@pytest.fixture(scope="module")
def deafened(evaluation: Evaluation) -> Comparison:
    """From calling everything defective to calling nothing so."""
    return compared(everything_is(evaluation, "DEFECT"), everything_is(evaluation, "OK"), 0)


def test_more_misses_are_worse_and_fewer_false_alarms_better(deafened: Comparison) -> None:
    by_name = {change.name: change for change in deafened.changes}
    assert by_name["miss_rate"].worse
    assert by_name["false_alarm_rate"].better
    assert [change.name for change in deafened.worse] == ["miss_rate"]


def test_new_misses_come_first_among_the_changed(deafened: Comparison) -> None:
    harms = [pair.harm for pair in deafened.changed]
    assert harms == sorted(harms, reverse=True)
    assert harms[0] == 2
    assert harms[-1] == -2
    assert len(harms) == len(deafened.after.cases)


def test_the_page_shows_every_changed_verdict_and_scripts_get_a_code(
    run: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs.refit(run, category, tmp_path / "after", labels=1)
    page = tmp_path / "page.html"
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(run), str(tmp_path / "after"), str(category), "--out", str(page)])
    found = verbs.compare(run, tmp_path / "after", category, page)
    assert ended.value.code == (3 if found.worse else 0)
    assert page.read_text().count('<div class="pair" ') == len(found.changed)
    assert "changed their verdict" in capsys.readouterr().out


def test_images_that_one_was_trained_on_are_left_out(run: Path, category: Path, tmp_path: Path) -> None:
    found = verbs.compare(run, run, category, tmp_path / "page.html")
    assert found.num_left_out == len(Detector.load(run).facts.digests)
