"""The autoencoders whose training makes the loss profiles."""

from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.ground.groups import AutoencoderConfig
from flawtrace.ground.shapes import Images, Scalar


class Bottleneck(nn.Module):
    """Passes on the code, without the channels that are switched off.

    The choice of channels is part of the state: a snapshot keeps it, so its error maps stay the same.
    """

    kept: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(1, channels, 1, 1))

    def drop(self, rate: float, rng: torch.Generator) -> None:
        """Switch off a new random choice of channels; those left are scaled up to keep the mean."""
        kept = torch.rand(self.kept.shape, generator=rng) >= rate
        self.kept.copy_(kept / (1 - rate))

    def forward(self, codes: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return codes * self.kept


class Norm(nn.BatchNorm2d):
    """Batch normalisation without weights, which may read each image by its own statistics.

    The running statistics are those of patches. On a patch of 64 pixels the code is a single position, from
    which the decoder makes all others; on a larger image up to 64 codes add up in each, and what patches were
    scaled by no longer fits: errors are several times as large, and change from one update to the next.
    """

    own_statistics = False

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, images: Images) -> Images:
        if self.training or not self.own_statistics:
            normed: Tensor = super().forward(images)
            return normed
        centred = images - images.mean(dim=(2, 3), keepdim=True)
        return centred * torch.rsqrt(centred.square().mean(dim=(2, 3), keepdim=True) + self.eps)


class Published(nn.Module):
    """The paper's autoencoder: fully convolutional, one skip at 1/8 resolution, 5,951,499 weights.

    Sides must be multiples of 8 and at least 64. Layer sizes as in the first author's script.
    """

    def __init__(self, channels: int = 3, bottleneck: int = 200, *, own_statistics: bool = False) -> None:
        """With `own_statistics`, each image is read by its own statistics, as `Norm` says."""
        super().__init__()
        self.before_skip = nn.Sequential(
            _down(channels, 64), _same(64, 64), _down(64, 128), _same(128, 128), _down(128, 256)
        )
        self.to_code = nn.Sequential(_same(256, 128), _same(128, 64), nn.Conv2d(64, bottleneck, 8))
        self.bottleneck = Bottleneck(bottleneck)
        self.from_code = nn.Sequential(
            nn.ConvTranspose2d(bottleneck, 64, 8), *_normed(64), _same(64, 128), _same(128, 256)
        )
        self.after_skip = nn.Sequential(
            _up(512, 256), _same(256, 128), _up(128, 128), _same(128, 64),
            nn.ConvTranspose2d(64, channels, 4, stride=2, padding=1),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, Norm):
                module.own_statistics = own_statistics

    def forward(self, images: Images) -> Images:
        skip = self.before_skip(images)
        code = self.bottleneck(self.to_code(skip))
        rebuilt: Tensor = self.after_skip(torch.cat([self.from_code(code), skip], dim=1))
        return rebuilt


class Compact(nn.Module):
    """A small autoencoder for two processor cores; sides must be multiples of 2 ** stages."""

    def __init__(self, channels: int, width: int, bottleneck: int, stages: int) -> None:
        super().__init__()
        down = [_strided(width) for _ in range(stages)]
        up = [_doubled(width) for _ in range(stages - 1)]
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.LeakyReLU(0.2), *down, nn.Conv2d(width, bottleneck, 1)
        )
        self.bottleneck = Bottleneck(bottleneck)
        self.decoder = nn.Sequential(
            nn.Conv2d(bottleneck, width, 3, padding=1), nn.LeakyReLU(0.2), *up,
            nn.Conv2d(width, channels, 1), nn.Upsample(scale_factor=2),
        )  # fmt: skip

    def forward(self, canvases: Images) -> Images:
        rebuilt: Tensor = self.decoder(self.bottleneck(self.encoder(canvases)))
        return rebuilt


Autoencoder: TypeAlias = Published | Compact


def build(config: AutoencoderConfig, channels: int) -> Autoencoder:
    if config.kind == "published":
        return Published(channels, config.bottleneck, own_statistics=config.statistics == "own")
    return Compact(channels, config.width, config.bottleneck, config.stages)


def patch_losses(patches: Images, reconstructions: Images) -> Float[Tensor, " b"]:
    """Mean squared error of each patch; their mean is the loss."""
    return (reconstructions - patches).square().mean(dim=(1, 2, 3))


def reconstruction_loss(patches: Images, reconstructions: Images) -> Scalar:
    """Mean squared error."""
    return F.mse_loss(reconstructions, patches)


def _normed(channels: int) -> tuple[nn.Module, nn.Module]:
    return Norm(channels), nn.LeakyReLU(0.2)


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), *_normed(outputs))


def _same(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), *_normed(outputs))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), *_normed(outputs))


def _strided(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1), nn.LeakyReLU(0.2))


def _doubled(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2)
    )
