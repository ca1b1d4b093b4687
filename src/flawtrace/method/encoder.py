"""What the autoencoder reconstructs: the pixels, or features of a small frozen network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.ground.config import Config
from flawtrace.ground.devices import batches
from flawtrace.ground.shapes import Canvases, Images
from flawtrace.method.trunk import TAPS, truncated
from flawtrace.pictures.turns import EVERY, averaged, some

LIMIT = 6.0
"""Features further than this many deviations from the mean are cut off there."""


class Pixels(nn.Module):
    """Images (b, 3, s, s) in [0, 1] as canvases of cells, each the mean of its pixels."""

    channels = 3
    scales: tuple[int, ...] = (3,)
    """Channels of each scale, whose errors a loss profile keeps apart."""

    def __init__(self, cell: int) -> None:
        super().__init__()
        self._cell = cell
        self.register_buffer("here", torch.zeros(()), persistent=False)  # tells the device, as features do

    def calibrate(self, images: Images) -> None:
        """Nothing to measure: pixels are taken as they are."""

    def forward(self, images: Images) -> Canvases:
        return rounded(F.avg_pool2d(images, self._cell) if self._cell > 1 else images)


class Features(nn.Module):
    """Features of EfficientNet-Lite0, trained on ImageNet, as canvases with one cell per 4 x 4 pixels.

    Each channel has mean 0 and deviation 1 over the normal images that `calibrate` saw.
    """

    channels = sum(TAPS.values())
    mean: Tensor
    std: Tensor

    def __init__(self, by_scale: bool = True, pretrained: bool = True, ways: Sequence[int] = (0,)) -> None:
        """Without `pretrained`, the weights are yet to be loaded, from a detector's file.

        The network knows left from right, and where an image ends: of an image turned in other `ways` it says
        the same a little differently, and the mean over them says it better.
        """
        super().__init__()
        self._ways = tuple(ways)
        self.scales: tuple[int, ...] = tuple(TAPS.values()) if by_scale else (self.channels,)
        self.network = truncated(pretrained)
        self.register_buffer("mean", torch.zeros(self.channels, 1, 1))
        self.register_buffer("std", torch.ones(self.channels, 1, 1))

    def train(self, mode: bool = True) -> "Features":  # noqa: ARG002
        """Frozen: always as in use."""
        return super().train(False)

    @torch.no_grad()
    def calibrate(self, images: Images) -> None:
        """Measure each channel's mean and deviation over normal images."""
        raw = torch.cat([self._raw(batch) for batch in batches(images)])
        self.mean.copy_(raw.mean(dim=(0, 2, 3))[:, None, None])
        self.std.copy_(raw.std(dim=(0, 2, 3))[:, None, None].clamp_min(1e-6))

    def forward(self, images: Images) -> Canvases:
        return rounded(((self._raw(images) - self.mean) / self.std).clamp(-LIMIT, LIMIT))

    def _raw(self, images: Images) -> Canvases:
        maps = averaged((images * 255 - 127) / 128, self._ways, self._seen)
        size = maps[0].shape[2:]
        resized = [F.interpolate(m, size=size, mode="bilinear") for m in maps[1:]]
        return torch.cat([maps[0], *resized], dim=1)

    def _seen(self, scaled: Images) -> list[Tensor]:
        maps: list[Tensor] = self.network(scaled.contiguous(memory_format=torch.channels_last))
        return maps


def build(config: Config, pretrained: bool = True) -> Pixels | Features:
    """For these settings; ways round in which no normal image is seen are left out, where they are known."""
    if config.encoder == "pixels":
        return Pixels(config.cell)
    ways = some(EVERY if config.variation.ways is None else config.variation.ways, config.orientations)
    return Features(config.profile.by_scale, pretrained, ways)


def rounded(canvases: Images) -> Images:
    """Canvases as half precision holds them: what is cached is exactly what a detector computes."""
    return canvases.half().float()
