"""Whoever wants to hear of the history of a station hears of every line of it, in order, over restarts."""

import base64
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from receiving import SOON, Server, receiving, wait_until
from sqlalchemy import text
from starlette.testclient import TestClient

from flawtrace.cli import app as cli
from flawtrace.station.delivery import history
from flawtrace.station.delivery.errors import AddressError, NoSecretError
from flawtrace.station.delivery.history import History
from flawtrace.station.delivery.receiver import SECRET, Receiver, signature
from flawtrace.station.delivery.webhook import Webhook
from flawtrace.station.store.history import append
from flawtrace.station.store.tables import EntryRow
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.work.station import Station, overrule

THRESHOLDS = {"outline": 0.3, "peak": 0.5, "unsure": 0.4, "defect": 0.5}


def say(workspace: Workspace, verdict: str, image: str = "b" * 64, doubt: str = "") -> str:
    """Add a line of a detector to the history; returns its hash."""
    entry = EntryRow(
        image=image,
        verdict=verdict,
        who="",
        why=doubt,
        checksum="c" * 64,
        thresholds=json.dumps(THRESHOLDS),
        traits="{}",
        score=0.4,
    )
    with workspace.database.writing() as session:
        return append(session, entry).hash


def hook_of(workspace: Workspace, address: str, troubles: list[str] | None = None) -> Webhook:
    trouble = None if troubles is None else troubles.append
    return Webhook(Receiver(address, "secret"), History(workspace.database), trouble)


def told(server: Server) -> list[Any]:
    return [json.loads(content)["entry"] for _, content in server.received]


def test_every_line_is_told_signed_and_in_order(workspace: Workspace, image: str) -> None:
    with receiving() as server, hook_of(workspace, server.address) as hook:
        said = say(workspace, "UNSURE", image, doubt="dark")
        with workspace.database.writing() as session:
            overrule(session, image, "OK", who="Ada", why="dust")
        say(workspace, "DEFECT")
        wait_until(lambda: len(server.received) == 3)
    assert hook.undelivered == 0
    for headers, content in server.received:
        moment = int(headers["x-flawtrace-signature"].partition(",")[0].removeprefix("t="))
        assert hmac.compare_digest(headers["x-flawtrace-signature"], signature("secret", moment, content))
        assert headers["idempotency-key"] == json.loads(content)["entry_hash"]
    first, second, third = (json.loads(content) for _, content in server.received)
    assert (first["entry_hash"], first["name"], first["doubt"], first["who"], first["overrules"]) == (
        said,
        "part.png",
        "dark",
        None,
        None,
    )
    assert (second["verdict"], second["who"], second["why"], second["doubt"], second["overrules"]) == (
        "OK",
        "Ada",
        "dust",
        None,
        1,
    )
    assert (third["name"], third["image"], third["score"], third["thresholds"]) == (
        None,
        "b" * 64,
        0.4,
        THRESHOLDS,
    )


def test_it_begins_with_what_is_new_and_goes_on_where_it_was(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "TOGETHER", 2)
    say(workspace, "OK")  # before anybody wanted to hear of it
    nobody = hook_of(workspace, "http://127.0.0.1:9")
    with nobody:
        for _ in range(5):
            say(workspace, "OK")
    assert nobody.undelivered == 5
    with receiving() as server:
        with hook_of(workspace, server.address) as hook:
            wait_until(lambda: hook.undelivered == 0)
        say(workspace, "DEFECT")  # while nobody is told
        with hook_of(workspace, server.address) as hook:
            wait_until(lambda: hook.undelivered == 0)
    assert told(server) == [2, 3, 4, 5, 6, 7]


def test_every_way_to_a_verdict_is_told(inspecting: TestClient, category: Path) -> None:
    part = sorted((category / "test").rglob("*.png"))[0].read_bytes()
    station: Station = inspecting.app.state.station  # type: ignore[attr-defined]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(part).decode()]}
    with receiving() as server, hook_of(station.workspace, server.address):
        said = inspecting.post("/v1/inspect", content=part, headers={"Content-Type": "image/png"}).json()
        inspecting.post("/v1/inspect/batch", files=[("images", part), ("images", part)])
        inspecting.post("/v2/models/detector/infer", json={"inputs": [tensor]})
        inspecting.post(f"/images/{said['image']}/inspect", follow_redirects=False)
        verdict = {"verdict": "DEFECT", "who": "Ada", "why": "scratch"}
        inspecting.post(f"/images/{said['image']}/overrule", data=verdict, follow_redirects=False)
        wait_until(lambda: len(server.received) == 6)
    assert told(server) == list(range(said["entry"], said["entry"] + 6))
    first, *_, last = (json.loads(content) for _, content in server.received)
    same = ("entry", "entry_hash", "image", "verdict", "score", "doubt", "thresholds", "detector")
    assert {name: first[name] for name in same} == {name: said[name] for name in same}
    assert (last["who"], last["overrules"], last["score"]) == ("Ada", last["entry"] - 1, first["score"])


