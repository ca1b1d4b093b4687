"""Opening a station: what cannot work is told before anything is made."""

import io
import socket
from pathlib import Path

import pytest
from filelock import FileLock

from flawtrace.cli import app as cli
from flawtrace.ground.files import LOCK_NAME
from flawtrace.station import admitted, dismiss, serve, verify
from flawtrace.station.errors import AddressError, NoWorkspaceError, OpenElsewhereError, WeakPasswordError
from flawtrace.station.store.workspace import Workspace


def test_a_port_in_use_is_told_before_a_workspace_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(AddressError, match="--port"):
        serve(tmp_path / "station", port=other.getsockname()[1])
    assert not (tmp_path / "station").exists()


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeakPasswordError, match="token is too short"):
        serve(tmp_path / "station", port=0, token="abc")
    assert not (tmp_path / "station").exists()


def test_a_second_station_is_told_of_the_first(tmp_path: Path) -> None:
    Workspace(tmp_path / "station").close()
    with (
        FileLock(tmp_path / "station" / LOCK_NAME),
        pytest.raises(OpenElsewhereError, match="is open on"),
    ):
        Workspace(tmp_path / "station")


def test_a_history_is_verified_while_the_station_is_open(tmp_path: Path) -> None:
    opened = Workspace(tmp_path / "station")
    assert verify(tmp_path / "station") == 0
    opened.close()


def test_a_mistyped_folder_is_no_history(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspaceError):
        verify(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_folder_of_images_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", str(tmp_path / "station"), "--add", str(tmp_path / "nowhere")])
    assert ended.value.code == 1
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "station").exists()


class Terminal(io.StringIO):
    """A standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


def test_a_password_from_elsewhere_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for typed, code in (("correct horse\n", 0), ("", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            cli.main(["serve", str(tmp_path / "station"), "--add-person", "ada"])
        assert ended.value.code == code


def test_people_are_listed_and_removed_while_the_station_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("flawtrace.cli.serving.getpass", lambda _: "correct horse")

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main(["serve", str(tmp_path / "station"), *arguments])
        printed = capsys.readouterr()
        return printed.err if ended.value.code else printed.out

    run("--add-person", "erin", "--role", "engineer")
    opened = Workspace(tmp_path / "station")
    run("--add-person", "al")
    assert run("--people") == "al    inspector\nerin  engineer\n"
    assert "one of al, erin" in run("--remove-person", "Erin")
    assert "cannot enter" in run("--remove-person", "erin")
    assert run("--people") == "al  inspector\n"
    opened.close()


def test_who_asks_for_people_makes_no_workspace(tmp_path: Path) -> None:
    for ask in (admitted, lambda folder: dismiss(folder, "ada")):
        with pytest.raises(NoWorkspaceError):
            ask(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_two_passwords_must_be_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["correct horse", "correct house"])
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("flawtrace.cli.serving.getpass", lambda _: next(typed))
    with pytest.raises(SystemExit):
        cli.main(["serve", str(tmp_path / "station"), "--add-person", "ada"])
    assert "differ" in capsys.readouterr().err
