"""Every image in a watched folder is told of once: half-written, broken, copied, or after being killed."""

import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from receiving import SOON, Server, receiving, wait_until
from starlette.testclient import TestClient

from flawtrace.cli import app as cli
from flawtrace.ground.errors import FolderInUseError
from flawtrace.ground.files import read_jsonl
from flawtrace.station.watch import (
    VERDICTS_NAME,
    Receiver,
    Undelivered,
    Webhook,
    eye_of_run,
    eye_of_station,
    signature,
    why_not_yet,
)
from flawtrace.station.watch.errors import (
    NotNowError,
    NotWatchedError,
    SameFolderError,
    StationRefusedError,
    UnseenError,
)
from flawtrace.station.watch.watching import watch
from flawtrace.station.web.guard import Rules

REST = 0.3
Row = dict[str, Any]
Eye = Callable[[Path, bytes], Row]


def plain_eye(_: Path, content: bytes) -> Row:
    """Sees what the file says."""
    if content.startswith(b"broken"):
        raise UnseenError("it is broken")
    return {"verdict": "OK", "score": 0.1, "doubt": None, "regions": [], "size of content": len(content)}


class Watched:
    """A folder that is watched in a thread."""

    def __init__(self, root: Path, out: Path, eye: Eye, **options: Any) -> None:
        self.rows: list[Row] = []
        self.troubles: list[str] = []
        self._ending = Event()
        given = {
            "rest": REST,
            "scan_every": 1.0,
            "progress": self.rows.append,
            "trouble": self.troubles.append,
        }
        self._thread = Thread(
            target=watch, args=(root, out, eye), kwargs=given | {"ending": self._ending} | options
        )

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def settle(self) -> None:
        """Long enough for whatever rests to be told of."""
        Event().wait(1.0 + 4 * REST)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    folder = tmp_path / "camera"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def told(out: Path) -> list[str]:
    return [row["image"] for row in read_jsonl(out / VERDICTS_NAME)]


def test_what_is_there_and_what_comes_is_told_of_once(camera: Path, out: Path) -> None:
    (camera / "there.png").write_bytes(b"there")
    with Watched(camera, out, plain_eye) as watched:
        wait_until(lambda: told(out) == ["there.png"])
        (camera / "comes.png").write_bytes(b"comes")
        (camera / "notes.txt").write_bytes(b"no image")
        (camera / ".hidden.png").write_bytes(b"hidden")
        wait_until(lambda: len(watched.rows) == 2)
        watched.settle()
    assert told(out) == ["there.png", "comes.png"]
    assert watched.rows == list(read_jsonl(out / VERDICTS_NAME))


def test_a_file_that_grows_is_looked_at_when_it_is_whole(camera: Path, out: Path) -> None:
    with Watched(camera, out, plain_eye) as watched, (camera / "slow.png").open("wb") as file:
        for _ in range(8):
            file.write(b"x" * 100)
            file.flush()
            Event().wait(REST / 2)
        assert watched.rows == []
        wait_until(lambda: watched.rows)
    assert [row["size of content"] for row in watched.rows] == [800]


def test_a_file_that_changes_while_it_is_looked_at_is_looked_at_again(camera: Path, out: Path) -> None:
    file = camera / "part.png"
    file.write_bytes(b"half")
    contents = []

    def eye(path: Path, content: bytes) -> Row:
        contents.append(content)
        if content == b"half":
            file.write_bytes(b"half and the other half")
        return plain_eye(path, content)

    with Watched(camera, out, eye) as watched:
        wait_until(lambda: watched.rows)
    assert contents == [b"half", b"half and the other half"]
    assert len(told(out)) == 1


def test_a_copy_is_told_of_only_if_that_is_asked_for(camera: Path, tmp_path: Path) -> None:
    (camera / "1.png").write_bytes(b"content")
    (camera / "2.png").write_bytes(b"content")
    for again, expected in ((False, 1), (True, 2)):
        with Watched(camera, tmp_path / str(again), plain_eye, again=again) as watched:
            wait_until(lambda: len(watched.rows) == expected)  # noqa: B023 (waited for here)
            watched.settle()
        assert len(watched.rows) == expected


