"""What an image's map means: its mask, its score and the verdict."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor

from flawtrace.detector.facts import Facts
from flawtrace.ground.shapes import AnomalyMap, Image, Mask
from flawtrace.pictures.traits import unlike

Verdict: TypeAlias = Literal["OK", "DEFECT", "UNSURE"]


@dataclass(frozen=True)
class Prediction:
    anomaly_map: AnomalyMap
    """Probability of a defect per pixel, in [0, 1], at the image's own size."""
    mask: Mask
    """Where the map reaches the threshold."""
    score: float
    """The map's maximum: at or above the threshold exactly when the mask shows a defect."""
    doubt: str | None = None
    """Why the map is not to be trusted, if the image is unlike all training images."""

    @property
    def anomalous(self) -> bool:
        return bool(self.mask.any())

    @property
    def verdict(self) -> Verdict:
        if self.doubt:
            return "UNSURE"
        return "DEFECT" if self.anomalous else "OK"


def decided(image: Image, anomaly_map: Float[Tensor, "h w"], facts: Facts) -> Prediction:
    """What an image's map means to a detector with these facts."""
    mask = anomaly_map >= facts.threshold
    return Prediction(anomaly_map, mask, float(anomaly_map.max()), unlike(image, facts.familiar))
