"""A network and its optimizer: made together and replaced together."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from flawtrace.ground.shapes import Scalar

Network = TypeVar("Network", bound=nn.Module)
MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's global generator starts from `seed`; outside, it is as it was.

    Layers draw their first weights from that generator, so networks are built in here.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251
        yield


def derive(seed: int, *path: int) -> int:
    """An independent seed for each use of one seed.

    >>> derive(42, 1) != derive(42, 2)
    True
    """
    mixed = seed
    for part in path:
        mixed = (mixed * 6364136223846793005 + part + 1442695040888963407) % 2**63
    return (mixed ^ (mixed >> 29)) % 2**63


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Learner(Generic[Network]):
    """Made together and replaced together, so an optimizer never outlives its network."""

    def __init__(
        self, network: Network, lr: float = 1e-3, make_optimizer: MakeOptimizer | None = None
    ) -> None:
        self.network = network
        make = make_optimizer or (lambda weights: Adam(weights, lr=lr))
        self._optimizer = make(network.parameters())

    def step(self, loss: Scalar, max_norm: float | None = None) -> float:
        """One optimizer step down `loss`; returns its value."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), max_norm)
        self._optimizer.step()
        return float(loss.detach())

    def set_lr(self, lr: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


def averaged(states: Sequence[Any]) -> Any:
    """The mean of states of learners that began alike and took as many steps: of each tensor with numbers.

    Whatever else is in them is alike, and that of the first.

    >>> averaged([{"step": torch.tensor(4.0)}, {"step": torch.tensor(4.0)}])
    {'step': tensor(4.)}
    """
    first = states[0]
    if isinstance(first, dict):
        return {key: averaged([state[key] for state in states]) for key in first}
    if isinstance(first, Tensor) and first.is_floating_point():
        return torch.stack(list(states)).mean(dim=0) if len(states) > 1 else first
    return first
