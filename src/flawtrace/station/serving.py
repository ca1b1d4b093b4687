"""Opening a station to browsers and machines."""

import logging
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn

from flawtrace.station.delivery.history import History
from flawtrace.station.delivery.receiver import Receiver
from flawtrace.station.delivery.webhook import Webhook
from flawtrace.station.errors import AddressError, NoWorkspaceError, OpenToAllError, WeakPasswordError
from flawtrace.station.store.database import Database, file_url
from flawtrace.station.store.history import verified
from flawtrace.station.store.intake import Taken, take_folder
from flawtrace.station.store.people import Person, add_person, people, remove_person
from flawtrace.station.store.tables import Role
from flawtrace.station.store.workspace import DATABASE_NAME, Workspace, is_workspace
from flawtrace.station.web.app import create_app
from flawtrace.station.web.guard import LOCAL, Rules
from flawtrace.station.work.station import Station

SHUTDOWN = 5
"""Seconds that open requests get to end."""
SHORTEST = 10
"""Characters of a password."""
SHORTEST_TOKEN = 16
ANY = ("0.0.0.0", "::")
"""Hosts that stand for every address of the machine."""


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
    receiver: Receiver | None = None,
    trouble: Callable[[str], None] | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the station of a workspace until it is told to end; `ready` gets its address.

    `names` are further names under which the machine may be asked for; images in the folders `add` are
    added first. `receiver` is sent every line of the history, and `trouble` is told when it takes none.

    Raises:
        AddressError: it cannot answer there.
        OpenToAllError, WeakPasswordError: others could reach it, and nobody, or anybody who guesses, would be
            let in.
        ForeignWorkspaceError, OpenElsewhereError, DatabaseError: the workspace cannot be used.
    """
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise WeakPasswordError(SHORTEST_TOKEN, "token")
    login = is_workspace(folder) and bool(admitted(folder, url))
    rules = Rules(hosts={*LOCAL, host, *names}, token=token, login=login)
    if host not in LOCAL and not rules.closed:  # before anything is made or opened
        raise OpenToAllError(host, secrets.token_urlsafe(16))
    with _listening(host, port) as listening:
        station = Station(folder, url)
        for source in add:
            for taken in take_folder(station.workspace, source):
                if adding:
                    adding(taken)
        config = uvicorn.Config(
            create_app(station, rules),
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN,
        )
        leaving = ExitStack()
        if receiver is not None:
            webhook = Webhook(receiver, History(station.workspace.database), trouble)
            station.told_seconds.append(lambda _: webhook.look())
            leaving.enter_context(webhook)
        leaving.callback(station.inspector.close)
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each browser that has gone away
        shown = names[0] if names else "127.0.0.1" if host in ANY else host
        address = f"http://{shown}:{listening.getsockname()[1]}/"
        with leaving:
            _Server(config, leaving.close, lambda: ready(address) if ready else None).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """Before anything is made or opened: a socket at the address."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise AddressError(host, port, error.strerror or str(error)) from error


def verify(folder: Path, url: str | None = None) -> int:
    """The number of lines in a workspace's history, if none of them was changed; the station may be open.

    Raises:
        BrokenHistoryError: one was.
        NoWorkspaceError: the folder is none.
    """
    with _database(folder, url) as database, database.reading() as session:
        return verified(session)


def admit(folder: Path, name: str, role: Role, password: str, url: str | None = None) -> None:
    """Let somebody use the station of a workspace, which is made where there is none, or give them another
    role or password; the station may be open.

    Raises:
        WeakPasswordError: the password is shorter than `SHORTEST`.
        ForeignWorkspaceError, DatabaseError: the workspace cannot be used.
    """
    if len(password) < SHORTEST:
        raise WeakPasswordError(SHORTEST)
    if not is_workspace(folder):
        Workspace(folder, url).close()
    with _database(folder, url) as database:
        add_person(database, name, role, password)


def dismiss(folder: Path, name: str, url: str | None = None) -> None:
    """Let somebody use the station of a workspace no longer; it may be open.

    Raises:
        NoPersonError: there is nobody of this name.
        NoWorkspaceError: the folder is none.
    """
    with _database(folder, url) as database:
        remove_person(database, name)


def admitted(folder: Path, url: str | None = None) -> list[Person]:
    """Everybody who may use the station of a workspace, by name; it may be open.

    Raises:
        NoWorkspaceError: the folder is none.
    """
    with _database(folder, url) as database:
        return people(database)


@contextmanager
def _database(folder: Path, url: str | None) -> Iterator[Database]:
    """That of a workspace, whose station may be open meanwhile.

    Raises:
        NoWorkspaceError: the folder is none.
    """
    if not is_workspace(folder):
        raise NoWorkspaceError(folder)
    database = Database(url or file_url(folder / DATABASE_NAME))
    try:
        yield database
    finally:
        database.close()


class _Server(uvicorn.Server):
    """Says when it answers, and when it leaves: before it waits for its requests to end."""

    def __init__(
        self, config: uvicorn.Config, leaving: Callable[[], None], ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._leaving, self._ready = leaving, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving()  # what is computed for a page, so that it is not waited for
        await super().shutdown(sockets)
