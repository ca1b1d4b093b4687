"""Workspaces for tests, in both databases."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the station needs `pip install 'flawtrace[serve]'`")

from starlette.testclient import TestClient

from flawtrace.pictures.synthetic import make_dataset
from flawtrace.station.store.shelf import add_image
from flawtrace.station.store.versions import promote, register
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.web.app import create_app
from flawtrace.station.web.guard import Rules
from flawtrace.station.work.station import Station

LOCAL = "http://127.0.0.1"
"""Whoever asks for another name is refused."""


def _postgres_programs() -> Path | None:
    """The folder of PostgreSQL's own programs, which Debian does not put on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL, started for the tests; without one they are skipped."""
    pytest.importorskip("psycopg", reason="`pip install 'flawtrace[postgres]'` lets the tests use PostgreSQL")
    programs = _postgres_programs()
    if programs is None:
        if os.environ.get("FLAWTRACE_CI"):
            pytest.fail("CI has PostgreSQL, and it is not here")
        pytest.skip("no PostgreSQL here: `apt-get install postgresql`")
    as_root = os.geteuid() == 0
    # which a shell that became root by `su` does not have on its path
    runuser = shutil.which("runuser", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if as_root and runuser is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser here")
    user = [runuser, "-u", "postgres", "--"] if as_root else []
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if as_root:
            shutil.chown(folder, "postgres", "postgres")
        data = f"{folder}/data"
        subprocess.run(
            [*user, programs / "initdb", "-D", data, "-A", "trust", "-U", "station", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        # a socket in a folder of its own, and no port: nothing to collide with when tests run side by side
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        control = [*user, programs / "pg_ctl", "-D", data, "-w", "-l", f"{folder}/log"]
        subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, cwd=folder)
        try:
            yield f"postgresql+psycopg://station@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    from sqlalchemy import create_engine, text  # noqa: PLC0415 (where it is installed)

    server = request.getfixturevalue("postgres")
    name = f"t{abs(hash(tmp_path))}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.replace("/postgres?", f"/{name}?")
    engine.dispose()


@pytest.fixture
def workspace(tmp_path: Path, url: str) -> Iterator[Workspace]:
    """An empty one, with its database in SQLite and in PostgreSQL."""
    opened = Workspace(tmp_path / "workspace", url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set."""
    folder = tmp_path_factory.mktemp("photos")
    make_dataset(folder, seed=3)
    return folder


@pytest.fixture
def image(workspace: Workspace, photos: Path) -> str:
    """The hash of an image in the workspace."""
    file = sorted(photos.rglob("*.png"))[0]
    return add_image(workspace, file.read_bytes(), "part.png")[0].hash


@pytest.fixture(scope="session")
def put_to_work(run: Path) -> Callable[[Workspace], int]:
    """Makes a copy of the tiny run the detector at work in a workspace; returns its version."""

    def put(workspace: Workspace) -> int:
        copy = workspace.run_folder(1)
        shutil.copytree(run, copy)
        version = register(workspace, copy, "tiny")
        with workspace.database.writing() as session:
            promote(session, version, "test")
        return version

    return put


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """An empty one, at work."""
    opened = Station(tmp_path / "station")
    yield opened
    opened.close()


@pytest.fixture
def client_of(station: Station) -> Callable[..., TestClient]:
    """Makes clients of the station under some rules; faults of ours are answers, as in a browser."""

    def make(rules: Rules | None = None, **headers: str) -> TestClient:
        app = create_app(station, rules)
        return TestClient(app, base_url=LOCAL, headers=headers, raise_server_exceptions=False)

    return make


@pytest.fixture(scope="session")
def inspecting(
    put_to_work: Callable[[Workspace], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A client of a station with a detector at work; tests add images, and promote nothing."""
    opened = Station(tmp_path_factory.mktemp("inspecting") / "workspace")
    put_to_work(opened.workspace)
    yield TestClient(create_app(opened), base_url=LOCAL, raise_server_exceptions=False)
    opened.close()
