"""A memory of normal images: how far each place is from all that normal images showed there, or close by.

Nearest neighbours among frozen features, as in PatchCore (Roth et al. 2022, arXiv 2106.08265), bound to the
place as PaDiM is (Defard et al. 2021, arXiv 2011.08785). It outlines little, but tells which images are
unlike normal. No label has a part in it.
"""

from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.ground.shapes import Canvases, ErrorMaps

SIDE = 16
"""Places along an image, unless said otherwise."""
KEPT = 100
"""Normal images that are kept, evenly spread over all; fewer are kept several times."""
DIMENSIONS = 64
"""Principal components of the features that are kept at most."""
REACH = 2
"""Places up to which a neighbour may lie aside, both ways."""
FAR = 1e9

Numbers: TypeAlias = Int[Tensor, " b"]
"""Of the normal images that canvases show; -1 for others."""


class Memory(nn.Module):
    """Distance of a cell from its nearest neighbour, beyond what is usual at its place, in deviations.

    distance = (d - place) / spread, with d the Euclidean distance to the nearest of the kept vectors of the
    places within `REACH`, `place` the mean of d over the kept images among themselves, and `spread` the
    deviation of d from it. It is about 0, give or take 1, on normal images. Between places it is linear.
    """

    bank: Tensor
    axes: Tensor
    place: Tensor
    spread: Tensor

    def __init__(self, channels: int, grid: int, side: int = SIDE) -> None:
        """For canvases of `channels` and `grid` x `grid` cells; without `fit` all distances are 0.

        There are `side` places along an image, or as many as there are cells, if that is fewer.
        """
        super().__init__()
        self._grid, self._pooled = grid, max(1, grid // side)
        self._kept = torch.zeros(0, dtype=torch.long)
        side, kept = grid // self._pooled, min(DIMENSIONS, channels)
        self.register_buffer("axes", torch.zeros(kept, channels))
        self.register_buffer("bank", torch.zeros(side * side, kept, KEPT, dtype=torch.float16))
        self.register_buffer("place", torch.zeros(side, side))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, canvases: Canvases, own: Numbers | None = None) -> ErrorMaps:
        """Of canvases (b, c, grid, grid); one number for each cell.

        `own` are the numbers, as `fit` was given them, of the normal images that the canvases show: what is
        kept of such an image does not count for it, and where nothing else is kept, nothing is known. Only
        the process that fitted a memory knows these numbers: no file keeps them.
        """
        vectors = self._vectors(canvases)
        same = None if own is None else own.cpu()[:, None] == self._kept[None]
        distances = (self._nearest(vectors, same) - self.place) / self.spread
        if same is not None:
            distances = distances.where(~same.all(dim=1).to(distances.device)[:, None, None], 0.0)
        size = (self._grid, self._grid)
        enlarged: Tensor = F.interpolate(distances[:, None], size=size, mode="bilinear")[:, 0]
        return enlarged

    def anew(self) -> "Memory":
        """Another one for such canvases, which keeps nothing yet."""
        return Memory(self.axes.shape[1], self._grid, len(self.place)).to(self.bank.device)

    @torch.no_grad()
    def fit(self, canvases: Canvases, numbers: Numbers | None = None) -> None:
        """Keep what these normal images show; `numbers` tell them apart, where some show the same image."""
        count = len(canvases)
        chosen = torch.arange(KEPT) % count if count < KEPT else _evenly(count)
        self._kept = chosen if numbers is None else numbers.cpu()[chosen]
        kept = self._pool(canvases[chosen])
        vectors = kept.movedim(1, -1).flatten(0, 2)
        covariance = (vectors - vectors.mean(dim=0)).T @ (vectors - vectors.mean(dim=0)) / len(vectors)
        self.axes.copy_(torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, : len(self.axes)].T)
        whole = self._project(kept)
        self.bank.copy_(whole.flatten(2).permute(2, 1, 0))
        same = self._kept[:, None] == self._kept[None]
        if bool(same.all()):
            return
        distinct = min(count, KEPT)  # the others are the same again, and as far from their neighbours
        distances = self._nearest(whole[:distinct], same[:distinct])[torch.arange(KEPT) % distinct]
        usual = F.avg_pool2d(distances.mean(dim=0)[None], 3, 1, 1, count_include_pad=False)[0]
        self.place.copy_(usual)
        self.spread.copy_((distances - usual).square().mean().sqrt().clamp_min(1e-6))

    def _pool(self, canvases: Canvases) -> Tensor:
        return F.avg_pool2d(canvases.float(), self._pooled) if self._pooled > 1 else canvases.float()

    def _project(self, pooled: Tensor) -> Tensor:
        return F.conv2d(pooled, self.axes[:, :, None, None])

    def _vectors(self, canvases: Canvases) -> Tensor:
        return self._project(self._pool(canvases))

    def _nearest(
        self, vectors: Float[Tensor, "b d side side"], same: Bool[Tensor, "b kept"] | None = None
    ) -> ErrorMaps:
        """Distance to the nearest kept vector; those of the `same` image do not count.

        Each place asks what is kept there for the vectors of all places around it, so that the bank, which is
        large, is read once; then each vector takes the least of the answers around it.
        """
        count, dims, side = vectors.shape[0], vectors.shape[1], vectors.shape[2]
        window = 2 * REACH + 1
        laid = F.pad(vectors, (REACH,) * 4).permute(2, 3, 0, 1).contiguous()
        around = laid.unfold(0, window, 1).unfold(1, window, 1).permute(0, 1, 4, 5, 2, 3)
        asked = around.reshape(side * side, window**2 * count, dims)
        bank = self.bank.float()
        squares = torch.baddbmm(bank.square().sum(dim=1)[:, None], asked, bank, alpha=-2)
        if same is not None and bool(same.any()):
            squares += FAR * same.to(squares.device).repeat(window**2, 1)
        answers = squares.amin(dim=2).view(side, side, window, window, count)
        nearest = _least_around(_least_around(answers.permute(4, 3, 1, 2, 0)).permute(0, 3, 1, 2))
        return (nearest + vectors.square().sum(dim=1)).clamp_min(0).sqrt()


def _least_around(answers: Float[Tensor, "*_ window side"]) -> Float[Tensor, "*_ side"]:
    """The least answer that each place gets: in row k, every place answers the one k - REACH further on.

    Rows are shifted against each other by cutting them anew, shorter by one, out of all of them laid end to
    end: one by one, for each place around, they would be many nodes in an exported graph.

    >>> _least_around(torch.arange(15.0).view(5, 3))
    tensor([2., 5., 8.])
    """
    window, side = answers.shape[-2:]
    length = side + 2 * REACH
    laid = F.pad(answers, (REACH, REACH), value=FAR).flatten(-2)[..., window - 1 : window * length - 1]
    return torch.unflatten(laid, -1, (window, length - 1))[..., :side].amin(dim=-2)


def _evenly(count: int) -> Tensor:
    """`KEPT` rows of `count`, evenly spread."""
    return torch.linspace(0, count - 1, KEPT).round().long()
