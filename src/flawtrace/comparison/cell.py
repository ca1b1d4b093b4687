"""One cell of a benchmark: one method on one trial, from images to a row of results."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from flawtrace.comparison.desk import SIDE, Answer, Desk, Tell
from flawtrace.comparison.methods import Method
from flawtrace.comparison.programs import ask
from flawtrace.comparison.steadiness import spoilt_verdicts, steadiness
from flawtrace.data import Sample, Trial, write_split
from flawtrace.detector import Detector, Prediction, Thresholds, commit, versions
from flawtrace.ground.devices import PROCESSOR, named
from flawtrace.ground.errors import FlawtraceError, FolderInUseError, OutputError
from flawtrace.ground.memory import forget_peak
from flawtrace.measures import decided, looks
from flawtrace.measures.metrics import Labels, summary
from flawtrace.measures.replicates import Images, replicated
from flawtrace.training import Event, train


def run_cell(desk: Desk, method: Method, tell: Tell) -> dict[str, Any]:
    """The row of one cell; a method that cannot be run here leaves its reason in `error`.

    Raises:
        OutputError, FolderInUseError: that is no matter of the method, and no row is to say it for good.
    """
    facts = desk.trial.facts | {"method": method.name, "settings": method.identity}
    facts |= {"threads": desk.threads} if desk.threads else {}
    try:
        write_split(desk.split_file, desk.trial)
        answer = ask(desk, method, tell) if method.command else _train(desk, method, tell)
    except (OutputError, FolderInUseError):
        raise
    except FlawtraceError as error:
        return facts | {"error": str(error)} | circumstances(desk.device)
    return facts | results(desk, answer) | answer.facts | circumstances(desk.device)


def results(desk: Desk, answer: Answer) -> dict[str, Any]:
    """Metrics over all test images and by defect type, and those of resampled test images."""
    trial = desk.trial
    names = [sample.image.relative_to(trial.root).as_posix() for sample in trial.split.test]
    steady = {"steadiness": steadiness(answer.facts["spoilt"])} if "spoilt" in answer.facts else {}
    return {
        "metrics": _summary(desk, answer, np.full_like(desk.anomalous, True)) | steady,
        "per_type": {
            kind: _summary(desk, answer, ~desk.anomalous | which) for kind, which in _types(trial).items()
        },
        "threshold": answer.threshold,
        "validation": answer.validation,
        "replicates": replicated(
            answer.maps,
            desk.masks,
            answer.scores,
            answer.decided,
            Images(trial.category, names, desk.anomalous),
            ignored=desk.ignored,
        ),
    }


def circumstances(device: torch.device = PROCESSOR) -> dict[str, Any]:
    """Where and when: what a reader needs to take the seconds for what they are."""
    return {
        "commit": commit(),
        "versions": versions(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "device": named(device),
        },
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _train(desk: Desk, method: Method, tell: Tell) -> Answer:
    """Flawtrace itself, in a run folder from which a stopped cell goes on."""
    config = method.config(desk.trial.seed, desk.trial.labels)
    forget_peak()
    tell(0.0, "reading images")
    encoded = desk.encoded(config)
    run = desk.folder / "runs" / desk.trial.name / method.name
    split, prepared = desk.training_split(config), encoded.prepared
    for event in train(split, config, run, resume=True, device=desk.device, prepared=prepared):
        if isinstance(event, Event):
            tell(event.done / event.total, event.phase)
        else:
            trained = event
    predictions, seconds = looked(trained.detector, desk.trial.split.test)
    spoilt = {"spoilt": spoilt_verdicts(trained.detector, split.test)} if desk.spoil else {}
    summary = trained.summary
    return replace(
        answered(predictions, trained.detector.thresholds, trained.detector.facts.validation),
        facts={
            "seconds": round(summary["processor_seconds"] + encoded.seconds, 1),
            "predict_seconds": round(seconds / len(predictions), 4),
            "peak_memory_mb": summary["peak_memory_mb"],
            "announced": {name: summary[name] for name in ("false_alarms", "misses")},
            **spoilt,
        },
    )


def answered(
    predictions: Sequence[Prediction], thresholds: Thresholds, validation: dict[str, float]
) -> Answer:
    """What a detector's predictions are to the comparison."""
    return Answer(
        torch.stack([found.anomaly_map for found in predictions]).numpy(),
        np.array([found.score for found in predictions], dtype=np.float32),
        decided(predictions),
        asdict(thresholds),
        validation,
    )


def looked(detector: Detector, samples: Sequence[Sample]) -> tuple[list[Prediction], float]:
    """What the detector says of the samples, and the processor time that it took, reading left out."""
    seen = list(looks(detector, samples, (SIDE, SIDE)))
    return [found for look in seen for found in look.predictions], sum(look.seconds for look in seen)


def _summary(desk: Desk, answer: Answer, which: Labels) -> dict[str, float | None]:
    found = summary(
        answer.maps[which],
        desk.masks[which],
        answer.scores[which],
        answer.decided[which] if answer.decided else None,
        anomalous=desk.anomalous[which],
        ignored=None if desk.ignored is None else desk.ignored[which],
    )
    return {name: None if value is None else round(value, 5) for name, value in found.items()}


def _types(trial: Trial) -> dict[str, np.ndarray]:
    """Which test images show each defect type."""
    kinds = np.array([sample.defect_type or "" for sample in trial.split.test])
    return {str(kind): kinds == kind for kind in sorted(set(kinds.tolist()) - {""})}
