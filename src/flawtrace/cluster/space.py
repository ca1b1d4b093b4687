"""What a search chooses among: a value from a list, or a number from a range."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from flawtrace.ground.errors import SettingsError, UnknownSettingError
from flawtrace.ground.groups import Settings
from flawtrace.ground.presets import load_config, nearest, setting_names

DEFAULT: dict[str, Any] = {
    "copies": [3, 6, 12],
    "predictor.lr": {"low": 3e-4, "high": 1e-2, "log": True},
    "predictor.steps": [500, 1000, 2000],
    "predictor.pasted": [50, 100, 200],
}
"""Settings of the last fit, whose best values depend on the product."""
FIXED = ("seed", "labels", "region")
"""Not to be searched: with other labels, scores could not be compared."""


class Range(Settings):
    """Numbers from `low` to `high`; whole ones, if both are."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether ratios count, and not differences."""

    def domain(self) -> Any:
        """As Ray Tune draws from it."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            draw = tune.lograndint if self.log else tune.randint
            return draw(self.low, self.high + 1)
        return (tune.loguniform if self.log else tune.uniform)(self.low, self.high)


def read_space(file: Path) -> dict[str, Any]:
    """By dotted name, a list of values or a table with `low` and `high`, from a TOML file.

        copies = [2, 6]
        predictor.lr = { low = 0.0003, high = 0.01, log = true }

    Raises:
        SettingsError: the file cannot be read, or has something else.
    """
    try:
        found = dict(_flat(tomllib.loads(file.read_text())))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(str(file), "", f"it cannot be read as a search space: {error}") from error
    if not found:
        raise SettingsError(str(file), "", "it names no setting to search")
    return found


def domains(space: Mapping[str, Any], preset: str, base: Mapping[str, Any]) -> dict[str, Any]:
    """What Ray Tune draws from, after every value and both ends of every range were tried as settings.

    Raises:
        UnknownSettingError: no setting has this name.
        SettingsError: a value cannot work, or the setting is not to be searched.
    """
    found: dict[str, Any] = {}
    for name, given in space.items():
        if name not in setting_names():
            raise UnknownSettingError(name, nearest(name, setting_names()))
        if name in FIXED:
            raise SettingsError("the search space", name, "scores with other values could not be compared")
        values, found[name] = _read(name, given)
        for value in values:
            load_config(preset, settings={**base, name: value})
    return found


def _read(name: str, given: Any) -> tuple[list[Any], Any]:
    if isinstance(given, list) and given:
        return given, tune.choice(given)
    if isinstance(given, dict) and {"low", "high"} <= given.keys() <= {"low", "high", "log"}:
        asked = Range(**given)
        if asked.low < asked.high and (asked.low > 0 or not asked.log):
            return [asked.low, asked.high], asked.domain()
    raise SettingsError(
        "the search space",
        name,
        f"{given!r} is neither a list of values nor a range {{ low = …, high = …, log = … }} with low below "
        "high, and above 0 for log",
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and "low" not in value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
