"""What is written down about a training that has ended: all that the report needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from torch import Tensor

from flawtrace.data import Split
from flawtrace.data.pieces import images_of
from flawtrace.detector import Detector
from flawtrace.detector.doubts import doubts, image_doubts, policy_doubts
from flawtrace.ground import devices
from flawtrace.ground.config import Config
from flawtrace.ground.files import read_jsonl, write_bytes, write_json
from flawtrace.ground.memory import peak_memory_mb
from flawtrace.ground.run_files import CHECKPOINT_NAME, DETECTOR_NAME, LOG_NAME, SUMMARY_NAME, VISITS_NAME
from flawtrace.method import Material, Predictor, Prepared
from flawtrace.training.exam import Exam
from flawtrace.training.last_fit import Fitted
from flawtrace.training.study import Clock, Study
from flawtrace.training.suspects import Witnesses, named, suspects, write_suspects

QUANTILES = (0.1, 0.5, 0.9)
"""Of the loss profiles of normal and of defective cells, for the report."""


def conclude(
    detector: Detector,
    prepared: Prepared,
    fitted: Fitted,
    split: Split,
    run: Path,
    *,
    clock: Clock,
    reasons: Sequence[str] = (),
) -> dict[str, Any]:
    """Write down what the report needs, and clear the checkpoint away; returns the summary.

    Its warnings begin with `reasons`.
    """
    facts, material, seen_as = detector.facts, prepared.material, detector.config.seen_as
    members = [cast(Predictor, member) for member in detector.members]
    witnesses = Witnesses(members, detector.reader, detector.calibration, detector.thresholds.outline)
    found = suspects(witnesses, fitted.exam, fitted.judgement.held_out, split)
    write_suspects(found, run)
    summary = {
        "detector": str(run / DETECTOR_NAME),
        "seconds": round(clock.seconds, 1),
        "processor_seconds": round(clock.processor_seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "device_memory_mb": devices.peak_memory_mb(detector.device),
        "threads": torch.get_num_threads(),
        "device": devices.named(detector.device),
        "threshold": facts.threshold,
        "decision": facts.decision,
        "misses": facts.misses,
        "variation": prepared.variation.model_dump(mode="json"),
        "validation": facts.validation,
        "false_alarms": facts.false_alarms,
        "warnings": [
            *reasons,
            *(doubt.advice for doubt in doubts(facts, seen_as)),
            *image_doubts(prepared.num_blank),
            *policy_doubts(list(read_jsonl(run / LOG_NAME))),
        ],
        "fingerprint": facts.fingerprint,
        "versions": facts.versions,
        "seen_as": seen_as,
        "num_normal": material.num_normal,
        "normal_files": [str(image.resolve()) for image in images_of(split.normal)],
        "labelled": [sample.name for sample in split.labelled],
        "labelled_files": [str(image.resolve()) for image in images_of(split.labelled)],
        "left_for_testing": [str(s.image.resolve()) for s in split.test if s.anomalous],
        "defect_types": [sample.defect_type for sample in split.labelled],
        "suspects": named(found),
        "profiles": _profile_quantiles(detector.config, material, fitted.exam),
    }
    write_json(run / SUMMARY_NAME, summary)
    (run / CHECKPOINT_NAME).unlink(missing_ok=True)
    return summary


def _profile_quantiles(config: Config, material: Material, exam: Exam) -> dict[str, Any]:
    """Loss profiles of normal and of defective cells of the labelled images: quantiles per snapshot,
    means over scales.
    """
    examples = exam.labelled[: material.num_labelled]
    observed = config.observed(config.last_updates)[-config.profile.length :]
    scales = len(material.scales)
    by_snapshot = torch.stack(torch.split(examples.views.profiles, scales, dim=1), dim=1)
    cells = by_snapshot.mean(dim=2).movedim(1, -1)
    quantiles = torch.tensor(QUANTILES)
    groups = {"normal": examples.coverage == 0, "defective": examples.coverage >= 0.5}
    curves = {
        name: torch.quantile(_at_most(cells[where].cpu(), 50_000), quantiles, dim=0).tolist()
        for name, where in groups.items()
        if where.any()
    }
    return {"updates": list(observed), "quantiles": list(QUANTILES), **curves}


def _at_most(rows: Tensor, count: int) -> Tensor:
    return rows[:: len(rows) // count + 1]


def write_visits(study: Study, run: Path) -> None:
    """Where patches were taken: per quarter of the training, and in the last cycle on each labelled image."""
    walkers, num_normal = study.cycle.walkers, study.material.num_normal
    tensors = {
        "periods": study.visits,
        "labelled": walkers.visits[num_normal:],
        "images": study.material.images[num_normal:],
    }
    write_bytes(
        run / VISITS_NAME, safetensors.torch.save({name: t.cpu().contiguous() for name, t in tensors.items()})
    )
