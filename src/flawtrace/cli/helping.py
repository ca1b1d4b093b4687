"""Commands that explain: what is installed, how a run was made, what can be set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

import flawtrace
from flawtrace.cli.console import (
    out_console,
    print_facts,
    print_json,
)
from flawtrace.cli.flags import Json, parsed
from flawtrace.ground.config import Config
from flawtrace.ground.errors import UnknownSettingError
from flawtrace.ground.groups import Encoder, Preset
from flawtrace.ground.presets import load_config, nearest, setting_help, setting_names


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
    *names: Annotated[str, Parameter(allow_leading_hyphen=True)],
    preset: Preset = "light",
    encoder: Encoder | None = None,
    json: Json = False,
) -> None:
    """List settings with their values and meanings: all of them, or those with the given names.

    **Examples**

        flawtrace settings
        flawtrace settings sampler.stride
        flawtrace settings sampler --preset paper
        flawtrace settings --preset paper --json

    Parameters
    ----------
    names
        Settings, such as sampler.stride, or groups of settings, such as sampler. [default: all]
    preset
        Preset whose values are shown.
    encoder
        What the autoencoder reconstructs.
    json
        Print one JSON document.
    """
    asked, more = _apart(names)
    config = load_config(preset, settings=({"encoder": encoder} if encoder else {}) | parsed(more, settings))
    if json:
        print_json(_chosen(config, asked) if asked else config.model_dump(mode="json"))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("setting", "value", "meaning"):
        table.add_column(heading)
    for name, value, meaning in setting_help(config):
        if not asked or name in asked:
            table.add_row(name, str(value), " ".join(meaning.split()))
    out_console.print(table, soft_wrap=False)


def _apart(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Settings that are asked about, and the rest: settings with values."""
    known = setting_names()
    asked: list[str] = []
    rest = list(words)
    while rest and not rest[0].startswith("--"):
        name = rest.pop(0).replace("-", "_")
        found = [other for other in known if other == name or other.startswith(f"{name}.")]
        if not found:
            raise UnknownSettingError(name, nearest(name, known))
        asked += found
    return asked, tuple(rest)


def _chosen(config: Config, names: Sequence[str]) -> dict[str, Any]:
    """Values by dotted name."""
    return {name: value for name, value, _ in setting_help(config) if name in names}
