"""What a map's values mean: probabilities, as held-out images bear them out.

A predictor learns from squares of which half show a defect, and its ranker has a small weight so as not to
disturb the segmenter: the mean of both orders pixels well, but 0.05 can be a sure defect. Calibration keeps
the order and moves the values.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from torch import Tensor, nn

from flawtrace.ground.devices import batches
from flawtrace.ground.shapes import ErrorMaps, Masks

LEAST = 1e-6
"""Probabilities nearer to 0 or 1 are taken as this near."""
BINS = 1024
"""Of the logit, by which the values of all pixels are counted."""
PRIOR = 20.0
"""Pixels' worth of evidence, of both classes together, that the values are right as they are."""


class Calibration(nn.Module):
    """Beta calibration (Kull et al. 2017, doi:10.1214/17-EJS1338SI).

    calibrated = sigmoid(a log p - b log(1 - p) + c), with a and b above 0, so that no two values change their
    order; as it is made, a = b = 1 and c = 0, which changes nothing but the last bits. Normal and defective
    images weigh the same in `fit`, however many there are of either.
    """

    curve: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("curve", torch.tensor([1.0, 1.0, 0.0]))

    def forward(self, maps: ErrorMaps) -> ErrorMaps:
        a, b, c = self.curve.unbind()
        here, elsewhere = torch.log(maps.clamp_min(LEAST)), torch.log1p(-maps.clamp_max(1 - LEAST))
        return (a * here - b * elsewhere + c).sigmoid()

    @torch.no_grad()
    def fit(self, maps: ErrorMaps, masks: Masks) -> None:
        """By the least cross-entropy on the pixels of held-out images; without a defect nothing changes."""
        anomalous = masks.flatten(1).any(dim=1)
        if not anomalous.any():
            return
        counts = _counted(maps, masks, anomalous)
        if not anomalous.all():
            other = _counted(maps, masks, ~anomalous)
            counts = counts + other * (counts.sum() / other.sum())
        logits = np.linspace(-1, 1, BINS) * np.log(1 / LEAST)
        low, high = -np.logaddexp(0, -logits), np.logaddexp(0, logits)
        normal, defective = counts.double().numpy()
        defective = defective + PRIOR / BINS / (1 + np.exp(-logits))
        normal = normal + PRIOR / BINS / (1 + np.exp(logits))

        def loss(curve: Float[np.ndarray, "3"]) -> tuple[float, Float[np.ndarray, "3"]]:
            found = curve[0] * low + curve[1] * high + curve[2]
            value = defective @ np.logaddexp(0, -found) + normal @ np.logaddexp(0, found)
            slope = (defective + normal) / (1 + np.exp(-found)) - defective
            return float(value) / total, np.array([slope @ low, slope @ high, slope.sum()]) / total

        total = float(defective.sum() + normal.sum())
        bounds = [(0.05, None), (0.05, None), (None, None)]
        best = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
        self.curve.copy_(torch.from_numpy(best.x).float())


def _counted(maps: ErrorMaps, masks: Masks, which: Bool[Tensor, " b"]) -> Float[Tensor, "2 bins"]:
    """Of the images `which`, a few at a time: the temporaries are many times as large as the maps."""
    rows = batches(which.nonzero()[:, 0])
    return torch.stack([_counts(maps[some], masks[some]) for some in rows]).sum(dim=0)


def _counts(maps: ErrorMaps, masks: Masks) -> Float[Tensor, "2 bins"]:
    """Normal and defective pixels with each value; row 0 has the normal ones."""
    logits = torch.logit(maps.double(), eps=LEAST) / np.log(1 / LEAST)
    rows = ((logits + 1) / 2 * (BINS - 1)).round().long().clamp(0, BINS - 1) + BINS * masks.long()
    return torch.bincount(rows.flatten(), minlength=2 * BINS).view(2, BINS).double()
