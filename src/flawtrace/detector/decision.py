"""What an image's map and score mean: its mask, and the verdict.

Four numbers decide. A pixel belongs to an outline from `outline` on; a region of such pixels counts if its
highest value reaches `peak` (hysteresis, Canny 1986). An image is DEFECT from the score `defect` on, and
UNSURE from `unsure` on. Mask and verdict never disagree: what is DEFECT shows a region, what is OK none; what
is UNSURE shows those that count, if there are any.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from skimage.measure import label
from torch import Tensor

from flawtrace.detector.regions import Region, regions_of, without_small
from flawtrace.ground.groups import Polygons
from flawtrace.ground.shapes import AnomalyMap, Mask
from flawtrace.pictures.traits import Ranges, unlike

Verdict: TypeAlias = Literal["OK", "DEFECT", "UNSURE"]
VERDICTS: tuple[Verdict, ...] = ("OK", "UNSURE", "DEFECT")
"""In the order of the score; `measures.metrics` numbers them so."""

SPOT = 1 / 1024
"""Share of the pixels, the highest, that are marked where an image is DEFECT and none reaches `outline`."""


@dataclass(frozen=True)
class Thresholds:
    outline: float
    """The probability from which a pixel belongs to a region."""
    peak: float
    """The probability that a region has to reach somewhere."""
    defect: float
    """The score from which an image is DEFECT."""
    unsure: float
    """The score from which an image is UNSURE; at most `defect`."""

    def __post_init__(self) -> None:
        if not (self.outline <= self.peak and self.unsure <= self.defect):
            raise ValueError(f"outline must not be above peak, nor unsure above defect: {self}")

    @classmethod
    def single(cls, threshold: float) -> "Thresholds":
        """One number for everything, where the score is the map's maximum."""
        return cls(threshold, threshold, threshold, threshold)

    @property
    def beside_outline(self) -> dict[str, float]:
        """What a detector's facts keep beside the outline, as `Facts.decision`."""
        return {"peak": self.peak, "defect": self.defect, "unsure": self.unsure}

    def verdict(self, score: float) -> Verdict:
        if score >= self.defect:
            return "DEFECT"
        return "UNSURE" if score >= self.unsure else "OK"


@dataclass(frozen=True)
class Prediction:
    anomaly_map: AnomalyMap
    """Probability of a defect per pixel, in [0, 1], at the image's own size."""
    mask: Mask
    """The regions that count; none where the image is OK, one at least where it is DEFECT."""
    score: float
    """How likely the image shows a defect, in [0, 1]."""
    verdict: Verdict
    doubt: str | None = None
    """Why the detector is unsure."""

    @property
    def anomalous(self) -> bool:
        return bool(self.mask.any())

    @property
    def regions(self) -> tuple[Region, ...]:
        """Of the mask, largest first."""
        return regions_of(self.mask, self.anomaly_map)

    def without_small(self, min_area: int) -> "Prediction":
        """Without regions of fewer than `min_area` pixels; what showed nothing else is UNSURE, not OK."""
        mask = without_small(self.mask, min_area)
        if self.verdict != "DEFECT" or mask.any():
            return replace(self, mask=mask)
        doubt = f"all its regions have fewer than {min_area} pixels"
        return replace(self, mask=mask, verdict="UNSURE", doubt=doubt)


def decided(
    image: Float[Tensor, "3 _ _"],
    anomaly_map: Float[Tensor, "h w"],
    score: float,
    thresholds: Thresholds,
    familiar: Ranges,
    *,
    region: Polygons | None = None,
) -> Prediction:
    """What an image's map and score mean; one unlike the `familiar` images is UNSURE, whatever they say.

    With a `region`, it is what the image shows there that is compared.
    """
    verdict = thresholds.verdict(score)
    mask = marked(anomaly_map, thresholds, verdict)
    doubt = unlike(image, familiar, region)
    if doubt is None and verdict == "UNSURE":
        doubt = f"its score lies between {thresholds.unsure:.3f} and {thresholds.defect:.3f}"
    return Prediction(anomaly_map, mask, score, "UNSURE" if doubt else verdict, doubt)


def marked(anomaly_map: Float[Tensor, "h w"], thresholds: Thresholds, verdict: Verdict) -> Mask:
    """The mask of an image with this verdict; one that is DEFECT shows its strongest region at least."""
    if verdict == "OK":
        return torch.zeros_like(anomaly_map, dtype=torch.bool)
    highest = float(anomaly_map.max())
    if verdict == "UNSURE" or highest >= thresholds.peak:
        return regions(anomaly_map, thresholds.outline, thresholds.peak)
    if highest >= thresholds.outline:
        return regions(anomaly_map, thresholds.outline, highest)
    count = max(1, int(SPOT * anomaly_map.numel()))
    return anomaly_map >= anomaly_map.flatten().topk(count).values[-1]


def regions(anomaly_map: Float[Tensor, "h w"], outline: float, peak: float) -> Mask:
    """Sets of 8-connected pixels at or above `outline`, as far as they reach `peak` somewhere.

    >>> regions(torch.tensor([[0.3, 0.9, 0.0, 0.3]]), outline=0.2, peak=0.5).tolist()
    [[True, True, False, False]]
    """
    values = anomaly_map.numpy()
    if outline == peak:
        return torch.from_numpy(values >= outline)
    labels = label(values >= outline, connectivity=2)
    counts = np.zeros(int(labels.max()) + 1, dtype=bool)
    counts[np.unique(labels[values >= peak])] = True
    counts[0] = False
    return torch.from_numpy(counts[labels])
