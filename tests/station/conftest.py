"""Workspaces for tests, in both databases."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the station needs `pip install 'flawtrace[serve]'`")

from flawtrace.pictures.images import png
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.station.store.shelf import add_image
from flawtrace.station.store.workspace import Workspace


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
    user = ["runuser", "-u", "postgres", "--"] if as_root else []
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
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty one."""
    opened = Workspace(tmp_path / "workspace")
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


__all__ = ["png"]
