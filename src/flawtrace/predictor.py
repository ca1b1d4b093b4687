"""The predictors, which segment defects in loss-profile space."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.config import PredictorConfig
from flawtrace.shapes import Coverage, Images, Logits, LossProfiles, Scalar


class Published(nn.Module):
    """The paper's predictor: sees the profile alone, 31 cells receptive field, 9,113 weights at length 10."""

    def __init__(self, length: int = 10) -> None:
        super().__init__()
        widths = [length, 32, 16, 8, 4]
        layers = [_conv(widths[i], widths[i + 1], dilation=2**i) for i in range(4)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4, 1, 1))

    def forward(self, profiles: LossProfiles, canvases: Images | None = None) -> Logits:  # noqa: ARG002
        logits: Tensor = self.layers(profiles)
        return logits[:, 0]


class Compact(nn.Module):
    """A predictor that may see the canvas beside the profile.

    The profile enters as logarithm, centred and scaled by running statistics: errors differ by
    orders of magnitude between snapshots, and their ratios are what tells.
    """

    def __init__(self, length: int, channels: int, config: PredictorConfig) -> None:
        super().__init__()
        self.inputs = config.inputs
        width, half = config.width, max(1, config.width // 2)
        seen = {"profile": length, "canvas": channels, "both": length + channels}[config.inputs]
        self.scale = nn.BatchNorm2d(length, affine=False)
        self.layers = nn.Sequential(
            _conv(seen, width, side=1), _conv(width, width), _conv(width, width, dilation=2),
            _conv(width, half, dilation=4), _conv(half, half, dilation=8), nn.Conv2d(half, 1, 1),
        )  # fmt: skip

    def forward(self, profiles: LossProfiles, canvases: Images) -> Logits:
        seen = {
            "profile": lambda: self._scaled(profiles),
            "canvas": lambda: canvases,
            "both": lambda: torch.cat([self._scaled(profiles), canvases], dim=1),
        }[self.inputs]()
        logits: Tensor = self.layers(seen)
        return logits[:, 0]

    def _scaled(self, profiles: LossProfiles) -> LossProfiles:
        scaled: Tensor = self.scale(torch.log(profiles + 1e-6))
        return scaled


def build(config: PredictorConfig, length: int, channels: int) -> Published | Compact:
    if config.kind == "published":
        return Published(length)
    return Compact(length, channels, config)


def prediction_loss(
    logits: Logits, coverage: Coverage, normal_weight: float = 1.0, dice_weight: float = 0.0
) -> Scalar:
    """Weighted cross-entropy (the paper), plus the Dice loss where it has weight.

    loss = -mean[y log p + alpha (1 - y) log(1 - p)] + dice_weight (1 - Dice(p, y)),
    with p = sigmoid(logits), y = coverage and alpha = normal_weight.
    """
    positive = coverage * F.logsigmoid(logits)
    negative = (1 - coverage) * F.logsigmoid(-logits)
    cross_entropy = -(positive + normal_weight * negative).mean()
    if dice_weight == 0:
        return cross_entropy
    return cross_entropy + dice_weight * (1 - _dice(logits.sigmoid(), coverage))


def normal_weight(config: PredictorConfig, update: int) -> float:
    """alpha = max(0, 1 - j / normal_decay) after j autoencoder updates.

    >>> normal_weight(PredictorConfig(normal_decay=9000), 900)
    0.9
    """
    if config.normal_decay is None:
        return 1.0
    return max(0.0, 1 - update / config.normal_decay)


def _dice(probabilities: Logits, coverage: Coverage) -> Scalar:
    return (2 * (probabilities * coverage).sum() + 1) / (probabilities.sum() + coverage.sum() + 1)


def _conv(inputs: int, outputs: int, dilation: int = 1, side: int = 3) -> nn.Sequential:
    padding = dilation * (side // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=padding, dilation=dilation),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )
