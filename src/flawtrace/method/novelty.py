"""How unlike normal a cell is, by a closed-form model of normal images: no label has a part in it."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.ground.shapes import Canvases, ErrorMaps, Images

RIDGE = 0.01
"""Share of the mean variance that is added to each, so that the covariance can be inverted."""
Walk: TypeAlias = Callable[[], Iterable[Images]]
"""Goes through the vectors of all normal images, a few images at a time."""

REACH = 3
"""Cells along the squares over which the distance that is usual at a place is averaged."""


class Novelty(nn.Module):
    """Mahalanobis distance of a cell's vector, beyond what is usual at its place, in deviations.

    novelty = (d - place) / spread, d = sqrt((v - m)^T S^-1 (v - m)), with mean m and covariance S of the
    vectors of all cells of normal images, `place` the mean of d over these images at the cell (and those
    around it), and `spread` the deviation of d from it. So it is about 0, give or take 1, on normal images.
    """

    center: Tensor
    whitening: Tensor
    place: Tensor
    spread: Tensor

    def __init__(self, channels: int, grid: int) -> None:
        """For vectors of `channels` and images of `grid` x `grid` cells; without `fit` all is 0."""
        super().__init__()
        self.register_buffer("center", torch.zeros(channels))
        self.register_buffer("whitening", torch.zeros(channels, channels))
        self.register_buffer("place", torch.zeros(grid, grid))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, vectors: Canvases) -> ErrorMaps:
        return (self._distances(vectors) - self.place) / self.spread

    @torch.no_grad()
    def fit(self, normal: Walk) -> None:
        """Take mean, covariance and what is usual from the cells of normal images, walked over twice."""
        center, covariance = _moments(normal)
        ridge = RIDGE * covariance.diagonal().mean() + 1e-12
        precision = torch.linalg.inv(covariance + ridge * torch.eye(len(covariance)).to(covariance))
        self.center.copy_(center)
        self.whitening.copy_(torch.linalg.cholesky(precision).T)
        distances = torch.cat([self._distances(batch) for batch in normal()])
        usual = F.avg_pool2d(distances.mean(dim=0)[None], REACH, 1, REACH // 2, count_include_pad=False)[0]
        self.place.copy_(usual)
        self.spread.copy_((distances - usual).square().mean().sqrt().clamp_min(1e-6))

    def _distances(self, vectors: Canvases) -> ErrorMaps:
        whitened = F.conv2d(vectors, self.whitening[:, :, None, None], -(self.whitening @ self.center))
        total = whitened.new_ones(1, len(self.center), 1, 1)  # a sum as a convolution: three times as fast
        return F.conv2d(whitened.square(), total)[:, 0].sqrt()


def _moments(normal: Walk) -> tuple[Float[Tensor, " c"], Float[Tensor, "c c"]]:
    """Mean and covariance over all cells, summed in double precision."""
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for batch in normal():
        vectors = batch.movedim(1, -1).flatten(0, 2)
        count += len(vectors)
        total = total + vectors.double().sum(dim=0)
        products = products + (vectors.T @ vectors).double()
    center = total / count
    return center.float(), (products / count - torch.outer(center, center)).float()
