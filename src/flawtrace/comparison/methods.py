"""What a benchmark compares: settings of ours, or any other program that turns a split into anomaly maps."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationError, model_validator

from flawtrace.comparison.errors import UnknownMethodError
from flawtrace.ground.config import Config
from flawtrace.ground.errors import SettingsError
from flawtrace.ground.groups import Preset, Settings
from flawtrace.ground.presets import load_config, nearest

PLACES = ("python", "here", "peers", "split", "root", "maps", "cache")
"""What a command may name in braces, and the bench fills in."""

SHARED = "shared"
"""The table of a methods file whose settings all of its methods have, unless they say otherwise."""


def _left_to_trials(settings: dict[str, Any]) -> dict[str, Any]:
    """What a trial decides, a method would set in vain, and its rows would tell of it."""
    if "seed" in settings:
        raise ValueError("seed is that of each trial (--seeds), so a method cannot set it; leave it out")
    if settings.get("labels", 0) != 0:
        raise ValueError(
            f"labels = {settings['labels']!r} would count for nothing, because the protocol decides how many "
            "labels a trial has (--protocol, --labels); leave it out, or set it to 0 for a method that is to "
            "do without any"
        )
    return settings


MethodSettings = Annotated[dict[str, Any], AfterValidator(_left_to_trials)]
"""What a method changes in its preset, as dotted names."""


class Shared(Settings):
    """What the methods of a file have in common."""

    preset: Preset = "light"
    settings: MethodSettings = {}  # noqa: RUF012 (pydantic copies it)


class Method(Settings):
    """One line of the comparison."""

    name: str
    preset: Preset = "light"
    settings: MethodSettings = {}  # noqa: RUF012 (pydantic copies it)
    """Neither a seed nor labels, which are a trial's; but 0 labels: it is to do without them."""
    command: tuple[str, ...] = ()
    """Another program; it writes the maps of the test images. Empty for flawtrace itself."""
    here: Path = Path()
    """Folder of the file that names the method."""

    @model_validator(mode="after")
    def is_one_or_the_other(self) -> "Method":
        if self.command and self.settings:
            raise ValueError("a method has either settings of flawtrace or a command, not both")
        return self

    def config(self, seed: int, labels: int | None) -> Config:
        """The settings of flawtrace for one trial."""
        trial = {"seed": seed} | ({"labels": labels} if labels else {})
        kept = {"labels": 0} if self.settings.get("labels") == 0 else {}  # it is to do without them
        return load_config(self.preset, settings=self.settings | trial | kept)

    def filled(self, places: Mapping[str, Path]) -> list[str]:
        """The command, with a path in place of each name in braces."""
        return [part.format_map(places) for part in self.command]

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two methods the same: a finished cell counts for this and nothing else."""
        if self.command:
            return {"command": list(self.command)}
        return {"preset": self.preset, **self.settings}


DEFAULT = (Method(name="flawtrace"), Method(name="pixels", settings={"encoder": "pixels"}))


def read_methods(file: Path) -> tuple[Method, ...]:
    """The methods of a TOML file, one table each, in its order; `shared` is what they have in common.

        [shared]
        settings = { "cycles" = 1 }

        [uniform]
        settings = { "sampler.kind" = "uniform" }

        [padim]
        command = ["{peers}/bin/python", "{here}/run.py", "padim", "{split}", "{root}", "{maps}"]

    Raises:
        SettingsError: the file cannot be read, or a method cannot work.
        UnknownSettingError: a setting that flawtrace does not have.
    """
    try:
        tables = tomllib.loads(file.read_text())
        shared = Shared(**tables.pop(SHARED, {}))
        methods = tuple(_method(name, file.parent, table, shared) for name, table in tables.items())
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(str(file), name, first["msg"].removeprefix("Value error, ")) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise SettingsError(str(file), "", f"it cannot be read as a file of methods: {error}") from error
    for method in methods:
        _refuse_unknown_names(file, method)
    return methods


def _method(name: str, here: Path, table: dict[str, Any], shared: Shared) -> Method:
    """Another program has no settings to share."""
    method = Method(name=name, here=here, **({"preset": shared.preset} | table))
    if method.command:
        return method
    return method.model_copy(update={"settings": shared.settings | method.settings})


def chosen(methods: tuple[Method, ...], names: tuple[str, ...]) -> tuple[Method, ...]:
    """Those of the given names, all if none is given.

    Raises:
        UnknownMethodError: no method has a name; the message names the nearest.
    """
    by_name = {method.name: method for method in methods}
    for name in names:
        if name not in by_name:
            raise UnknownMethodError(name, nearest(name, list(by_name)), tuple(by_name))
    return tuple(by_name[name] for name in names) if names else methods


def _refuse_unknown_names(file: Path, method: Method) -> None:
    if not method.command:
        method.config(seed=0, labels=None)
        return
    try:
        method.filled({name: Path(name) for name in PLACES})
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(f"{{{name}}}" for name in PLACES)
        raise SettingsError(
            str(file), method.name, f"its command may name only {known}, not {error}"
        ) from error
