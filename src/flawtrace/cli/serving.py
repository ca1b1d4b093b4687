"""The command that opens the inspection station."""

import sys
from collections import Counter
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from flawtrace.cli.checks import TOKEN, check_folder, imported, secret_of
from flawtrace.cli.console import print_plain, print_trouble
from flawtrace.cli.errors import PasswordsDifferError
from flawtrace.cli.flags import Flag
from flawtrace.cli.stopping import stoppable
from flawtrace.ground.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawtrace.station import Person, Taken

Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65535))]


def serve(
    workspace: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: Port = 8321,
    name: tuple[str, ...] = (),
    database: str | None = None,
    add: tuple[Path, ...] = (),
    add_person: str | None = None,
    role: Literal["inspector", "engineer"] = "inspector",
    remove_person: str | None = None,
    people: Flag = False,
    webhook: str | None = None,
    verify: Flag = False,
) -> None:
    """Open the inspection station: a web page to look at images, label, retrain and decide.

    Only this machine can reach it, unless --host says otherwise; then people and programs have to say who
    they are, with a password (--add-person) or with the token in the environment variable FLAWTRACE_TOKEN.

    With --webhook, every line of the history is sent to that address, in order, and again until it is
    received: signed in the header X-Flawtrace-Signature with the secret in FLAWTRACE_WEBHOOK_SECRET, and told
    from repetitions by the header Idempotency-Key. It begins with what is new.

    **Examples**

        flawtrace serve station/
        flawtrace serve station/ --add parts/
        flawtrace serve station/ --verify
        FLAWTRACE_TOKEN=... flawtrace serve station/ --host 0.0.0.0 --name line-3.plant.example
        FLAWTRACE_WEBHOOK_SECRET=... flawtrace serve station/ --webhook https://mes.example/verdicts

    Parameters
    ----------
    workspace
        Folder of the station: a new or empty one, or one that it has used before.
    host
        Address on which it answers.
    port
        Port on which it answers; 0 takes any that is free.
    name
        A further name under which browsers may ask for it; can be repeated.
    database
        Address of the database, such as postgresql+psycopg://user@host/name. [default: a file in WORKSPACE]
    add
        Add the images in this folder first, with the labels that its folders and masks tell; can be repeated.
    add_person
        Let this person use the station, or change their role or password, and end. Asks for the password.
        A station that is open follows at once.
    role
        Of --add-person: an inspector looks, overrules and labels; an engineer trains and promotes, too.
    remove_person
        Let this person use the station no longer, also while it is open, and end.
    people
        List who may use the station, and end.
    webhook
        Address to which every verdict is sent, and whatever people put in the place of one.
    verify
        Check that nobody has changed the history of verdicts, and end.
    """
    check_folder(*add)
    station = imported("flawtrace.station", "serve")
    if verify:
        print_plain(f"{station.verify(workspace, database)} lines of history, none of them changed.")
    elif people:
        _print_people(station.admitted(workspace, database))
    elif remove_person is not None:
        station.dismiss(workspace, remove_person, database)
        print_plain(f"{remove_person} cannot enter any more.")
    elif add_person is not None:
        password = _password(add_person)
        station.admit(workspace, add_person, role, password, database)
        print_plain(f"{add_person} can enter as {role}.")
    else:
        told, receiver = _Told(), None
        if webhook is not None:
            receiver = station.Receiver(webhook, secret_of(station.SECRET) or "")
        with stoppable(lambda: "The station is closed; what it keeps is in its workspace."):
            station.serve(
                workspace,
                host=host,
                port=port,
                url=database,
                token=secret_of(TOKEN),
                names=name,
                add=add,
                adding=told.add,
                receiver=receiver,
                trouble=print_trouble,
                ready=told.opened,
            )


def _print_people(people: "Sequence[Person]") -> None:
    if not people:
        print_plain("Nobody has a password; --add-person lets somebody in.")
        return
    width = max(len(person.name) for person in people)
    for person in people:
        print_plain(f"{person.name:<{width}}  {person.role}")


def _password(name: str) -> str:
    """Asked for twice in a terminal; from elsewhere, the first line that comes."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass(f"Password of {name}: ")
    if getpass("The same again: ") != password:
        raise PasswordsDifferError
    return password


class _Told:
    """What is said while images are added, and when the station is open."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, taken: "Taken") -> None:
        self._counts[taken.state] += 1
        if taken.state == "refused":
            print_plain(f"{taken.name} was not added: {taken.message}")

    def opened(self, address: str) -> None:
        if self._counts:
            counts = self._counts
            print_plain(
                f"{counted(counts['added'], 'image')} added; already there: {counts['known']}; "
                f"refused: {counts['refused']}."
            )
        print_plain(f"The station is open: {address}\nCtrl-C closes it.")
