"""The paper's predictor, which learns while the autoencoder does and makes R_pred; no detector keeps it."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from flawtrace.ground.config import Config
from flawtrace.ground.devices import rows_together
from flawtrace.ground.learner import Learner, derive, seeded
from flawtrace.ground.shapes import LossProfiles, Scalar
from flawtrace.method import predictor
from flawtrace.method.material import Material, covered
from flawtrace.method.predictor import Published


class OnlinePredictor:
    """Sees the loss profiles of a few labelled images, the *tracked* ones, each time that they grow.

    One lives through all cycles; `begin` says that a new cycle tracks other images.
    """

    def __init__(self, material: Material, config: Config) -> None:
        self._material = material
        self._config = config
        with seeded(derive(config.seed, 1)):
            network = Published(config.profile.length * len(material.scales), config.predictor.log_floor)
        self.learner = Learner(network.to(material.canvases.device), lr=config.predictor.lr)
        self.loss: float | None = None
        """On the profiles of all tracked images, before it learnt from them; None before they are full."""
        self.begin(torch.arange(0))

    def begin(self, tracked: Int[Tensor, " n"]) -> None:
        """A new cycle: nothing has been measured in it yet."""
        self.tracked = tracked
        self.loss = None
        self._reward = torch.zeros(())
        self._loss_left: float | None = None

    def learn(self, profiles: LossProfiles, update: int, rng: torch.Generator) -> None:
        """A few steps on full profiles at autoencoder update `update`, and what they are worth as R_pred."""
        self.loss = self.measured(profiles, update)
        if self._config.reward.prediction_as == "value":
            self._reward = torch.tensor(-self.loss)
            self._train(profiles, update, rng)
            return
        if self._loss_left is not None:
            self._reward = torch.tensor(self._loss_left - self.loss)
        self._train(profiles, update, rng)
        self._loss_left = self.measured(profiles, update)

    def take_reward(self) -> Tensor:
        """R_pred of this update, one number for all walkers; a decrease is paid once."""
        reward = self._reward
        if self._config.reward.prediction_as == "decrease":
            self._reward = torch.zeros(())
        return reward

    @torch.no_grad()
    def measured(self, profiles: LossProfiles, update: int) -> float:
        """The loss on the profiles of all tracked images."""
        network = self.learner.network.eval()
        total = torch.zeros((), dtype=torch.float64, device=profiles.device)
        for chosen in rows_together(len(profiles), profiles.device):
            total += len(chosen) * self.loss_on(network, profiles, chosen, update).double()
        return float(total) / len(profiles)

    def loss_on(
        self, network: Published, profiles: LossProfiles, chosen: Int[Tensor, " m"], update: int
    ) -> Scalar:
        """Of `network` on the profiles of the chosen tracked images."""
        config = self._config.predictor
        logits = network(profiles[chosen])
        weight = predictor.normal_weight(config, update)
        rows, ignored = self.tracked[chosen], self._material.labelled_ignored
        coverage = self._material.labelled_coverage[rows]
        touched = None if ignored is None else covered(ignored[rows], coverage.shape[1]) > 0
        return predictor.prediction_loss(logits, coverage, weight, config.dice_weight, touched)

    def state(self) -> dict[str, Any]:
        return {
            "tracked": self.tracked,
            "predictor": self.learner.state(),
            "prediction_loss": self.loss,
            "prediction_reward": self._reward,
            "loss_left": self._loss_left,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.tracked = state["tracked"]
        self.learner.load(state["predictor"])
        self.loss = state["prediction_loss"]
        self._reward = state["prediction_reward"]
        self._loss_left = state["loss_left"]

    def _train(self, profiles: LossProfiles, update: int, rng: torch.Generator) -> None:
        """A few steps on random batches of the tracked images."""
        config, network = self._config.predictor, self.learner.network.train()
        for _ in range(config.steps_per_observation):
            chosen = torch.randperm(len(profiles), generator=rng)[: config.batch]
            self.learner.step(self.loss_on(network, profiles, chosen, update))
