"""Outlines defects in product images after a handful of labelled examples.

The verbs load torch, which takes seconds; they do so when first used, so that `flawtrace --help` is quick.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from flawtrace.comparison import (
        Benchmark,
        NoCategoryError,
        ThreadsChangedError,
        UnguardedScriptError,
        WorkerLostError,
    )
    from flawtrace.data import (
        DataError,
        FewImagesWarning,
        Inspection,
        LeftOutWarning,
        MissingFolderError,
        Named,
        NoImagesError,
    )
    from flawtrace.data.formats import (
        Imported,
        LabelError,
        UnknownFormatError,
    )
    from flawtrace.detector import (
        Detector,
        DoubtWarning,
        Export,
        Exported,
        KeptExportWarning,
        NothingToDecideByError,
        Prediction,
        Region,
        Timing,
        WrongRuntimeError,
    )
    from flawtrace.ground.errors import (
        ArgumentError,
        DamagedFileError,
        FlawtraceError,
        FolderInUseError,
        SettingsError,
        UnknownSettingError,
    )
    from flawtrace.measures import Comparison, Evaluation, NothingToEvaluateError
    from flawtrace.pictures.errors import NotAFileError
    from flawtrace.training import (
        DataChangedError,
        Event,
        FinishedRunWarning,
        OneAutoencoderError,
        ResumedRunWarning,
        RunExistsError,
        Trained,
    )
    from flawtrace.verbs import (
        Decision,
        ForeignFolderError,
        Gathered,
        OtherPredictionsError,
        OtherRegionWarning,
        Product,
        Proposal,
        Row,
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
        train_all,
    )

__all__ = [
    "ArgumentError",
    "Benchmark",
    "Comparison",
    "DamagedFileError",
    "DataChangedError",
    "DataError",
    "Decision",
    "Detector",
    "DoubtWarning",
    "Evaluation",
    "Event",
    "Export",
    "Exported",
    "FewImagesWarning",
    "FinishedRunWarning",
    "FlawtraceError",
    "FolderInUseError",
    "ForeignFolderError",
    "Gathered",
    "Imported",
    "Inspection",
    "KeptExportWarning",
    "LabelError",
    "LeftOutWarning",
    "MissingFolderError",
    "Named",
    "NoCategoryError",
    "NoImagesError",
    "NotAFileError",
    "NothingToDecideByError",
    "NothingToEvaluateError",
    "OneAutoencoderError",
    "OtherPredictionsError",
    "OtherRegionWarning",
    "Prediction",
    "Product",
    "Proposal",
    "Region",
    "ResumedRunWarning",
    "Row",
    "RunExistsError",
    "SettingsError",
    "ThreadsChangedError",
    "Timing",
    "Trained",
    "UnguardedScriptError",
    "UnknownFormatError",
    "UnknownSettingError",
    "WorkerLostError",
    "WrongRuntimeError",
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
    "train_all",
]

_HOMES = (
    "flawtrace.ground.errors",
    "flawtrace.verbs",
    "flawtrace.training",
    "flawtrace.detector",
    "flawtrace.measures",
    "flawtrace.data",
    "flawtrace.data.formats",
    "flawtrace.comparison",
    "flawtrace.pictures.errors",
)
"""Where public names come from; the first of them does without torch."""

__version__ = _version("flawtrace")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> _Any:
    if name in __all__:
        for home in map(_import_module, _HOMES):
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module 'flawtrace' has no attribute {name!r}")
