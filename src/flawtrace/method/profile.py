"""Loss profiles: how the reconstruction error of every cell went while an autoencoder learned."""

from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.ground.devices import batches
from flawtrace.ground.shapes import ErrorMaps, Images, LossProfiles, ScaleErrors


def error_maps(images: Images, reconstructions: Images) -> ErrorMaps:
    """Mean absolute error over channels, one value per cell."""
    return (images - reconstructions).abs().mean(dim=1)


def scale_errors(images: Images, reconstructions: Images, scales: Sequence[int]) -> ScaleErrors:
    """Mean absolute error over the channels of each scale; `scales` says how many channels each has."""
    errors = (images - reconstructions).abs().contiguous(memory_format=torch.channels_last)
    return F.conv2d(errors, _averaging(scales).to(images))


def _averaging(scales: Sequence[int]) -> Float[Tensor, "scales c 1 1"]:
    """The mean of each scale as a convolution, which runs three times as fast as a mean over channels."""
    owners = [index for index, count in enumerate(scales) for _ in range(count)]
    shares = [[(owner == index) / count for owner in owners] for index, count in enumerate(scales)]
    return torch.tensor(shares)[:, :, None, None]


def laid_out(canvases: Images) -> Images:
    """In single precision, and in memory as convolutions on a processor like it."""
    return canvases.float().contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def observe(autoencoder: nn.Module, canvases: Images, scales: Sequence[int]) -> ScaleErrors:
    """Errors on whole canvases, of any float type, as float32; leaves the autoencoder's mode as it was.

    The autoencoder is read as in use, with its running statistics: each image's map depends on that
    image alone.
    """
    training = autoencoder.training
    autoencoder.eval()
    maps = [_errors(autoencoder, batch, scales) for batch in batches(canvases)]
    autoencoder.train(training)
    return torch.cat(maps)


class History:
    """The last `length` observations of one autoencoder: its errors, and its weights at that moment."""

    def __init__(self, length: int, scales: Sequence[int]) -> None:
        self.length = length
        self.scales = tuple(scales)
        self._maps: deque[ScaleErrors] = deque(maxlen=length)
        self._weights: deque[dict[str, Tensor]] = deque(maxlen=length)

    def observe(self, autoencoder: nn.Module, canvases: Images) -> None:
        self._maps.append(observe(autoencoder, canvases, self.scales))
        self._weights.append({name: weight.clone() for name, weight in autoencoder.state_dict().items()})

    @property
    def full(self) -> bool:
        return len(self._maps) == self.length

    def profiles(self) -> LossProfiles:
        """Of the observed canvases, oldest errors first."""
        return torch.cat(tuple(self._maps), dim=1).contiguous()

    def snapshots(self, autoencoder: nn.Module) -> list[nn.Module]:
        """Copies of `autoencoder` with the weights of each observation, oldest first."""
        copies = []
        for weights in self._weights:
            copy = deepcopy(autoencoder)
            copy.load_state_dict(weights)
            copies.append(copy.eval().requires_grad_(False))
        return copies

    def state(self) -> dict[str, Any]:
        return {"maps": list(self._maps), "weights": list(self._weights)}

    def load(self, state: dict[str, Any], device: torch.device) -> None:
        self._maps = deque((maps.to(device) for maps in state["maps"]), maxlen=self.length)
        self._weights = deque(state["weights"], maxlen=self.length)


def _errors(autoencoder: nn.Module, canvases: Images, scales: Sequence[int]) -> ScaleErrors:
    whole = laid_out(canvases)
    return scale_errors(whole, autoencoder(whole), scales)
