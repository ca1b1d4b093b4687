"""The presets, and settings from them, a TOML file and flags; an unknown name is an error."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from flawtrace.ground.config import Config
from flawtrace.ground.errors import SettingsError, UnknownSettingError
from flawtrace.ground.groups import Preset, Settings

LIGHT_PIXELS: dict[str, Any] = {
    "orientations": 1,
    "cell": 2,
    "autoencoder": {"width": 32, "bottleneck": 16, "stages": 3},
}
"""What `light` changes when the autoencoder reconstructs pixels."""

SCRIPT: dict[str, Any] = {
    "preset": "script",
    "encoder": "pixels",
    "orientations": 1,
    "cell": 1,
    "score": "maximum",
    "cycles": 100,
    "updates": 20,
    "last_updates": 20,
    "variation": {
        "ways": (0, 2, 4, 6),
        "angle": 30.0,
        "shift": 0.1,
        "scale": 0.0,
        "shear": 20.0,
        "light": 0.0,
        "border": "black",
        "other_days": 0.0,
    },
    "sampler": {"kind": "random-walk", "walkers": 32, "patch_side": 64, "crop_side": 128, "stride": 24},
    "policy": {"widths": (16, 32, 32, 64, 64), "hidden": 256, "batch_norm": True, "learns_from": 15},
    "reward": {"standardized_texture": False, "prediction_as": "value"},
    "autoencoder": {"kind": "published", "bottleneck": 200},
    "profile": {"length": 10, "spacing": "consecutive", "by_scale": False, "tracked": 80},
    "predictor": {
        "kind": "published",
        "lr": 1e-3,
        "one_cycle": False,
        "weight_decay": 0.0,
        "turns": False,
        "batch": 80,
        "steps": 300,
        "crop_side": 256,
        "dice_weight": 0.0,
        "normal_decay": 9000,
        "normal_images": 0,
        "pasted": 0,
        "folds": 5,
        "members": 1,
    },
}
"""What the first author's script of arXiv 2511.20270 does, whose policy never learns."""

PAPER: dict[str, Any] = {
    **SCRIPT,
    "preset": "paper",
    "sampler": {**SCRIPT["sampler"], "kind": "learned"},
    "policy": {**SCRIPT["policy"], "learns_from": 0},
    "autoencoder": {**SCRIPT["autoencoder"], "statistics": "own"},
    "profile": {**SCRIPT["profile"], "tracked": 20},
    "predictor": {
        **SCRIPT["predictor"],
        "log_floor": 1e-3,
        "lr": 1e-2,
        "one_cycle": True,
        "batch": 8,
        "steps": 400,
        "crop_side": 128,
        "normal_images": 100,
        "normal_decay": None,
    },
}
"""The published networks, reward and cycles, with a policy and a predictor that learn (docs/results.md)."""

PUBLISHED: dict[str, dict[str, Any]] = {"paper": PAPER, "script": SCRIPT}

BEFORE_VARIATION: dict[str, Any] = {**SCRIPT["variation"], "ways": tuple(range(8))}
"""What every training did before it measured what normal images vary in."""


def load_config(
    preset: str = "light", file: Path | None = None, settings: Mapping[str, Any] | None = None
) -> Config:
    """The preset, changed by a TOML file, changed by `settings` with dotted names; these may name the preset.

    >>> load_config("light", settings={"sampler.stride": 16}).sampler.stride
    16

    Raises:
        UnknownSettingError: a name that no setting has; the message names the nearest.
        SettingsError: a value that cannot work, another preset, or an unreadable file; the message says where
            it was set.
    """
    if preset not in get_args(Preset):
        raise UnknownSettingError(preset, nearest(preset, get_args(Preset)), "preset")
    changes: dict[str, Any] = {}
    given = {str(file): _read_toml(file) if file else {}, "the settings": settings or {}}
    sources: dict[str, str] = {}
    for source, tree in given.items():
        for name, value in _flatten(tree):
            if name not in setting_names():
                raise UnknownSettingError(name, nearest(name, setting_names()))
            changes[name], sources[name] = value, source
    named = changes.get("preset", preset)
    if preset not in (named, "light"):
        raise SettingsError(sources["preset"], "preset", f"it is {named} there, and {preset} was asked for")
    base = preset_values(named, changes.get("encoder"))
    try:
        return parse_config(_nest(base | changes), where="the settings")
    except SettingsError as error:
        where = sources.get(error.name) or " and ".join(dict.fromkeys(sources.values()))
        raise SettingsError(where or "the settings", error.name, error.reason) from error


def preset_values(preset: str, encoder: str | None) -> dict[str, Any]:
    """What a preset changes in the defaults of the settings, by dotted name."""
    if preset in PUBLISHED:
        return dict(_flatten(PUBLISHED[preset]))
    return dict(_flatten(LIGHT_PIXELS)) if encoder == "pixels" else {}


def parse_config(tree: Mapping[str, Any], where: str) -> Config:
    """Settings from a nested mapping, such as the header of a detector file."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(where, name, first["msg"].removeprefix("Value error, ")) from error


def stored_config(tree: Any, where: str) -> Config:
    """The settings that a run or a detector keeps, read from a file, which may hold anything.

    What a file from before there was a choice does not say is what was done then.
    """
    before = {"orientations": 1, "variation": BEFORE_VARIATION, "score": "maximum"}
    return parse_config({**before, **tree} if isinstance(tree, dict) else tree, where)


def nearest(name: str, names: "tuple[str, ...] | list[str]") -> str | None:
    """The name that someone who typed `name` probably meant.

    >>> nearest("sampler.strid", ("sampler.stride", "seed"))
    'sampler.stride'
    """
    by_leaf = {known.rpartition(".")[2]: known for known in names}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    leaf = difflib.get_close_matches(name.rpartition(".")[2], list(by_leaf), n=1, cutoff=0.7)
    return close[0] if close else by_leaf[leaf[0]] if leaf else None


def setting_names(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Every setting's dotted name, in the order of the documentation."""
    names = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += setting_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def differences(before: Config, now: Config) -> dict[str, tuple[Any, Any]]:
    """The settings that are not the same, each with both values.

    >>> differences(load_config(), load_config(settings={"seed": 7}))
    {'seed': (42, 7)}
    """
    both = {name: (attrgetter(name)(before), attrgetter(name)(now)) for name in setting_names()}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def setting_help(settings: Settings, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Each setting's dotted name, value and meaning."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from setting_help(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value, field.description or ""


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = value
    return tree


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(str(file), "", f"it cannot be read as TOML: {error}") from error
