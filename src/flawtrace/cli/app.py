"""The command line: parse, call one verb, print; the exit codes are in `EPILOGUE`."""

import os
import sys
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError, MissingArgumentError

from flawtrace.cli.comparing import benchmark
from flawtrace.cli.console import adapt, err_console, help_console, print_error, print_warning
from flawtrace.cli.deciding import decide
from flawtrace.cli.errors import UnknownOptionError, UsageError
from flawtrace.cli.flags import ARGUMENTS, OTHERS, as_flag, name_of, options_of
from flawtrace.cli.helping import doctor, settings
from flawtrace.cli.labelling import labels
from flawtrace.cli.making import demo, evaluate, inspect, train
from flawtrace.cli.pairing import compare
from flawtrace.cli.products import train_all
from flawtrace.cli.refitting import refit
from flawtrace.cli.serving import serve
from flawtrace.cli.suggesting import suggest
from flawtrace.cli.tuning import tune
from flawtrace.cli.using import bench, export, predict
from flawtrace.cli.watching import watch
from flawtrace.ground.errors import FlawtraceError, SettingsError, UnknownSettingError
from flawtrace.ground.memory import keep_freed_memory
from flawtrace.ground.wording import listed

EPILOGUE = """
Exit codes: **0** success; **1** an error that the message explains; **2** a command line or a setting that
cannot be used; **3** `predict --exit-code` found an image that is not OK, or `compare` a detector that is
worse; **130** stopped by Ctrl-C; **141** the program that read the output has ended.
"""
SUCCESS, FAILED, UNUSABLE, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141

app = App(
    name="flawtrace",
    help="Outlines defects in product images after a handful of labelled examples.",
    help_epilogue=EPILOGUE,
    version_flags=["--version"],
    help_format="markdown",
    console=help_console,
    group_arguments=ARGUMENTS,
    group_parameters=OTHERS,
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)


COMMANDS = (
    inspect,
    train,
    train_all,
    tune,
    refit,
    evaluate,
    compare,
    suggest,
    decide,
    predict,
    watch,
    export,
    bench,
    benchmark,
    serve,
    doctor,
    demo,
    settings,
)
for command in COMMANDS:
    app.command(command, help_epilogue="")
app.command(labels)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: errors that the user can fix give one message instead of a traceback."""
    warnings.showwarning = lambda message, *_, **__: print_warning(str(message))
    adapt()
    keep_freed_memory()
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
        code = UNREAD
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    try:
        return app(arguments) or SUCCESS
    except MissingArgumentError as error:
        print_error(f"{error}\n{_example(error)}")
        return UNUSABLE
    except UnknownOptionError as error:
        print_error(f"{error}\n{_meant(error)}")
        return UNUSABLE
    except (CycloptsError, UsageError, SettingsError, UnknownSettingError) as error:
        print_error(str(error))
        return UNUSABLE
    except FlawtraceError as error:
        print_error(str(error))
        return FAILED
    except KeyboardInterrupt as stop:
        err_console.print(f"\nStopped. {stop}", markup=False)
        return INTERRUPTED


def _meant(error: UnknownOptionError) -> str:
    """The command that has the very option, or else the nearest option of the command that was called."""
    having = [name_of(command) for command in COMMANDS if error.option in map(as_flag, options_of(command))]
    if having:
        commands = listed((f"`flawtrace {name}`" for name in having), limit=3)
        return f"{commands} {'has' if len(having) == 1 else 'have'} such an option."
    if error.near:
        return f"Did you mean {error.near}?"
    return f"`flawtrace {error.command} --help` and `flawtrace settings` list them all."


def _example(error: MissingArgumentError) -> str:
    """From a command's help, the first that shows what is missing, or the first of all."""
    lines = (error.target.__doc__ or "").partition("**Examples**")[2].partition("Parameters")[0].split("\n")
    examples = [line.strip() for line in lines if line.strip()]
    missing = error.argument.names if error.argument else ()
    fitting = [line for line in examples if any(f" {name} " in line for name in missing)]
    return f"For example: {[*fitting, *examples][0]}"