def test_a_receiver_that_hangs_keeps_nobody_waiting(workspace: Workspace) -> None:
    released = Event()

    def hang(_: int) -> int:
        released.wait(SOON)
        return 500

    with receiving(hang) as server:
        with hook_of(workspace, server.address):
            say(workspace, "OK")
            wait_until(lambda: server.received)
            began = time.monotonic()
            for _ in range(5):
                say(workspace, "OK")
            written = time.monotonic() - began
            began = time.monotonic()
        ended = time.monotonic() - began
        released.set()
    assert written < 5
    assert ended < 5


def test_a_database_that_fails_for_a_while_is_told_of_and_loses_nothing(workspace: Workspace) -> None:
    troubles: list[str] = []

    def rename(before: str, after: str) -> None:
        with workspace.database.writing() as session:
            session.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))

    with receiving() as server:
        hook = hook_of(workspace, server.address, troubles)
        rename("deliveries", "away")  # before its thread can look how far it is, and send a line meanwhile
        with hook:
            say(workspace, "OK")
            wait_until(lambda: troubles)
            assert server.received == []
            rename("away", "deliveries")
            wait_until(lambda: server.received)
    assert "wait to be delivered" in troubles[0]


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "htps://mes.example/hook?key=hidden",
        "http://me:hidden@mes.example/hook",
        "http://mes.example:hidden@80/",
        "http://mes.example/a hook?key=hidden",
        "http://mes.example/ünlesbar?key=hidden",
        "http://[::1?key=hidden",
        "http://mes.example:port/#hidden",
        "",
    ],
)
def test_an_address_that_cannot_work_is_told_without_what_may_be_secret(address: str) -> None:
    with pytest.raises(AddressError, match="--webhook") as raised:
        Receiver(address, "secret")
    assert "hidden" not in str(raised.value)


def test_a_webhook_wants_a_secret() -> None:
    with pytest.raises(NoSecretError, match=SECRET):
        Receiver("http://127.0.0.1:1", "")


def test_a_receiver_computes_the_same_signature() -> None:
    expected = hmac.new(b"secret", b"12." + b'{"a": 1}', "sha256").hexdigest()
    assert signature("secret", 12, b'{"a": 1}') == f"t=12,v1={expected}"


def opened(folder: Path, address: str) -> subprocess.Popen[str]:
    """A station in a process of its own that tells `address` of verdicts."""
    command = [sys.executable, "-c", "from flawtrace.cli.app import main; main()", "serve", str(folder)]
    return subprocess.Popen(
        [*command, "--port", "0", "--webhook", address],
        env=os.environ | {SECRET: "kept-to-ourselves"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_at_any_moment_no_line_is_lost(tmp_path: Path) -> None:
    lines = 60
    workspace = Workspace(tmp_path / "station")
    History(workspace.database)
    for _ in range(lines):
        say(workspace, "OK")
    workspace.close()

    def answer(count: int) -> int:
        Event().wait(0.02)
        return 500 if count == lines // 2 else 204

    with receiving(answer) as server:
        killed = opened(tmp_path / "station", f"{server.address}/?key=hidden")
        wait_until(lambda: len(server.received) >= 10)
        killed.kill()
        killed.communicate()
        assert len(server.received) < lines // 2
        going_on = opened(tmp_path / "station", f"{server.address}/?key=hidden")
        wait_until(lambda: told(server)[-1] == lines)
        Event().wait(0.5)
        began = time.monotonic()
        going_on.send_signal(signal.SIGINT)
        _, err = going_on.communicate(timeout=SOON)
    assert time.monotonic() - began < 10
    assert going_on.returncode == 130
    assert "status 500" in err and "Traceback" not in err
    assert "hidden" not in err and "kept-to-ourselves" not in err
    entries = told(server)
    assert sorted(set(entries)) == list(range(1, lines + 1))
    assert entries == sorted(entries)
    assert len(entries) <= lines + 2


@pytest.mark.slow
def test_a_station_closes_at_once_while_a_receiver_is_away(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "station")
    History(workspace.database)
    say(workspace, "OK")
    workspace.close()
    process = opened(tmp_path / "station", "http://127.0.0.1:9")
    assert process.stdout is not None
    assert "is open" in process.stdout.readline()
    Event().wait(1.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SOON)
    assert time.monotonic() - began < 10
    assert "did not take a verdict" in err


def test_without_a_secret_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    monkeypatch.delenv(SECRET, raising=False)
    with pytest.raises(SystemExit):
        cli.main(["serve", str(tmp_path / "station"), "--webhook", "http://127.0.0.1:9"])
    assert SECRET in capsys.readouterr().err
    assert not (tmp_path / "station").exists()
