"""What predictors see of an image, made without labels: features, loss profile, novelty; and the memory."""

from collections.abc import Sequence

import torch
from torch import nn

from flawtrace.ground.config import Config
from flawtrace.ground.devices import batches
from flawtrace.ground.groups import NoveltyOf
from flawtrace.ground.shapes import Canvases, ErrorMaps, Images, Pictures
from flawtrace.method.encoder import Features, Pixels, rounded
from flawtrace.method.memory import SIDE, Memory, Numbers
from flawtrace.method.novelty import Novelty
from flawtrace.method.predictor import Views
from flawtrace.method.profile import laid_out, scale_errors


class Reader(nn.Module):
    """Shows images the way predictors see them: loss profile, novelty, memory, canvas and colour."""

    def __init__(
        self,
        encoder: Pixels | Features,
        snapshots: Sequence[nn.Module],
        grid: int,
        novelty_of: NoveltyOf,
        *,
        remembers: bool = True,
        memory_side: int = SIDE,
    ) -> None:
        """For images of `grid` x `grid` cells; `snapshots` are of one autoencoder, oldest first.

        The memory has `memory_side` places along an image; without `remembers` nobody asks it, and all its
        distances are 0.
        """
        super().__init__()
        self.encoder = encoder
        self.snapshots = nn.ModuleList(snapshots)
        self.novelty = Novelty(encoder.channels, grid)
        self.memory = Memory(encoder.channels, grid, memory_side)
        self._novelty_of = novelty_of
        self._remembers = remembers

    @classmethod
    def of(cls, config: Config, encoder: Pixels | Features, snapshots: Sequence[nn.Module]) -> "Reader":
        """As these settings want it."""
        remembers = config.score == "evidence" or config.predictor.sees("memory")
        side = config.predictor.memory_side or SIDE
        novelty_of = config.predictor.novelty_of
        return cls(encoder, snapshots, config.grid, novelty_of, remembers=remembers, memory_side=side)

    def forward(self, images: Images) -> Views:
        """Of images (b, 3, s, s) in [0, 1]."""
        return self.views(self.encoder(images), rounded(images))

    @torch.no_grad()
    def views(self, canvases: Canvases, pictures: Pictures, own: Numbers | None = None) -> Views:
        """The same, of images whose canvases are known; `own` says which of them the memory knows."""
        whole = laid_out(canvases)
        rebuilt = [snapshot(whole) for snapshot in self.snapshots]
        errors = [scale_errors(whole, again, self.encoder.scales) for again in rebuilt]
        novelties, distances = self._novelties(whole, rebuilt[-1]), self.distances(self.memory, canvases, own)
        return Views(torch.cat(errors, dim=1), novelties, distances, canvases, pictures)

    @torch.no_grad()
    def learn_normal(self, canvases: Canvases, numbers: Numbers) -> None:
        """Fit novelty and memory to canvases of normal images with these numbers."""
        self.fit_novelty(self.novelty, canvases)
        self.fit_memory(self.memory, canvases, numbers)

    @torch.no_grad()
    def fit_memory(self, memory: Memory, canvases: Canvases, numbers: Numbers) -> None:
        """Fit any memory to canvases of normal images, if anybody asks it."""
        if self._remembers:
            memory.fit(canvases, numbers)

    @torch.no_grad()
    def fit_novelty(self, novelty: Novelty, canvases: Canvases) -> None:
        """Fit any novelty to what this reader makes of canvases of normal images."""
        if self._novelty_of != "nothing":
            novelty.fit(lambda: map(self._vectors, batches(canvases)))

    @torch.no_grad()
    def distances(self, memory: Memory, canvases: Canvases, own: Numbers | None = None) -> ErrorMaps:
        """Of canvases from what any memory keeps; 0 where nobody asks."""
        if not self._remembers:
            return torch.zeros_like(canvases[:, 0].float())
        found: ErrorMaps = memory(canvases, own)
        return found

    @torch.no_grad()
    def novelties(self, novelty: Novelty, canvases: Canvases) -> ErrorMaps:
        """Of canvases, by a novelty that was fitted with `fit_novelty`."""
        if self._novelty_of == "nothing":
            return torch.zeros_like(canvases[:, 0].float())
        found: ErrorMaps = novelty(self._vectors(canvases))
        return found

    def _novelties(self, whole: Images, rebuilt: Images) -> ErrorMaps:
        if self._novelty_of == "nothing":
            return torch.zeros_like(whole[:, 0])
        novelties: ErrorMaps = self.novelty(
            whole - rebuilt if self._novelty_of == "reconstruction" else whole
        )
        return novelties

    def _vectors(self, canvases: Canvases) -> Images:
        whole = laid_out(canvases)
        return whole - self.snapshots[-1](whole) if self._novelty_of == "reconstruction" else whole
