"""What commands have in common: kinds of flags, settings as flags, lists of numbers."""

import inspect
import json as jsonlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from flawtrace.cli.errors import FlagError, MissingValueError, UnknownOptionError
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


def parsed(tokens: tuple[str, ...], command: Callable[..., object]) -> dict[str, Any]:
    """Settings from `--name value` and `--name=value`; what is none was meant as an option of the command.

    >>> parsed(("--sampler.stride", "16", "--autoencoder.lr=0.01"), command=print)
    {'sampler.stride': 16, 'autoencoder.lr': 0.01}

    Raises:
        UnknownOptionError, MissingValueError: it cannot be used.
    """
    chosen: dict[str, Any] = {}
    rest = list(tokens)
    while rest:
        name, given, value = rest.pop(0).partition("=")
        leaf = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or leaf not in setting_names():
            near = nearest(leaf, (*options_of(command), *setting_names()))
            raise UnknownOptionError(name, name_of(command), near and as_flag(near))
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


def options_of(command: Callable[..., object]) -> tuple[str, ...]:
    """Names of a command's own options, besides settings.

    >>> options_of(sorted)
    ('key', 'reverse')
    """
    parameters = inspect.signature(command).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def name_of(command: Callable[..., object]) -> str:
    """As one types it."""
    return command.__name__.replace("_", "-")


def as_flag(name: str) -> str:
    """As one types it.

    >>> as_flag("tile_side")
    '--tile-side'
    """
    return f"--{name.replace('_', '-')}"


def _value(text: str) -> Any:
    try:
        return jsonlib.loads(text)
    except ValueError:
        return text
