"""A cycle as a Gymnasium environment, so that any library for reinforcement learning can drive it."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from flawtrace.method.cycle import Cycle
from flawtrace.method.patches import MOVES
from flawtrace.method.walkers import CHANNELS


class PatchEnv(VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]):
    """A `Cycle` for any library that speaks Gymnasium: one sub-environment per walker.

    Observations are crops (CHANNELS, crop, crop) in cells; actions 0 (next image) and 1 to 8 (shift).
    All walkers end together, after the cycle's last update; then call `reset`.
    """

    metadata = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}  # noqa: RUF012 (Gymnasium's form)

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        geometry = cycle.walkers.geometry
        self.num_envs = geometry.walkers
        shape = (CHANNELS, geometry.crop, geometry.crop)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, shape, np.float32)
        self.single_action_space = spaces.Discrete(len(MOVES))
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin the next cycle; with a seed, begin all over, so that the same seed gives the same rewards."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self.cycle.forget()
        self.cycle.begin(int(self.np_random.integers(2**31)))
        return self._observations(), {}

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        if self.cycle.over:
            raise gymnasium.error.ResetNeeded("The cycle is over; call reset() before step().")
        chosen = torch.as_tensor(actions)
        rewards, feedback = self.cycle.advance(self.cycle.walkers.moved(chosen, self.cycle.rng))
        over = np.full(self.num_envs, self.cycle.over)
        return self._observations(), rewards.cpu().numpy(), over, np.zeros_like(over), {"feedback": feedback}

    def _observations(self) -> NDArray[np.float32]:
        observations: NDArray[np.float32] = self.cycle.walkers.observe().cpu().numpy()
        return observations