def test_a_broken_file_is_told_of_once_and_again_when_it_is_mended(camera: Path, out: Path) -> None:
    (camera / "part.png").write_bytes(b"broken")
    for _ in range(2):
        with Watched(camera, out, plain_eye) as watched:
            watched.settle()
    (camera / "part.png").write_bytes(b"whole")
    with Watched(camera, out, plain_eye) as watched:
        wait_until(lambda: watched.rows)
    verdicts = [(row["verdict"], row.get("error")) for row in read_jsonl(out / VERDICTS_NAME)]
    assert verdicts == [("ERROR", "it is broken"), ("OK", None)]


def test_after_a_restart_only_what_is_new_or_has_changed_is_looked_at(camera: Path, out: Path) -> None:
    for name in "abc":
        (camera / f"{name}.png").write_bytes(name.encode())
    with Watched(camera, out, plain_eye) as watched:
        wait_until(lambda: len(watched.rows) == 3)
    modified = (camera / "b.png").stat().st_mtime_ns
    (camera / "b.png").write_bytes(b"B")  # as large, and as old, as before
    os.utime(camera / "b.png", ns=(modified, modified))
    (camera / "d.png").write_bytes(b"d")
    with Watched(camera, out, plain_eye) as watched:
        wait_until(lambda: len(watched.rows) == 2)
        watched.settle()
    assert sorted(row["image"] for row in watched.rows) == ["b.png", "d.png"]
    assert len(told(out)) == 5


def test_a_line_that_a_killed_process_left_unfinished_is_written_again(camera: Path, out: Path) -> None:
    for name in "ab":
        (camera / f"{name}.png").write_bytes(name.encode())
    with Watched(camera, out, plain_eye) as watched:
        wait_until(lambda: len(watched.rows) == 2)
    file = out / VERDICTS_NAME
    file.write_bytes(file.read_bytes()[:-20])
    with Watched(camera, out, plain_eye) as watched:
        wait_until(lambda: len(watched.rows) == 1)
    assert sorted(told(out)) == ["a.png", "b.png"]


def test_sub_folders_are_looked_into_where_that_is_asked_for(camera: Path) -> None:
    out = camera / "verdicts"
    (camera / "deep").mkdir()
    (camera / "deep" / "part.png").write_bytes(b"deep")
    with Watched(camera, out, plain_eye) as watched:
        watched.settle()
    assert watched.rows == []
    (out / "not-watched.png").write_bytes(b"ours")
    with Watched(camera, out, plain_eye, recursive=True) as watched:
        wait_until(lambda: watched.rows)
        (camera / "later").mkdir()
        (camera / "later" / "part.png").write_bytes(b"later")
        wait_until(lambda: len(watched.rows) == 2)
    assert told(out) == ["deep/part.png", "later/part.png"]


