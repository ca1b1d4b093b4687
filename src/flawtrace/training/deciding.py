"""From fitted members to a detector: who weighs what they say, and where its thresholds lie."""

from flawtrace.detector import Detector, Facts, origin
from flawtrace.ground.config import Config
from flawtrace.method import Prepared
from flawtrace.training.last_fit import Fitted
from flawtrace.training.study import fingerprint
from flawtrace.training.thresholds import alarms_of, chosen, misses_of, scores_of, validation


def decided(fitted: Fitted, prepared: Prepared, config: Config) -> Detector:
    """The detector, with numbers that all come from images which the judging members never saw."""
    judgement, held_out = fitted.judgement, fitted.judgement.held_out
    thresholds = chosen(held_out, config)
    facts = Facts(
        thresholds.outline,
        validation(held_out, thresholds),
        prepared.digests,
        fingerprint(prepared),
        origin(),
        alarms_of(held_out, thresholds),
        prepared.familiar,
        thresholds.beside_outline,
        misses_of(held_out, thresholds),
        scores_of(held_out),
        fitted.exam.num_labelled,
    )
    detector = Detector(
        config,
        facts,
        fitted.reader,
        fitted.members,
        judge=judgement.judge,
        calibration=judgement.calibration,
    )
    return detector.to(prepared.material.canvases.device)
