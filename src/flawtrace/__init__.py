"""Outlines defects in product images after a handful of labelled examples.

The verbs load torch, which takes seconds; they do so when first used, so that `flawtrace --help` is quick.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING
from typing import Any as _Any

if TYPE_CHECKING:
    from flawtrace.detector import Detector
    from flawtrace.verbs import (
        bench,
        benchmark,
        compare,
        decide,
        demo,
        doctor,
        evaluate,
        export,
        export_labels,
        import_labels,
        inspect,
        load,
        predict,
        refit,
        suggest,
        train,
    )

__all__ = [
    "Detector",
    "bench",
    "benchmark",
    "compare",
    "decide",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "export_labels",
    "import_labels",
    "inspect",
    "load",
    "predict",
    "refit",
    "suggest",
    "train",
]


__version__ = _version("flawtrace")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> _Any:
    if name not in __all__:
        raise AttributeError(f"module 'flawtrace' has no attribute {name!r}")
    module = "flawtrace.detector" if name == "Detector" else "flawtrace.verbs"
    return getattr(_import_module(module), name)
