"""Loss profiles: how the reconstruction error of every cell went while an autoencoder learned."""

from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from flawtrace.shapes import ErrorMaps, Images, LossProfiles

BATCH = 16
"""Canvases that go through an autoencoder at once; more is not faster and takes memory."""


def error_maps(images: Images, reconstructions: Images) -> ErrorMaps:
    """Mean absolute error over channels, one value per cell."""
    return (images - reconstructions).abs().mean(dim=1)


@torch.no_grad()
def observe(autoencoder: nn.Module, canvases: Images) -> ErrorMaps:
    """Error maps of whole canvases, of any float type, as float32; leaves the autoencoder's mode as it was.

    The autoencoder is read as in use, with its running statistics: each image's map depends on that
    image alone.
    """
    training = autoencoder.training
    autoencoder.eval()
    maps = [
        _error_maps(autoencoder, canvases[start : start + BATCH]) for start in range(0, len(canvases), BATCH)
    ]
    autoencoder.train(training)
    return torch.cat(maps)


def loss_profiles(snapshots: Sequence[nn.Module], canvases: Images) -> LossProfiles:
    """Channel k is how badly snapshot k reconstructs each cell."""
    return torch.stack([observe(snapshot, canvases) for snapshot in snapshots], dim=1)


class History:
    """The last `length` observations of one autoencoder: error maps, and its weights at that moment."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._maps: deque[ErrorMaps] = deque(maxlen=length)
        self._weights: deque[dict[str, Tensor]] = deque(maxlen=length)

    def observe(self, autoencoder: nn.Module, canvases: Images) -> None:
        self._maps.append(observe(autoencoder, canvases))
        self._weights.append({name: weight.clone() for name, weight in autoencoder.state_dict().items()})

    @property
    def full(self) -> bool:
        return len(self._maps) == self.length

    def profiles(self) -> LossProfiles:
        """Of the observed canvases, oldest map first."""
        return torch.stack(tuple(self._maps), dim=1)

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


def _error_maps(autoencoder: nn.Module, canvases: Images) -> ErrorMaps:
    canvases = canvases.float()
    return error_maps(canvases, autoencoder(canvases))
