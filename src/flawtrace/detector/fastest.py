"""The fastest way to run what is there: the runtime, and whether an exported file may stand in for a run."""

from dataclasses import replace
from pathlib import Path

from flawtrace.detector.facts import parsed
from flawtrace.detector.file import checksum, detector_file, exported_name, read_file
from flawtrace.detector.runtime import AnyDetector, Exported, installed, load
from flawtrace.detector.seal import intact
from flawtrace.ground.groups import RuntimeChoice, RuntimeName


def fastest(path: Path, runtime: RuntimeChoice = "auto") -> AnyDetector:
    """As `load`, by the fastest runtime that is installed and can run what is there.

    The exported file that lies in a run stands in for it, if it was made of the very same detector;
    thresholds may have been decided since, and are always the run's. Otherwise torch runs it.
    """
    wanted = installed() if runtime == "auto" else [runtime]
    if path.suffix == ".onnx":
        return load(path, wanted[0] if wanted else None)
    for name in wanted:
        exported = _exported_of(path, name)
        if exported is not None:
            return exported
    return load(path, None if runtime == "auto" else runtime)


def _exported_of(run: Path, runtime: RuntimeName) -> Exported | None:
    """The file exported of the run's detector as it is now, if it is there and sound."""
    file = exported_name(run)
    if runtime not in installed() or not file.is_file() or not intact(file.read_bytes()):
        return None
    header, state = read_file(detector_file(run))
    exported = load(file, runtime)
    assert isinstance(exported, Exported)
    if header.get("checksum") != checksum(state) or exported.origin != header["checksum"]:
        return None
    try:
        config, facts = parsed(header, run)
    except (KeyError, TypeError, ValueError, AttributeError):  # damage, of which `Detector.load` tells
        return None
    decided_since = {name: getattr(facts, name) for name in ("decision", "false_alarms", "misses")}
    if (exported.config, replace(exported.facts, **decided_since)) != (config, facts):
        return None
    exported.decide_by(facts)
    return exported
