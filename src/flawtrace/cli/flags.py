"""What commands have in common: kinds of flags, settings as flags, lists of numbers."""

import json as jsonlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from flawtrace.cli.errors import FlagError, MissingValueError
from flawtrace.ground.errors import UnknownSettingError
from flawtrace.ground.groups import LARGEST_SEED
from flawtrace.ground.presets import nearest, setting_names

if TYPE_CHECKING:
    from flawtrace.data import Named

Out = Annotated[Path, Parameter(name=["--out", "-o"])]


Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]


Count = Annotated[int, Parameter(validator=Number(gte=1))]


Amount = Annotated[int, Parameter(validator=Number(gte=0))]


Seed = Annotated[int, Parameter(validator=Number(gte=0, lte=LARGEST_SEED))]


Threads = Annotated[int, Parameter(validator=Number(gte=1, lte=1024))]


Share = Annotated[float, Parameter(validator=Number(gte=0, lte=1))]


Recursive = Annotated[bool, Parameter(name=["--recursive", "-r"], negative="", show_default=False)]


Flag = Annotated[bool, Parameter(negative="", show_default=False)]


ARGUMENTS = Group("Arguments", sort_key=0)
MAIN = Group("Main parameters", sort_key=1)
OTHERS = Group("Parameters", sort_key=2)
FOLDERS = Group("Folders, where their names do not say what they hold", sort_key=3)


NamedFolder = Annotated[Path | None, Parameter(group=FOLDERS)]


Device = Literal["cpu", "cuda"]


CLUSTER = Group("On a cluster", sort_key=4)


Address = Annotated[str | None, Parameter(name="--ray", group=CLUSTER)]


Memory = Annotated[float | None, Parameter(group=CLUSTER, validator=Number(gt=0))]


MoreSettings = Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]


def named(normal: Path | None, defects: Path | None, masks: Path | None) -> "Named":
    """The folders that a command line names."""
    from flawtrace.data import Named  # noqa: PLC0415 (it loads torch)

    return Named(normal, defects, masks)


FLAGS = (
    "normal",
    "defects",
    "masks",
    "region",
    "preset",
    "sampler",
    "encoder",
    "labels",
    "seed",
    "settings",
    "resume",
    "skip_bad",
    "device",
    "out",
    "json",
)
"""Of `train`, besides settings, for suggestions."""


def parsed(tokens: tuple[str, ...]) -> dict[str, Any]:
    """Settings from `--name value` and `--name=value`.

    >>> parsed(("--sampler.stride", "16", "--autoencoder.lr=0.01"))
    {'sampler.stride': 16, 'autoencoder.lr': 0.01}
    """
    chosen: dict[str, Any] = {}
    rest = list(tokens)
    while rest:
        name, given, value = rest.pop(0).partition("=")
        leaf = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or leaf not in setting_names():
            raise UnknownSettingError(name, _nearest_flag(leaf), "option")
        if not given and not rest:
            raise MissingValueError(name)
        chosen[leaf] = _value(value if given else rest.pop(0))
    return chosen


def seeds_of(text: str) -> tuple[int, ...]:
    """Numbers and ranges of them.

    >>> seeds_of("42-44,7")
    (42, 43, 44, 7)
    """
    return _numbers(text, "--seeds", "42-46")


def labels_of(text: str | None, protocols: Sequence[str]) -> tuple[int, ...] | None:
    """Numbers of labels for the protocols in which they vary."""
    if text is None:
        return None
    if not {"k-per-type", "k-in-all"} & set(protocols):
        raise FlagError("--labels", "only k-per-type and k-in-all use it")
    return _numbers(text, "--labels", "1-3")


def _numbers(text: str, flag: str, example: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            raise FlagError(flag, f"{part!r} is neither a number nor a range such as {example}")
        numbers += range(int(first), int(last if dash else first) + 1)
    return tuple(dict.fromkeys(numbers))


def _nearest_flag(name: str) -> str | None:
    close = nearest(name, (*FLAGS, *setting_names()))
    return f"--{close.replace('_', '-')}" if close else None


def _value(text: str) -> Any:
    try:
        return jsonlib.loads(text)
    except ValueError:
        return text
