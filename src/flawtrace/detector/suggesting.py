"""Which images a person should label next: those that the detector doubts, each of another kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from flawtrace.data.pieces import worked_on
from flawtrace.detector.artefact import Detector
from flawtrace.detector.decision import Prediction
from flawtrace.ground.shapes import Image
from flawtrace.pictures.images import fit

CELLS = 16
"""Most suspicious cells of an image, whose mean features say what it shows."""

Descriptors = Float[Tensor, "n features"]


@dataclass(frozen=True)
class Looked:
    """One image as the detector sees it."""

    prediction: Prediction
    descriptor: Float[Tensor, " features"]
    """Mean features of its most suspicious cells."""


@dataclass(frozen=True)
class Suggestion:
    """One image that is worth a label."""

    index: int
    """Of the images asked about."""
    worth: float
    """How much the detector doubts it, from 0 to 1.5; see `worth_of`."""
    distance: float | None
    """From what is labelled or suggested before it, in mean distances of all these; None for the first of
    all."""


@torch.no_grad()
def looked(detector: Detector, image: Image) -> Looked:
    """One image (3, h, w) in [0, 1]; of tiled detectors it is described as a whole."""
    prediction = detector.predict(image)
    side = detector.config.image_side
    whole = fit(worked_on(image, detector.config), side, side)[None].to(detector.device)
    canvas = detector.reader.encoder(whole)[0].cpu()
    suspicion = F.adaptive_avg_pool2d(prediction.anomaly_map[None], canvas.shape[1])[0].flatten()
    cells = suspicion.topk(min(CELLS, len(suspicion))).indices
    return Looked(prediction, canvas.flatten(1)[:, cells].mean(dim=1))


def worth_of(score: float) -> float:
    """4 s (1 - s) + s: most where the verdict is open, more for what is likely a defect than for what is not.

    >>> worth_of(0.0), worth_of(0.5), worth_of(1.0)
    (0.0, 1.5, 1.0)
    """
    return 4 * score * (1 - score) + score


def suggested(images: Sequence[Looked], labelled: Sequence[Looked], count: int) -> list[Suggestion]:
    """At most `count` of the images, the one that would teach most first.

    Each is the one with the greatest product of its worth and its distance from the nearest that is labelled
    or was chosen before (farthest-first traversal, Gonzalez 1985), so that not all are of one kind.
    """
    if not images:
        return []
    vectors = _standardized(torch.stack([one.descriptor for one in [*images, *labelled]]))
    ours, known = vectors[: len(images)], vectors[len(images) :]
    usual = float(F.pdist(vectors).mean().nan_to_num()) or 1.0  # of one image, or if all are the same
    worth = torch.tensor([worth_of(one.prediction.score) for one in images])
    far = torch.full((len(ours),), torch.inf)
    nearest = torch.cdist(ours, known).amin(dim=1) / usual if len(known) else far
    found: list[Suggestion] = []
    left = torch.ones(len(ours), dtype=torch.bool)
    for _ in range(min(count, len(images))):
        index = _best(worth, nearest, left)
        distance = float(nearest[index])
        found.append(Suggestion(index, float(worth[index]), distance if distance < torch.inf else None))
        left[index] = False
        nearest = torch.minimum(nearest, (ours - ours[index]).norm(dim=1) / usual)
    return found


def _best(worth: Float[Tensor, " n"], nearest: Float[Tensor, " n"], left: Tensor) -> int:
    value = worth * nearest if nearest.isfinite().all() else worth
    order: Int[Tensor, " n"] = value.where(left, -1.0).argsort(descending=True, stable=True)
    return int(order[0])


def _standardized(vectors: Descriptors) -> Descriptors:
    return (vectors - vectors.mean(dim=0)) / vectors.std(dim=0, correction=0).clamp_min(1e-6)
