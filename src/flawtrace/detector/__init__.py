"""The trained artefact: an image enters; map, mask, score and verdict leave.

`Detector` is what training leaves behind, in one file; `export_onnx` makes an ONNX file of it, `load` opens
either, `fastest` whichever is faster, and `measure` times it. What a map means is decided in `decision`, how
often that is wrong on normal images is told in `alarms`, and what keeps a detector from being trusted in
`doubts`.
"""

from flawtrace.detector import doubts
from flawtrace.detector.alarms import Errors, alarm_text, announced_text, quietest
from flawtrace.detector.artefact import Detector, facts_of
from flawtrace.detector.calibration import Calibration
from flawtrace.detector.choosing import (
    EVEN_ODDS,
    FALSE_ALARMS,
    STEPS,
    Choice,
    by_judge,
    decisive,
    doubtful,
    limited,
    trade_off,
)
from flawtrace.detector.decision import VERDICTS, Prediction, Thresholds, Verdict, marked
from flawtrace.detector.errors import (
    DamagedDetectorError,
    DoubtWarning,
    ForeignDetectorError,
    KeptExportWarning,
    MissingExtraError,
    NothingToCompareError,
    NothingToDecideByError,
    WrongRuntimeError,
)
from flawtrace.detector.exporting import Export, export_onnx, rewrite
from flawtrace.detector.facts import Facts, commit, origin, versions
from flawtrace.detector.fastest import fastest
from flawtrace.detector.file import detector_file, exported_name
from flawtrace.detector.judge import Evidence, Judge, evidence
from flawtrace.detector.regions import Region, regions_of
from flawtrace.detector.runtime import AnyDetector, Exported, load
from flawtrace.detector.stopwatch import Timing, measure
from flawtrace.detector.suggesting import Looked, Suggestion, looked, suggested

__all__ = [
    "EVEN_ODDS",
    "FALSE_ALARMS",
    "STEPS",
    "VERDICTS",
    "AnyDetector",
    "Calibration",
    "Choice",
    "DamagedDetectorError",
    "Detector",
    "DoubtWarning",
    "Errors",
    "Evidence",
    "Export",
    "Exported",
    "Facts",
    "ForeignDetectorError",
    "Judge",
    "KeptExportWarning",
    "Looked",
    "MissingExtraError",
    "NothingToCompareError",
    "NothingToDecideByError",
    "Prediction",
    "Region",
    "Suggestion",
    "Thresholds",
    "Timing",
    "Verdict",
    "WrongRuntimeError",
    "alarm_text",
    "announced_text",
    "by_judge",
    "commit",
    "decisive",
    "detector_file",
    "doubtful",
    "doubts",
    "evidence",
    "export_onnx",
    "exported_name",
    "facts_of",
    "fastest",
    "limited",
    "load",
    "looked",
    "marked",
    "measure",
    "origin",
    "quietest",
    "regions_of",
    "rewrite",
    "suggested",
    "trade_off",
    "versions",
]
