"""Commands that explain: what is installed, how a run was made, what can be set."""

from pathlib import Path

from rich.table import Table

import flawtrace
from flawtrace.cli.console import (
    out_console,
    print_facts,
    print_json,
)
from flawtrace.cli.flags import Json, MoreSettings, parsed
from flawtrace.ground.groups import Encoder, Preset
from flawtrace.ground.presets import load_config, setting_help


def doctor(run: Path | None = None, /, *, json: Json = False) -> None:
    """Print what a bug report needs: versions, machine, and how a run was made; nothing from its images.

    **Examples**

        flawtrace doctor
        flawtrace doctor run/ --json

    Parameters
    ----------
    run
        Folder of a finished or unfinished run of `flawtrace train`.
    json
        Print one JSON document.
    """
    found = flawtrace.doctor(run)
    if json:
        print_json(found)
    else:
        print_facts(found)


def settings(
    *more: MoreSettings, preset: Preset = "light", encoder: Encoder | None = None, json: Json = False
) -> None:
    """List every setting with its value and meaning.

    **Examples**

        flawtrace settings
        flawtrace settings --preset paper --json

    Parameters
    ----------
    preset
        Preset whose values are shown.
    encoder
        What the autoencoder reconstructs.
    json
        Print one JSON document.
    """
    config = load_config(preset, settings=({"encoder": encoder} if encoder else {}) | parsed(more))
    if json:
        print_json(config.model_dump(mode="json"))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("setting", "value", "meaning"):
        table.add_column(heading)
    for name, value, meaning in setting_help(config):
        table.add_row(name, str(value), meaning)
    out_console.print(table)
