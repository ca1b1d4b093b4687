"""Opening a station to browsers and machines."""

import logging
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from flawtrace.station.errors import OpenToAllError, WeakPasswordError
from flawtrace.station.store.history import verified
from flawtrace.station.store.intake import Taken, take_folder
from flawtrace.station.store.people import add_person, anyone
from flawtrace.station.store.tables import Role
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.web.app import create_app
from flawtrace.station.web.guard import LOCAL, Rules
from flawtrace.station.work.station import Station

SHUTDOWN = 5
"""Seconds that open requests get to end."""
SHORTEST = 10
"""Characters of a password."""


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8321,
    url: str | None = None,
    token: str | None = None,
    names: Sequence[str] = (),
    add: Sequence[Path] = (),
    adding: Callable[[Taken], None] | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the station of a workspace until it is told to end; `ready` gets its address.

    `names` are further names under which the machine may be asked for; images in the folders `add` are
    added first.

    Raises:
        OpenToAllError: others could reach it, and nobody would have to say who they are.
        ForeignWorkspaceError, FolderInUseError, DatabaseError: the workspace cannot be used.
    """
    station = Station(folder, url)
    rules = Rules(hosts={*LOCAL, host, *names}, token=token, login=anyone(station.workspace.database))
    if host not in LOCAL and not rules.closed:
        station.close()
        raise OpenToAllError(host, secrets.token_urlsafe(16))
    for source in add:
        for taken in take_folder(station.workspace, source):
            if adding:
                adding(taken)
    config = uvicorn.Config(
        create_app(station, rules),
        host=host,
        port=port,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN,
    )
    _Server(config, ready).run()


def verify(folder: Path, url: str | None = None) -> int:
    """The number of lines in a workspace's history, if none of them was changed.

    Raises:
        BrokenHistoryError: one was.
    """
    workspace = Workspace(folder, url)
    try:
        with workspace.database.reading() as session:
            return verified(session)
    finally:
        workspace.close()


def admit(folder: Path, name: str, role: Role, password: str, url: str | None = None) -> None:
    """Let somebody use the station of a workspace, or give them another role or password.

    Raises:
        WeakPasswordError: the password is shorter than `SHORTEST`.
    """
    if len(password) < SHORTEST:
        raise WeakPasswordError(SHORTEST)
    workspace = Workspace(folder, url)
    try:
        add_person(workspace.database, name, role, password)
    finally:
        workspace.close()


class _Server(uvicorn.Server):
    """Says its address when it answers there."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started and self._ready:
            port = self.servers[0].sockets[0].getsockname()[1]
            self._ready(f"http://{self.config.host}:{port}/")
