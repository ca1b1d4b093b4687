"""What tests of policies that learn share."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from flawtrace.method.sampler import Learned
from flawtrace.method.selecting import Selecting
from flawtrace.method.walkers import Walkers


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(chooser: Learned | Selecting) -> torch.Tensor:
    return nn.utils.parameters_to_vector(chooser.policy.parameters()).detach().clone()


def stop_and_go_on(
    chooser: Any,
    other: Any,
    walkers: Walkers,
    steps: Callable[..., None],
    saved: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Load `other` with what is `saved` of `chooser` in mid-rollout, and let both go on alike."""
    rng = generator()
    for _ in range(2):
        walkers.begin(rng)
        steps(chooser, walkers, rng)
        chooser.learn(rng)
    steps(chooser, walkers, rng, count=2)
    other.load(saved(chooser.state()))
    for each, its_walkers in ((chooser, deepcopy(walkers)), (other, walkers)):
        rng = generator(8)
        steps(each, its_walkers, rng)
        each.learn(rng)
