"""What the history says as a whole."""

import json
from datetime import datetime, time
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from flawtrace.station.errors import NoDetectorYetError, NoImageError, NoVerdictError
from flawtrace.station.store.history import append, last_about, verified
from flawtrace.station.store.shelf import image_row
from flawtrace.station.store.statistics import FEWEST, beginning, drift, mistakes, per_day, per_type
from flawtrace.station.store.tables import DetectorRow, EntryRow, now
from flawtrace.station.store.versions import at_work, before_it, promote, register, versions
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.work.station import overrule

FAMILIAR = {"brightness": (0.4, 0.6), "sharpness": (0.1, 0.2)}


def a_detector(session: Session) -> int:
    row = DetectorRow(folder=f"runs/{now().timestamp()}", checksum="", note="", made=now())
    session.add(row)
    session.flush()
    return row.id


def said(session: Session, image: str, verdict: str, **changes: object) -> EntryRow:
    traits = {"brightness": 0.5, "sharpness": 0.15}
    given = {
        "image": image,
        "verdict": verdict,
        "who": "",
        "why": "",
        "checksum": "",
        "thresholds": "{}",
        "traits": json.dumps(traits),
        "score": 0.1,
        **changes,
    }
    return append(session, EntryRow(**given))


def test_days_without_a_verdict_are_days_too(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        for verdict in ("OK", "OK", "DEFECT"):
            said(session, image, verdict)
    with workspace.database.reading() as session:
        days = per_day(session, 3)
    assert [day.total for day in days] == [0, 0, 3]
    assert days[-1].verdicts == {"OK": 2, "UNSURE": 0, "DEFECT": 1}


def test_days_are_those_of_this_machine_s_clock(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        said(session, image, "OK")
    with workspace.database.reading() as session:
        (today,) = per_day(session, 1)
    assert (today.date, today.total) == (datetime.now().astimezone().date(), 1)
    assert beginning(1).astimezone().timetz().replace(tzinfo=None) == time()


def test_escapes_and_overkill_come_from_what_people_overruled(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        for verdict, truth in [("OK", "DEFECT"), ("DEFECT", "OK"), ("UNSURE", "OK"), ("OK", "OK")]:
            said(session, image, verdict)
            overrule(session, image, truth, who="Ada", why="")
        said(session, image, "OK")
    with workspace.database.reading() as session:
        found = mistakes(session)
        assert verified(session) == 9
    assert (found.escapes, found.overkill, found.settled, found.verdicts) == (1, 1, 1, 5)


def test_who_overrules_labels_the_image(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        said(session, image, "OK")
        overrule(session, image, "DEFECT", who="Ada", why="scratch")
    with workspace.database.reading() as session:
        assert image_row(session, image).kind == "defect"
        assert per_type(session) == {"defect": 1}


def test_the_last_line_is_overruled_and_who_said_it_does_not_matter(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        first = said(session, image, "UNSURE", score=0.4)
        said(session, "b" * 64, "OK")
        overrule(session, image, "OK", who="Ada", why="dust")
        overrule(session, image, "DEFECT", who="Erin", why="scratch")
    with workspace.database.reading() as session:
        last = last_about(session, image)
        assert last is not None and last.overrules is not None
        before = session.get_one(EntryRow, last.overrules)
        assert (last.who, last.score, last.traits) == ("Erin", 0.4, first.traits)
        assert (before.who, before.overrules) == ("Ada", first.id)


def test_where_nothing_was_said_nothing_is_overruled(workspace: Workspace, image: str) -> None:
    with pytest.raises(NoVerdictError), workspace.database.writing() as session:
        overrule(session, image, "OK", who="Ada", why="")
    with pytest.raises(NoImageError), workspace.database.writing() as session:
        overrule(session, "b" * 64, "OK", who="Ada", why="")
    with workspace.database.reading() as session:
        assert image_row(session, image).kind == "unlabelled"
        assert verified(session) == 0


def test_drift_names_the_trait_that_moved(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        detector = a_detector(session)
        for _ in range(FEWEST):
            traits = json.dumps({"brightness": 0.9, "sharpness": 0.15})
            said(session, image, "UNSURE", detector=detector, traits=traits)
    with workspace.database.reading() as session:
        found = drift(session, detector, FAMILIAR, [0.1] * 40)
    assert found.enough
    assert found.moved == ["brightness"]
    assert not found.scores_higher


def test_scores_that_rise_are_told(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        detector = a_detector(session)
        for step in range(FEWEST):
            said(session, image, "OK", detector=detector, score=0.3 + step / 1000)
    with workspace.database.reading() as session:
        found = drift(session, detector, FAMILIAR, [0.1 + step / 1000 for step in range(40)])
    assert found.moved == []
    assert found.scores_higher


def test_few_verdicts_tell_nothing(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        detector = a_detector(session)
        said(session, image, "OK", detector=detector)
    with workspace.database.reading() as session:
        assert not drift(session, detector, FAMILIAR, [0.1]).enough
        assert not drift(session, detector + 1, FAMILIAR, []).enough


def test_a_promotion_can_be_rolled_back(workspace: Workspace) -> None:
    with workspace.database.writing() as session:
        first, second = a_detector(session), a_detector(session)
        assert at_work(session) is None
        promote(session, first, "Ada")
        assert before_it(session) is None
        promote(session, second, "Ada")
    with workspace.database.writing() as session:
        working, earlier = at_work(session), before_it(session)
        assert working is not None and working.id == second
        assert earlier is not None and earlier.id == first
        promote(session, earlier.id, "Ada")
    with workspace.database.reading() as session:
        working = at_work(session)
        assert working is not None and working.id == first
        with pytest.raises(NoDetectorYetError):
            promote(session, 99, "Ada")


def test_a_run_is_one_version(workspace: Workspace) -> None:
    run = workspace.run_folder(1)
    run.mkdir(parents=True)
    Path(run / "detector.safetensors").write_bytes(b"weights")
    assert register(workspace, run, "first") == register(workspace, run, "again")
    with workspace.database.reading() as session:
        assert [row.note for row in versions(session)] == ["first"]
