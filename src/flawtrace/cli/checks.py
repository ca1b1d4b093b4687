"""Paths and settings of a command line, checked before torch is loaded, which takes seconds."""

import difflib
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from flawtrace.cli.errors import FlagError, MissingPathError, NoDetectorError, NoFolderError, SecretError
from flawtrace.ground.errors import SettingsError
from flawtrace.ground.presets import load_config
from flawtrace.ground.run_files import DETECTOR_NAME

TOKEN = "FLAWTRACE_TOKEN"
"""The variable of the environment with the token: a flag could be read by everybody on the machine."""


def check_folder(*folders: Path) -> None:
    """Folders of images.

    Raises:
        MissingPathError, NoFolderError: one is not there, or is a file.
    """
    for folder in folders:
        check_there(folder, "a folder of images", Path.is_dir)
        if not folder.is_dir():
            raise NoFolderError(folder)


def secret_of(variable: str) -> str | None:
    """What a variable of the environment holds, without the line break that a file ends with.

    Raises:
        SecretError: no header of a request could carry it.
    """
    secret = os.environ.get(variable, "").strip()
    if not (secret.isascii() and secret.isprintable()):
        raise SecretError(variable)
    return secret or None


def check_run(*runs: Path) -> None:
    """Folders of runs, or files of detectors.

    Raises:
        MissingPathError, NoDetectorError: one is not there, or holds no detector.
    """
    for run in runs:
        check_there(run, "the folder of a run, or the file of a detector")
        if not (_begins_as_detector(run) if run.is_file() else (run / DETECTOR_NAME).is_file()):
            raise NoDetectorError(run)


def _begins_as_detector(file: Path) -> bool:
    """Whether a file may be one: weights with a header in JSON, or an exported file."""
    with file.open("rb") as opened:
        return file.suffix == ".onnx" or opened.read(9)[8:] == b"{"


def check_settings(preset: str, file: Path | None, chosen: Mapping[str, Any]) -> None:
    """What `train` is told.

    Raises:
        FlagError, SettingsError, UnknownSettingError: it cannot work.
    """
    if file:
        check_there(file, "a TOML file with settings", Path.is_file)
    try:
        load_config(preset, file, chosen)
    except SettingsError as error:
        if error.name not in chosen:
            raise
        raise FlagError(f"--{error.name.replace('_', '-')}", error.reason) from error


def check_there(path: Path, expected: str, kind: Callable[[Path], bool] = Path.exists) -> None:
    """Something of a `kind` that was `expected`; only of this kind is what might have been meant."""
    if path.exists():
        return
    others = [other for other in path.parent.iterdir() if kind(other)] if path.parent.is_dir() else []
    by_stem = {other.stem: other.name for other in others}  # what all file names end in makes none alike
    close = difflib.get_close_matches(path.stem, by_stem, n=1)
    raise MissingPathError(path, expected, by_stem[close[0]] if close else None)


def imported(module: str, extra: str) -> ModuleType:
    """A part of flawtrace that needs packages which a plain installation has not.

    Raises:
        MissingExtraError: they are missing.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        from flawtrace.detector import MissingExtraError  # noqa: PLC0415 (it loads torch)

        package = (error.name or "").partition(".")[0]
        if package in ("", "flawtrace"):
            raise
        raise MissingExtraError(extra, package) from error
