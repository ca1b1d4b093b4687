"""The command line: parse, call one verb, print.

Exit codes: 0 success, 1 an error that the message explains, 2 the command line was not understood,
3 `predict --exit-code` found an image that is not OK, or `compare` a detector that is worse, 130 stopped by
Ctrl-C.
"""

import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from cyclopts import App

from flawtrace.cli.comparing import benchmark
from flawtrace.cli.console import (
    err_console,
)
from flawtrace.cli.deciding import decide
from flawtrace.cli.helping import doctor, settings
from flawtrace.cli.labelling import labels
from flawtrace.cli.making import demo, evaluate, inspect, train
from flawtrace.cli.pairing import compare
from flawtrace.cli.refitting import refit
from flawtrace.cli.suggesting import suggest
from flawtrace.cli.using import bench, export, predict
from flawtrace.ground.errors import FlawtraceError, UnknownSettingError

app = App(
    name="flawtrace",
    help="Outlines defects in product images after a handful of labelled examples.",
    version_flags=["--version"],
    help_format="markdown",
    result_action="return_value",
    exit_on_error=True,
)


for command in (
    inspect,
    train,
    refit,
    evaluate,
    compare,
    suggest,
    decide,
    predict,
    export,
    bench,
    benchmark,
    doctor,
    demo,
    settings,
):
    app.command(command)
app.command(labels)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: errors that the user can fix give one message instead of a traceback."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name can hold what a console cannot show
    try:
        sys.exit(app(sys.argv[1:] if arguments is None else arguments) or 0)
    except FlawtraceError as error:
        err_console.print("[bold red]error:[/]", end=" ")
        err_console.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, UnknownSettingError) else 1)
    except KeyboardInterrupt:
        err_console.print(
            "\nStopped. To continue training, add `--resume` (a checkpoint is written every 20 s; before the "
            "first, training begins anew); to continue a prediction or a benchmark, run the same command."
        )
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


def _show_warning(message: Warning | str, *_: Any) -> None:
    err_console.print("[yellow]warning:[/]", end=" ")
    err_console.print(str(message), markup=False, soft_wrap=True)
