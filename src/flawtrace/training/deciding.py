"""From fitted members to a detector: who weighs what they say, and where its thresholds lie."""

from jaxtyping import Int
from torch import Tensor

from flawtrace.data import Split
from flawtrace.data.pieces import images_of
from flawtrace.detector import Detector, Facts, origin
from flawtrace.ground.config import Config
from flawtrace.method import Prepared
from flawtrace.training.last_fit import Fitted
from flawtrace.training.study import fingerprint
from flawtrace.training.thresholds import alarms_of, chosen, misses_of, scores_of, validation


def folds_of_contents(prepared: Prepared, folds: Int[Tensor, " n"]) -> dict[str, int]:
    """The fold of each normal image by its content, in the order of `normal_digests`."""
    found: dict[str, int] = {}
    for content, fold in zip(prepared.rows, folds.tolist(), strict=False):
        found.setdefault(content, fold)
    return found


def decided(
    fitted: Fitted, prepared: Prepared, split: Split, config: Config, autoencoder: tuple[str, ...] = ()
) -> Detector:
    """The detector, with numbers that all come from images which the judging members never saw.

    `autoencoder` is the content of the images that its autoencoder learnt from, if they are others.
    """
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
        len(images_of(split.labelled)),
        len(prepared.normal_digests),
        autoencoder,
        familiar_in_region=True,
        folds=tuple(folds_of_contents(prepared, fitted.exam.normal_folds).values()),
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