def test_a_sub_folder_that_nobody_may_look_into_is_told_of_once(
    camera: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (camera / "closed").mkdir()
    (camera / "part.png").write_bytes(b"content")
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed" and may(path, mode))
    with Watched(camera, out, plain_eye, recursive=True) as watched:
        wait_until(lambda: watched.rows)
        watched.settle()
    assert told(out) == ["part.png"]
    (trouble,) = watched.troubles
    assert f"Cannot read {camera / 'closed'}: permission denied" in trouble


def test_verdicts_may_lie_above_the_watched_folder(camera: Path) -> None:
    (camera / "part.png").write_bytes(b"content")
    with Watched(camera, camera.parent, plain_eye) as watched:
        wait_until(lambda: watched.rows)
    assert told(camera.parent) == ["part.png"]


def test_the_watched_folder_itself_is_refused_under_any_name(camera: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(camera)
    for root, to in ((camera, camera), (camera, tmp_path / "link"), (tmp_path / "link", camera)):
        with pytest.raises(SameFolderError, match="--to"):
            watch(root, to, plain_eye)
    assert list(camera.iterdir()) == []


def test_an_image_waits_while_nobody_can_look_at_it(camera: Path, out: Path) -> None:
    (camera / "part.png").write_bytes(b"content")
    attempts = []

    def eye(path: Path, content: bytes) -> Row:
        attempts.append(path)
        if len(attempts) < 3:
            raise NotNowError("it is busy", 0.1)
        return plain_eye(path, content)

    with Watched(camera, out, eye) as watched:
        wait_until(lambda: watched.rows)
    assert len(attempts) == 3
    assert watched.troubles == ["it is busy\nImages wait; again in 0.1 s."] * 2


def test_two_processes_do_not_tell_into_one_folder(camera: Path, out: Path) -> None:
    with Watched(camera, out, plain_eye):
        wait_until((out / VERDICTS_NAME).parent.exists)
        Event().wait(0.5)
        with pytest.raises(FolderInUseError):
            watch(camera, out, plain_eye)


def test_a_folder_that_is_not_there_is_told_so(tmp_path: Path, out: Path) -> None:
    with pytest.raises(NotWatchedError, match="no folder"):
        watch(tmp_path / "nowhere", out, plain_eye)


def hook_of(address: str, out: Path, trouble: Callable[[str], None] | None = None) -> Webhook:
    return Webhook(Receiver(address, "secret"), Undelivered(out), trouble)


def test_every_verdict_is_delivered_signed_and_in_order(camera: Path, out: Path) -> None:
    for name in "abc":
        (camera / f"{name}.png").write_bytes(name.encode())
    with receiving() as receiver:
        hook = hook_of(receiver.address, out)
        with Watched(camera, out, plain_eye, webhook=hook):
            wait_until(lambda: len(receiver.received) == 3)
            wait_until(lambda: hook.undelivered == 0)
    rows = list(read_jsonl(out / VERDICTS_NAME))
    assert [json.loads(content) for _, content in receiver.received] == rows
    for (headers, content), row in zip(receiver.received, rows, strict=True):
        moment = int(headers["x-flawtrace-signature"].partition(",")[0].removeprefix("t="))
        assert hmac.compare_digest(headers["x-flawtrace-signature"], signature("secret", moment, content))
        assert abs(time.time() - moment) < 60
        assert headers["idempotency-key"] == row["id"]


@pytest.mark.parametrize("failure", [500, 302, 404])
def test_what_is_not_received_is_sent_again_with_the_same_key(camera: Path, out: Path, failure: int) -> None:
    troubles: list[str] = []
    (camera / "part.png").write_bytes(b"content")
    with receiving(lambda count: failure if count < 2 else 200) as receiver:
        hook = hook_of(f"{receiver.address}/hook?key=hidden", out, troubles.append)
        with Watched(camera, out, plain_eye, webhook=hook):
            wait_until(lambda: len(receiver.received) == 2)
    assert len({headers["idempotency-key"] for headers, _ in receiver.received}) == 1
    assert f"status {failure}" in troubles[0]
    assert "takes verdicts again" in troubles[1]
    assert "hidden" not in "".join(troubles)
    assert "secret" not in "".join(troubles)


def test_what_a_receiver_missed_is_delivered_after_a_restart(camera: Path, out: Path) -> None:
    (camera / "a.png").write_bytes(b"a")
    nobody = hook_of("http://127.0.0.1:9", out)
    with Watched(camera, out, plain_eye, webhook=nobody) as watched:
        wait_until(lambda: watched.rows)
    assert nobody.undelivered == 1
    (camera / "b.png").write_bytes(b"b")
    with receiving() as receiver:
        hook = hook_of(receiver.address, out)
        with Watched(camera, out, plain_eye, webhook=hook):
            wait_until(lambda: len(receiver.received) == 2 and hook.undelivered == 0)
        again = hook_of(receiver.address, out)
        with Watched(camera, out, plain_eye, webhook=again) as watched:
            watched.settle()
    assert [json.loads(content)["image"] for _, content in receiver.received] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("status", "error"), [(422, UnseenError), (503, NotNowError), (401, StationRefusedError)]
)
def test_what_a_station_says_is_told_from_what_it_cannot_say(
    camera: Path, status: int, error: type[Exception]
) -> None:
    with receiving(lambda _: status) as receiver, pytest.raises(error) as raised:
        eye_of_station(receiver.address, "token")(camera / "part.png", b"content")
    [(headers, content)] = receiver.received
    assert content == b"content"
    assert headers["authorization"] == "Bearer token"
    assert "token" not in str(raised.value).replace("its token", "")
    if isinstance(raised.value, NotNowError):
        assert raised.value.seconds == 1


def test_a_station_that_is_away_is_asked_later(camera: Path) -> None:
    with pytest.raises(NotNowError, match="does not answer"):
        eye_of_station("http://127.0.0.1:9")(camera / "part.png", b"content")


def a_station(client: TestClient) -> AbstractContextManager[Server]:
    """What a client is answered, over the network."""

    def gives(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        sent = {name: value for name, value in headers.items() if name == "Authorization"}
        answer = client.get(path, headers=sent)
        return answer.status_code, answer.content

    return receiving(gives=gives)


def test_a_station_is_asked_at_the_start_whether_it_can_look_at_images(
    inspecting: TestClient, client_of: Callable[..., TestClient]
) -> None:
    token = "a-token-that-nobody-guesses"
    with a_station(inspecting) as server:
        assert why_not_yet(server.address) is None
    with a_station(client_of(Rules(token=token))) as server:
        assert "no detector at work" in (why_not_yet(server.address, token) or "")
        for wrong in (None, "another"):
            with pytest.raises(StationRefusedError, match="401: Nobody has said who asks"):
                why_not_yet(server.address, wrong)
    assert "does not answer" in (why_not_yet("http://127.0.0.1:9") or "")


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [(502, b"<html>", "status 502"), (503, b'{"error": "later"}', "later"), (429, b"[]", "status 429")],
)
def test_a_station_that_may_come_back_is_waited_for(status: int, content: bytes, said: str) -> None:
    with receiving(gives=lambda *_: (status, content)) as server:
        assert said in (why_not_yet(server.address) or "")


def test_a_server_that_is_no_station_is_refused(tmp_path: Path) -> None:
    with receiving() as server, pytest.raises(StationRefusedError, match="404"):
        why_not_yet(server.address)


def test_the_command_says_so_before_any_image_comes(
    camera: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flawtrace.station.watch.watch", lambda *_, **__: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["watch", str(camera), "--to", str(out), "--station", "http://127.0.0.1:9"])
    assert ended.value.code == 0
    assert "does not answer" in capsys.readouterr().err
    refuses = receiving(gives=lambda *_: (401, b'{"detail": "Say who you are."}'))
    with refuses as server, pytest.raises(SystemExit) as ended:
        cli.main(["watch", str(camera), "--to", str(out), "--station", server.address])
    assert ended.value.code == 1
    assert "FLAWTRACE_TOKEN" in capsys.readouterr().err


def test_a_run_sees_images_and_says_what_is_broken(run: Path, category: Path, camera: Path) -> None:
    eye = eye_of_run(run)
    file = sorted((category / "test").rglob("*.png"))[0]
    said = eye(file, file.read_bytes())
    assert said["verdict"] in ("OK", "UNSURE", "DEFECT")
    assert set(said["thresholds"]) == {"outline", "peak", "unsure", "defect"}
    (camera / "part.png").write_bytes(b"no picture")
    with pytest.raises(UnseenError, match="no image of a format"):
        eye(camera / "part.png", b"no picture")


@pytest.mark.parametrize("arguments", [[], ["--run", "run", "--station", "http://127.0.0.1:1"]])
def test_the_command_wants_one_who_looks(
    camera: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["watch", str(camera), "--to", "out", *arguments])
    assert stopped.value.code == 2
    assert "either --run" in capsys.readouterr().err


def test_without_its_packages_the_command_says_what_to_install(
    camera: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("flawtrace.station")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("flawtrace.station", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["watch", str(camera), "--to", "out", "--run", str(run)])
    assert stopped.value.code == 1
    assert "pip install 'flawtrace[serve]'" in capsys.readouterr().err


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_or_told_twice(
    run: Path, category: Path, camera: Path, out: Path
) -> None:
    command = [
        sys.executable,
        "-c",
        "from flawtrace.cli.app import main; main()",
        "watch",
        camera,
        "--to",
        out,
        "--run",
        run,
        "--rest",
        "0.1",
        "--again",
    ]
    files = 8 * sorted((category / "test").rglob("*.png"))
    for number, file in enumerate(files):
        shutil.copy(file, camera / f"{number}.png")
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(told(out)) >= 3)
    killed.kill()
    killed.wait()
    assert len(told(out)) < len(files)
    going_on = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(told(out)) >= len(files))
    going_on.send_signal(signal.SIGINT)
    _, err = going_on.communicate(timeout=SOON)
    assert going_on.returncode == 130
    assert "All verdicts are kept in" in err
    assert "Traceback" not in err
    assert sorted(told(out)) == sorted(f"{number}.png" for number in range(len(files)))
