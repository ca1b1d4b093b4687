"""The command that looks at every image that appears in a folder."""

import json as jsonlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape

from flawtrace.cli.checks import TOKEN, check_folder, check_run, imported, secret_of
from flawtrace.cli.console import err_console, out_console, print_trouble
from flawtrace.cli.errors import WhichDetectorError
from flawtrace.cli.flags import Device, Flag, Json, Recursive
from flawtrace.cli.stopping import stoppable
from flawtrace.ground.groups import RuntimeChoice
from flawtrace.ground.wording import counted, in_a_line

Seconds = Annotated[float, Parameter(validator=Number(gte=0.1))]


def watch(
    folder: Path,
    /,
    *,
    to: Annotated[Path, Parameter(name=["--to", "-o"])],
    run: Path | None = None,
    station: str | None = None,
    recursive: Recursive = False,
    again: Flag = False,
    rest: Seconds = 1.0,
    scan_every: Seconds = 30.0,
    webhook: str | None = None,
    device: Device = "cpu",
    runtime: RuntimeChoice = "auto",
    json: Json = False,
) -> None:
    """Look at every image that is or appears in a folder, until Ctrl-C.

    Each image adds one line to verdicts.jsonl in the folder --to, as soon as it is written completely. After
    a restart, images that are unchanged are not looked at again. A file that is no image has the verdict
    ERROR. Needs the extra `serve` (pip install 'flawtrace[serve]').

    With --webhook, every line is sent to that address as well, in order, and again until it is received:
    signed in the header X-Flawtrace-Signature with the secret in FLAWTRACE_WEBHOOK_SECRET, and told from
    repetitions by the header Idempotency-Key.

    **Examples**

        flawtrace watch camera/ --to verdicts/ --run run/
        flawtrace watch camera/ --to verdicts/ --station http://127.0.0.1:8321
        flawtrace watch camera/ --to verdicts/ --run run/ --webhook https://mes.example/verdicts

    Parameters
    ----------
    folder
        Folder into which images are written.
    to
        Folder for verdicts.jsonl: a new one, or one of an earlier `watch`, but not the one that is watched.
    run
        Folder that `flawtrace train` wrote, a detector file, or an exported detector (.onnx).
    station
        Address of a station that looks at the images instead; its token is read from FLAWTRACE_TOKEN. While
        it is away, or has no detector, images wait.
    recursive
        Look into sub-folders too.
    again
        Tell of an image even if one with the same content was told of before.
    rest
        Seconds for which nothing about a file may change before it is looked at.
    scan_every
        Seconds between two looks at the whole folder, for network drives, which do not tell of changes.
    webhook
        Address to which every line is sent.
    device
        Device to compute on.
    runtime
        What runs the detector, as in `predict`.
    json
        Print one JSON document per image, one per line.
    """
    check_folder(folder)
    if (run is None) == (station is None):
        raise WhichDetectorError
    if run is not None:
        check_run(run)
    watching = imported("flawtrace.station.watch", "serve")
    sent = None
    if webhook is not None:
        receiver = watching.Receiver(webhook, secret_of(watching.SECRET) or "")
        sent = watching.Webhook(receiver, watching.Undelivered(to), print_trouble)
    if run is not None:
        eye = watching.eye_of_run(run, device=device, runtime=runtime)
    else:
        token = secret_of(TOKEN)
        eye = watching.eye_of_station(station, token)
        if trouble := watching.why_not_yet(station, token):
            print_trouble(f"{trouble}\nImages wait until it looks at them.")
    with stoppable(lambda: _kept(to, sent)):
        watching.watch(
            folder, to, eye, recursive=recursive, again=again, rest=rest, scan_every=scan_every, webhook=sent,
            progress=_print_json_row if json else _print_row, trouble=print_trouble,
        )  # fmt: skip


def _kept(folder: Path, webhook: Any) -> str:
    """What a stopped `watch` leaves behind, and how it goes on."""
    waiting = webhook.undelivered if webhook is not None else 0
    undelivered = f" {counted(waiting, 'verdict waits', 'verdicts wait')} to be delivered." if waiting else ""
    return f"All verdicts are kept in {folder}.{undelivered} Run the same command again to continue."


def _print_json_row(row: Mapping[str, Any]) -> None:
    out_console.print(jsonlib.dumps(row), markup=False)


def _print_row(row: Mapping[str, Any]) -> None:
    name = escape(in_a_line(row["image"]))
    if row["verdict"] == "ERROR":
        err_console.print(f"[red]ERROR [/]         {name}: {escape(row['error'])}")
        return
    style = {"DEFECT": "bold red", "UNSURE": "bold yellow"}.get(row["verdict"], "green")
    doubt = f"  [yellow]{escape(row['doubt'])}[/]" if row["doubt"] else ""
    regions = f"  {counted(len(row['regions']), 'region')}" if row["regions"] else ""
    out_console.print(f"[{style}]{row['verdict']:<6}[/] {row['score']:.4f}  {name}{regions}{doubt}")
