"""Another program as a method: it reads the split's file, and writes its maps."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import safetensors

from flawtrace.comparison.desk import SIDE, Answer, Desk, Tell
from flawtrace.comparison.errors import MapsError
from flawtrace.comparison.methods import Method
from flawtrace.ground.files import write_text
from flawtrace.measures.metrics import Decided


def ask(desk: Desk, method: Method, tell: Tell) -> Answer:
    """Another program, which reads the split's file and writes its maps."""
    trial, name = desk.trial, method.name
    places = {
        "python": Path(sys.executable),
        "here": method.here.resolve(),
        "peers": desk.peers,
        "split": desk.split_file,
        "root": trial.root.resolve(),
        "maps": desk.folder / "maps" / trial.name / f"{name}.safetensors",
        "cache": desk.folder / "cache",
    }
    tell(0.0, f"running {name}")
    command, log = method.filled(places), desk.folder / "logs" / f"{trial.name}-{name}.txt"
    places["maps"].parent.mkdir(parents=True, exist_ok=True)
    places["maps"].unlink(missing_ok=True)  # maps of an earlier run are no answer
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        write_text(log, str(error))
        raise MapsError(" ".join(command[:3]), str(error), log) from error
    write_text(log, done.stdout + done.stderr)
    if done.returncode:
        raise MapsError(" ".join(command[:3]), f"it ended with status {done.returncode}", log)
    return _read_answer(places["maps"], len(trial.split.test), " ".join(command[:3]), log)


def _read_answer(file: Path, count: int, command: str, log: Path) -> Answer:
    try:
        with safetensors.safe_open(file, framework="np") as opened:
            facts = json.loads((opened.metadata() or {}).get("flawtrace", "{}"))
            maps = opened.get_tensor("maps").astype(np.float32)
            names = set(opened.keys())
            scores = opened.get_tensor("scores") if "scores" in names else maps.max(axis=(1, 2))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise MapsError(command, str(error), log) from error
    for name, found, shape in (("maps", maps, (count, SIDE, SIDE)), ("scores", scores, (count,))):
        if found.shape != shape or not np.isfinite(found).all():
            cause = f"the {name} have shape {found.shape} instead of {shape}, or values that are not finite"
            raise MapsError(command, cause, log)
    known = {
        "seconds": facts.get("train_seconds"),
        "predict_seconds": facts.get("predict_seconds"),
        "peak_memory_mb": facts.get("peak_memory_mb"),
        "described": facts.get("settings"),
    }
    threshold = facts.get("threshold")
    if not isinstance(threshold, int | float | None) or (threshold and not math.isfinite(threshold)):
        raise MapsError(command, f"the threshold is {threshold!r:.40}, not a finite number", log)
    decided = None if threshold is None else Decided.at(maps, scores, float(threshold))
    return Answer(maps, scores.astype(np.float32), decided, threshold, facts.get("validation"), known)
