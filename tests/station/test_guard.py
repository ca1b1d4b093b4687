"""Who may ask, and what a browser may do with an answer."""

import logging
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from flawtrace.station.errors import NotAnArchiveError, OpenToAllError, TooMuchError
from flawtrace.station.serving import serve
from flawtrace.station.store import intake
from flawtrace.station.store.intake import safe_path, unpack
from flawtrace.station.store.people import add_person, remove_person
from flawtrace.station.store.tables import Role
from flawtrace.station.web import guard
from flawtrace.station.web.guard import COOKIE, HEADERS, Rules, User
from flawtrace.station.work.station import Station

OWN = "http://127.0.0.1"
TOKEN = "a-token-that-nobody-guesses"
PASSWORD = "a-password-that-nobody-guesses"
Clients = Callable[..., TestClient]


@pytest.fixture
def people(station: Station) -> Rules:
    """Rules of a station with an engineer and an inspector."""
    add_person(station.workspace.database, "erin", "engineer", PASSWORD)
    add_person(station.workspace.database, "ivan", "inspector", PASSWORD)
    return Rules(login=True)


def entered(client: TestClient, **form: str) -> TestClient:
    answer = client.post("/login", data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return client


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "[::1", ""]
)
def test_another_name_for_this_machine_is_refused(client_of: Clients, host: str) -> None:
    answer = client_of().get("/v2/health/live", headers={"Host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8321", "localhost:8321", "[::1]:8321"])
def test_this_machine_s_own_names_are_answered(client_of: Clients, host: str) -> None:
    assert client_of().get("/v2/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Origin": "http://127.0.0.1:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": OWN},
    ],
)
def test_a_page_of_another_site_changes_nothing(
    client_of: Clients, method: str, headers: dict[str, str]
) -> None:
    answer = client_of().request(method, "/images/labels", headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": OWN}, {"Sec-Fetch-Site": "same-origin", "Origin": OWN}, {"Sec-Fetch-Site": "none"}],
)
def test_its_own_pages_and_programs_may(client_of: Clients, headers: dict[str, str]) -> None:
    said = {"images": [], "kind": "normal"}
    assert client_of().post("/images/labels", json=said, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/health/live", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/v2", 405),
        ("POST", "/v1/inspect", 415),
        ("GET", "/v2/health/ready", 503),
        ("GET", "/fault", 500),
    ],
)
def test_every_answer_binds_the_browser(
    client_of: Clients, method: str, path: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of()

    @client.app.get("/fault")  # type: ignore[attr-defined,untyped-decorator]
    def fault() -> None:
        raise RuntimeError("a fault of ours")

    answer = client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "a fault of ours" not in answer.text


def test_whoever_shows_no_token_sees_nothing(client_of: Clients) -> None:
    client = client_of(Rules(token=TOKEN))
    assert client.get("/v1/images").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
    assert client.get("/v2/health/live").status_code == 200
    page = client.get("/", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (page.status_code, page.headers["Location"]) == (303, "/login?to=%2F")
    assert "No detector at work" not in client.get("/login").text


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/compare", "/compare"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
    ],
)
def test_who_has_entered_sees_the_page_that_was_asked_for(
    client_of: Clients, wanted: str, reached: str
) -> None:
    client = client_of(Rules(token=TOKEN))
    form = client.get("/login", params={"to": wanted}).text
    assert f'name="to" value="{reached}"' in form
    answer = client.post("/login", data={"password": TOKEN, "to": wanted}, follow_redirects=False)
    assert answer.headers["Location"] == reached


def test_people_are_refused_with_a_page_and_programs_with_a_line(client_of: Clients, people: Rules) -> None:
    inspector = entered(client_of(people), name="ivan", password=PASSWORD)
    for_people = inspector.post("/jobs/1/stop", headers={"Accept": "text/html"})
    assert for_people.status_code == 403
    assert "<h1>That did not work</h1>" in for_people.text
    assert "Only engineers" in for_people.text
    assert "Only engineers" in inspector.post("/jobs/1/stop").json()["detail"]
    elsewhere = inspector.get("/", headers={"Accept": "text/html", "Host": "evil.example"})
    assert elsewhere.status_code == 421
    assert "ivan" not in elsewhere.text


def test_a_program_shows_its_token_and_a_person_types_it(client_of: Clients) -> None:
    rules = Rules(token=TOKEN)
    assert client_of(rules).get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert entered(client_of(rules), password=TOKEN).get("/metrics").status_code == 200
    assert client_of(rules).post("/login", data={"password": "wrong"}).status_code == 401


