"""Outlines defects in product images after a handful of labelled examples.

The verbs load torch, which takes seconds; they do so when first used, so that `flawtrace --help` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
        inspect,
        load,
        predict,
        refit,
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
    "inspect",
    "load",
    "predict",
    "refit",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'flawtrace' has no attribute {name!r}")
    module = "flawtrace.detector" if name == "Detector" else "flawtrace.verbs"
    return getattr(import_module(module), name)
