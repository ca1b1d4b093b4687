"""Whether an image shows a defect: one score from several pieces of evidence, as held-out images weigh them.

What says *where* a defect is does not say best *whether* there is one. The outline's probabilities, novelty
and the memory of normal images are each worth more on one product and less on another; held-out labels and
normal images say how much.
"""

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from torch import Tensor, nn

from flawtrace.detector.alarms import quietest
from flawtrace.ground.shapes import ErrorMaps, PerImage

Evidence: TypeAlias = Float[Tensor, "b 4"]
PIECES = ("peak", "area", "novelty", "memory")
"""What is weighed: highest values that the members agree on, those of a larger area, and two distances."""

PEAK, AREA, CELLS, PLACES = 1 / 1024, 1 / 64, 1 / 1024, 1 / 64
"""Shares of a map's pixels, and of the cells of novelty and memory, whose highest values are averaged."""
FARTHEST = 8.0
"""Deviations of normal images beyond which evidence counts no more."""
CLEARANCE = 1e-4
"""Deviations by which the quietest threshold passes the highest score below it: more than rounding does."""
EXPECTED, CERTAINTY = 0.3, 1.0
"""Weight of each piece before any image was seen, and how many images that is worth."""


def evidence(
    maps: ErrorMaps, novelties: Float[Tensor, "b _ _"], distances: Float[Tensor, "b _ _"]
) -> Evidence:
    """Of images with these maps; each piece grows with the defect."""
    return torch.stack(
        [
            _logit(_highest(maps, PEAK)),
            _logit(_highest(maps, AREA)),
            torch.asinh(_highest(novelties, CELLS)),
            torch.asinh(_highest(distances, PLACES)),
        ],
        dim=1,
    )


class Judge(nn.Module):
    """Logistic regression on evidence, in deviations of normal images, with no negative weight.

    score = sigmoid(weights . clamp((evidence - mean) / spread) + bias): the probability of a defect if
    normal and defective images are equally frequent.
    """

    mean: Tensor
    spread: Tensor
    weights: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("mean", "weights"):
            self.register_buffer(name, torch.zeros(len(PIECES)))
        self.register_buffer("spread", torch.ones(len(PIECES)))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, evidence: Evidence) -> PerImage:
        return (self._standard(evidence) @ self.weights + self.bias).sigmoid()

    @torch.no_grad()
    def fit(self, normal: Float[Tensor, "n 4"], anomalous: Float[Tensor, "m 4"]) -> None:
        """Weigh the evidence of held-out images of both kinds; both count the same, however many they are."""
        self._learn_normal(normal)
        rows = torch.cat([self._standard(normal), self._standard(anomalous)]).double().numpy()
        truth = np.repeat([-1.0, 1.0], [len(normal), len(anomalous)])
        each = min(len(normal), len(anomalous))
        counts = np.repeat([each / len(normal), each / len(anomalous)], [len(normal), len(anomalous)])

        def loss(parameters: np.ndarray) -> float:
            margins = truth * (rows @ parameters[:-1] + parameters[-1])
            prior = CERTAINTY * np.square((parameters[:-1] - EXPECTED) / EXPECTED).sum() / 2
            return float(counts @ np.logaddexp(0, -margins) + prior)

        start = np.r_[np.full(len(PIECES), EXPECTED), -3 * EXPECTED]
        bounds = [(0.0, None)] * len(PIECES) + [(None, None)]
        found = torch.from_numpy(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x).float()
        self.weights.copy_(found[:-1])
        self.bias.copy_(found[-1])

    @torch.no_grad()
    def fit_normal(self, normal: Float[Tensor, "n 4"], as_taken: Bool[Tensor, " n"], rate: float) -> None:
        """Weigh all evidence the same, where no defect has been seen.

        Even odds lie where at most a share `rate` of the held-out normal images `as_taken` reach them.
        """
        self._learn_normal(normal)
        self.weights.fill_(EXPECTED)
        margins = self._standard(normal[as_taken] if as_taken.any() else normal) @ self.weights
        self.bias.fill_(-quietest(margins.double().numpy(), rate) - CLEARANCE)

    def _learn_normal(self, normal: Float[Tensor, "n 4"]) -> None:
        self.mean.copy_(normal.mean(dim=0))
        self.spread.copy_(normal.std(dim=0, correction=0).clamp_min(0.05))

    def _standard(self, evidence: Evidence) -> Evidence:
        return ((evidence - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST)


def _highest(maps: Float[Tensor, "b _ _"], share: float) -> PerImage:
    """Mean of the highest values of each map; of one at least."""
    values = maps.flatten(1)
    return values.topk(max(1, int(share * maps.shape[1] * maps.shape[2])), dim=1).values.mean(dim=1)


def _logit(shares: PerImage) -> PerImage:
    return torch.logit(shares, eps=1e-4)