def test_a_session_begins_with_a_password_and_ends_with_leaving(client_of: Clients, people: Rules) -> None:
    client = client_of(people)
    for form in ({"name": "erin", "password": "wrong"}, {"name": "nobody", "password": PASSWORD}):
        assert client.post("/login", data=form).status_code == 401
    entered(client, name="erin", password=PASSWORD)
    kept = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    assert client.get("/metrics").status_code == 200
    client.post("/logout", follow_redirects=False)
    assert client_of(people).get("/metrics", headers=kept).status_code == 401


def test_a_session_lasts_a_shift(client_of: Clients, people: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    client = entered(client_of(people), name="erin", password=PASSWORD)
    monkeypatch.setattr(guard, "A_SHIFT", -1)
    entered(ended := client_of(people), name="ivan", password=PASSWORD)
    assert client.get("/metrics").status_code == 200
    assert ended.get("/metrics").status_code == 401
    people.admit(User("erin", "engineer"))
    assert "ivan" not in {user.name for user, _ in people.sessions.values()}


def test_who_is_removed_is_out_at_the_next_request(
    client_of: Clients, people: Rules, station: Station
) -> None:
    erin = entered(client_of(people), name="erin", password=PASSWORD)
    ivan = entered(client_of(people), name="ivan", password=PASSWORD)
    remove_person(station.workspace.database, "ivan")
    assert ivan.get("/metrics").status_code == 401
    assert ivan.post("/login", data={"name": "ivan", "password": PASSWORD}).status_code == 401
    assert erin.get("/metrics").status_code == 200
    remove_person(station.workspace.database, "erin")
    assert client_of(people).get("/metrics").status_code == 401  # nobody is left, and nobody is let in


@pytest.mark.parametrize(
    ("role", "password"), [("inspector", PASSWORD), ("engineer", "another-one-that-nobody-guesses")]
)
def test_another_role_or_password_counts_at_the_next_request(
    client_of: Clients, people: Rules, station: Station, role: Role, password: str
) -> None:
    client = entered(client_of(people), name="erin", password=PASSWORD)
    assert client.post("/jobs/1/stop").status_code == 404
    add_person(station.workspace.database, "erin", role, password)
    assert client.post("/jobs/1/stop").status_code == 401
    entered(client, name="erin", password=password)
    assert client.post("/jobs/1/stop").status_code == (404 if role == "engineer" else 403)


def test_a_person_costs_one_query_a_request_and_a_token_none(
    client_of: Clients, people: Rules, station: Station
) -> None:
    asked: list[str] = []
    engine = station.workspace.database.engine
    event.listen(
        engine, "before_cursor_execute", lambda *of: asked.append(of[2]) if "users" in of[2] else None
    )
    people.token = TOKEN
    person = entered(client_of(people), name="erin", password=PASSWORD)
    asked.clear()
    assert person.get("/v2/health/live").status_code == 200
    assert len(asked) == 1 and "WHERE users.name = ?" in asked[0]
    program = client_of(people, Authorization=f"Bearer {TOKEN}")
    assert program.get("/v2/health/live").status_code == 200
    assert len(asked) == 1


def test_the_cookie_is_for_this_station_alone(client_of: Clients, people: Rules) -> None:
    form = {"name": "erin", "password": PASSWORD}
    said = client_of(people).post("/login", data=form, follow_redirects=False).headers["Set-Cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said


@pytest.mark.parametrize("cookie", ["a/b=1", "=", f"{COOKIE}=guess", f"{COOKIE}=", "\u00ff=\u00ff"])
def test_a_strange_cookie_is_nobody_s(client_of: Clients, people: Rules, cookie: str) -> None:
    answer = client_of(people).get("/metrics", headers={"Cookie": cookie.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/jobs/1/stop", "/detectors/1/promote", "/detectors/1/threshold"])
def test_only_engineers_train_promote_and_decide(client_of: Clients, people: Rules, path: str) -> None:
    inspector = entered(client_of(people), name="ivan", password=PASSWORD)
    engineer = entered(client_of(people), name="erin", password=PASSWORD)
    assert inspector.post(path).status_code == 403
    assert engineer.post(path).status_code != 403


def test_an_inspector_labels(client_of: Clients, people: Rules) -> None:
    inspector = entered(client_of(people), name="ivan", password=PASSWORD)
    assert inspector.post("/images/labels", json={"images": [], "kind": "normal"}).status_code == 200


def test_sessions_of_one_station_mean_nothing_to_another(client_of: Clients) -> None:
    secret = Rules(login=True).admit(User("erin", "engineer"))
    client = client_of(Rules(login=True))
    assert client.get("/metrics", headers={"Cookie": f"{COOKIE}={secret}"}).status_code == 401


def test_a_station_that_others_reach_wants_to_know_who_they_are(tmp_path: Path) -> None:
    with pytest.raises(OpenToAllError, match=r"0\.0\.0\.0"):
        serve(tmp_path / "workspace", host="0.0.0.0")
    assert not (tmp_path / "workspace").exists()
    Station(tmp_path / "workspace").close()
    with pytest.raises(OpenToAllError, match=r"0\.0\.0\.0"):
        serve(tmp_path / "workspace", host="0.0.0.0")
    Station(tmp_path / "workspace").close()  # it was left as it can be opened


@pytest.mark.parametrize("announced", [True, False])
def test_a_request_that_is_too_large_is_told_so(
    client_of: Clients, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    monkeypatch.setattr("flawtrace.station.web.app.MOST_BYTES", 1000)

    def pieces() -> Iterator[bytes]:
        yield from (b"x" * 400 for _ in range(3))

    content = b"x" * 1200 if announced else pieces()
    answer = client_of().post("/v1/inspect", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code == 413
    assert "too large" in answer.json()["detail"]
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_no_log_holds_a_secret(
    client_of: Clients, people: Rules, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    people.token = TOKEN
    client = client_of(people, Authorization=f"Bearer {TOKEN}")
    wrong = client.post("/login", data={"name": "erin", "password": PASSWORD + "x" * 200})
    entered(client, name="erin", password=PASSWORD)
    client.post("/v1/inspect", content=b"no picture", headers={"Content-Type": "image/png"})
    printed = capfd.readouterr()
    written = caplog.text + printed.out + printed.err
    assert wrong.status_code == 422
    for secret in (PASSWORD, TOKEN, client.cookies[COOKIE]):
        assert secret not in written
        assert secret not in wrong.text


def packed(tmp_path: Path, files: dict[str, bytes]) -> Path:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive


@pytest.mark.parametrize(
    "name",
    ["../../outside.png", "/etc/outside.png", "C:\\outside.png", "a/../../outside.png", "..\\outside.png"],
)
def test_no_archive_writes_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "deep" / "inside"
    unpack(packed(tmp_path, {name: b"content"}), inside)
    [written] = tmp_path.rglob("*.png")
    assert written.is_relative_to(inside)
    assert written.name == "outside.png"


@pytest.mark.parametrize("name", ["..", "../..", "/", "\0", "a" * 5000, "", "CON/../..//x", "\u202e.png"])
def test_what_a_client_calls_a_file_is_a_plain_path(name: str) -> None:
    path = safe_path(name)
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert path.parts


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(tmp_path, {"bomb.png": bytes(50_000_000)})
    with pytest.raises(TooMuchError, match="200 times"):
        unpack(bomb, tmp_path / "out")
    monkeypatch.setattr(intake, "MOST_FILES", 2)
    with pytest.raises(TooMuchError, match="3 files"):
        unpack(packed(tmp_path, {f"{name}.png": b"x" for name in "abc"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_larger_than_its_archive_says_is_not_unpacked(tmp_path: Path) -> None:
    archive = packed(tmp_path, {"part.png": bytes(range(256)) * 40})
    content = archive.read_bytes()
    small = (100).to_bytes(4, "little")
    central = content.index(b"PK\1\2")
    archive.write_bytes(content[: central + 24] + small + content[central + 28 :])
    with pytest.raises(NotAnArchiveError):
        unpack(archive, tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.png")) <= 100


def test_a_link_in_an_archive_is_left_out(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"PK\3\4" + b"x" * 500, b"no archive"])
def test_a_damaged_archive_is_told_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "archive.zip").write_bytes(content)
    with pytest.raises(NotAnArchiveError):
        unpack(tmp_path / "archive.zip", tmp_path / "out")


def test_an_archive_with_a_password_is_told_so(tmp_path: Path) -> None:
    archive = packed(tmp_path, {"part.png": b"content"})
    content = bytearray(archive.read_bytes())
    for start in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[start] |= 1  # the flag that says that it is encrypted
    archive.write_bytes(bytes(content))
    with pytest.raises(NotAnArchiveError, match="encrypted"):
        unpack(archive, tmp_path / "out")
