"""One autoencoder cycle as the world in which the sampler acts, also as a Gymnasium environment."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from flawtrace.ground.config import Config, RewardConfig
from flawtrace.ground.devices import learning, rows_together
from flawtrace.ground.learner import Learner, derive, generator, seeded
from flawtrace.ground.shapes import ErrorMaps, Images, LossProfiles, PerWalker, Scalar
from flawtrace.method import autoencoder, predictor
from flawtrace.method.material import Material
from flawtrace.method.patches import MOVES, crop, mean_under, standardized, static_maps
from flawtrace.method.predictor import Published
from flawtrace.method.profile import History, error_maps, observe, scale_errors
from flawtrace.method.walkers import CHANNELS, Geometry, Places, Walkers

Autoencoder = autoencoder.Published | autoencoder.Compact


CREDITED = 4
"""Followed images from which the predictor's gradient is taken, for credit per patch."""
NUDGE = 0.01
"""How far the weights are moved along that gradient, to and fro; their own norm is above 1."""


MEANS = ("clone", "cover", "prediction", "defective", "exploration", "reward")
"""What of an update's feedback are means over the walkers."""


@dataclass(frozen=True)
class Feedback:
    """What one update did: losses, the reward and its parts as means over the walkers."""

    update: int
    reconstruction_loss: float
    prediction_loss: float | None
    beta: float
    clone: float
    cover: float
    prediction: float
    defective: float
    """Share of the sampled cells that are defective."""
    exploration: float
    """beta (R_clone + R_cover), weighted: the part of the reward that is not about the predictor."""
    reward: float


class Cycle:
    """The autoencoder's life from one reset to the next, with the walkers that feed it.

    Autoencoder and predictor learn in `advance`; the sampler learns outside, from the rewards.
    """

    def __init__(self, material: Material, statics: ErrorMaps, config: Config) -> None:
        self.config = config
        self.material = material
        cell, sampler = config.cell, config.sampler
        geometry = Geometry(
            sampler.walkers, sampler.patch_side // cell, sampler.crop_side // cell, sampler.stride // cell
        )
        self.walkers = Walkers(material.images, statics, geometry)
        self.history = History(config.profile.length, material.scales)
        self.updates_before = 0
        """Autoencoder updates of earlier cycles: j of the decays is these plus this cycle's."""
        self.update = 0
        self.predictor = self._new_predictor()
        texture = material.texture
        self._texture = (
            standardized(texture, geometry.patch) if config.reward.standardized_texture else texture
        )
        self.begin(config.seed)

    def begin(self, seed: int, updates: int | None = None) -> None:
        """Start over: new walks, an empty history, and (unless dropout gives diversity) a new autoencoder.

        The cycle takes as many updates as the settings say, or `updates`.
        """
        self.seed = seed
        self.updates = updates or self.config.updates
        self._observed = frozenset(self.config.observed(self.updates))
        self.rng = generator(seed)
        self.updates_before += self.update
        first, self.update = self.updates_before == 0, 0
        if first or self.config.autoencoder.diversity == "reset":
            self.autoencoder = self._new_autoencoder(seed)
        self.history = History(self.config.profile.length, self.material.scales)
        self.walkers.begin(self.rng)
        count = min(self.config.profile.tracked, len(self.material.labelled))
        self.tracked = torch.randperm(len(self.material.labelled), generator=self.rng)[:count]
        self._prediction_loss: float | None = None
        self._prediction_reward = torch.zeros(())
        self._loss_left: float | None = None
        self._uphill: dict[str, Tensor] = {}
        self._credit: PerWalker | None = None

    def forget(self) -> None:
        """Be as if no cycle had been: a new predictor, and the decays at their start. Then `begin`."""
        self.updates_before = self.update = 0
        self.predictor = self._new_predictor()

    @property
    def over(self) -> bool:
        return self.update == self.updates

    def advance(self, places: Places) -> tuple[PerWalker, Feedback]:
        """One update, in the paper's order; returns each walker's reward.

        The autoencoder trains on the patches at `places`; the error maps that it then makes extend the
        loss profiles; the predictor trains on those; what all this was worth is the reward.
        """
        visits = self.walkers.visits_under(places)
        with learning(self.material.canvases.device):
            reconstruction_loss = self.reconstruct(places)
            self.update += 1
            if self.update in self._observed:
                self._observe()
        return self._reward(places, visits, reconstruction_loss)

    def reconstruct(self, places: Places) -> float:
        """Train the autoencoder once on the patches at `places`; returns its loss."""
        network, config, walkers = self.autoencoder.network, self.config.autoencoder, self.walkers
        walkers.go(places)
        patches = crop(self.material.canvases, places.images, places.centers, walkers.geometry.patch)
        if config.diversity == "bottleneck_dropout":
            network.bottleneck.drop(config.dropout, self.rng)
        self._credit = self._credited(patches)
        reconstructions = network.train()(patches)
        walkers.remember(error_maps(patches, reconstructions).detach())
        return self.autoencoder.step(autoencoder.reconstruction_loss(patches, reconstructions))

    def state(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "updates": self.updates,
            "update": self.update,
            "updates_before": self.updates_before,
            "rng": self.rng.get_state(),
            "tracked": self.tracked,
            "autoencoder": self.autoencoder.state(),
            "predictor": self.predictor.state(),
            "history": self.history.state(),
            "walkers": self.walkers.state(),
            "prediction_loss": self._prediction_loss,
            "prediction_reward": self._prediction_reward,
            "loss_left": self._loss_left,
            "uphill": self._uphill,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.seed = state["seed"]
        self.updates = state["updates"]
        self._observed = frozenset(self.config.observed(self.updates))
        self.update = state["update"]
        self.updates_before = state["updates_before"]
        self.rng.set_state(state["rng"])
        self.tracked = state["tracked"]
        self.autoencoder.load(state["autoencoder"])
        self.predictor.load(state["predictor"])
        self.history.load(state["history"], self.material.canvases.device)
        self.walkers.load(state["walkers"])
        self._prediction_loss = state["prediction_loss"]
        self._prediction_reward = state["prediction_reward"]
        self._loss_left = state["loss_left"]
        device = self.material.canvases.device
        self._uphill = {name: slope.to(device) for name, slope in state["uphill"].items()}

    def _new_autoencoder(self, seed: int) -> Learner[Autoencoder]:
        with seeded(seed):
            network = autoencoder.build(self.config.autoencoder, self.material.canvases.shape[1])
        return Learner(network.to(self.material.canvases.device), lr=self.config.autoencoder.lr)

    def _new_predictor(self) -> Learner[Published]:
        config = self.config
        with seeded(derive(config.seed, 1)):
            maps = config.profile.length * len(self.material.scales)
            network = Published(maps)
        return Learner(network.to(self.material.canvases.device), lr=config.predictor.lr)

    def _observe(self) -> None:
        """Extend the profiles of the tracked images and, once they are full, train the predictor on them."""
        self.history.observe(self.autoencoder.network, self.material.labelled[self.tracked])
        if not self.history.full:
            return
        profiles = self.history.profiles()
        self._prediction_loss = self._measured(profiles)
        if self.config.reward.credit == "per-patch":
            self._uphill = self._gradient(profiles)
        if self.config.reward.prediction_as == "value":
            self._prediction_reward = torch.tensor(-self._prediction_loss)
            self._train_predictor(profiles)
            return
        if self._loss_left is not None:
            self._prediction_reward = torch.tensor(self._loss_left - self._prediction_loss)
        self._train_predictor(profiles)
        self._loss_left = self._measured(profiles)

    @torch.no_grad()
    def _measured(self, profiles: LossProfiles) -> float:
        """The predictor's loss on the profiles of all tracked images."""
        network = self.predictor.network.eval()
        total = torch.zeros((), dtype=torch.float64, device=profiles.device)
        for chosen in rows_together(len(profiles), profiles.device):
            total += len(chosen) * self._loss(network, profiles, chosen).double()
        return float(total) / len(profiles)

    def _gradient(self, profiles: LossProfiles) -> dict[str, Tensor]:
        """Of the predictor's loss by the autoencoder's weights, through the newest errors, at length 1."""
        network, scales = self.autoencoder.network.eval(), self.material.scales
        weights = dict(network.named_parameters())
        chosen = torch.arange(min(len(profiles), CREDITED))
        canvases = self.material.labelled[self.tracked[chosen]].float()
        newest = scale_errors(canvases, network(canvases), scales)
        seen = torch.cat([profiles[chosen, : -len(scales)], newest], dim=1)
        loss = self._loss(self.predictor.network.eval(), seen, torch.arange(len(chosen)))
        slopes = torch.autograd.grad(loss, list(weights.values()))
        norm = torch.sqrt(torch.stack([slope.square().sum() for slope in slopes]).sum()) + 1e-12
        return {name: slope / norm for name, slope in zip(weights, slopes, strict=True)}

    @torch.no_grad()
    def _credited(self, patches: Images) -> PerWalker | None:
        """How far a step on each patch brings the predictor's loss down, in deviations over the patches.

        A step on patch i moves the weights along -grad l_i, which to first order changes the predictor's loss
        L by -grad l_i . grad L. All these products are one derivative of the losses l along grad L, taken
        here as a central difference.
        """
        if not self._uphill:
            return None
        network = self.autoencoder.network.eval()

        def losses(step: float) -> PerWalker:
            moved = {name: weight + step * self._uphill[name] for name, weight in network.named_parameters()}
            return autoencoder.patch_losses(patches, functional_call(network, moved, (patches,)))

        products = losses(NUDGE) - losses(-NUDGE)
        return products / (products.square().mean().sqrt() + 1e-12)

    def _train_predictor(self, profiles: LossProfiles) -> None:
        """A few steps on random batches of the tracked images."""
        config, network = self.config.predictor, self.predictor.network.train()
        for _ in range(config.steps_per_observation):
            chosen = torch.randperm(len(profiles), generator=self.rng)[: config.batch]
            self.predictor.step(self._loss(network, profiles, chosen))

    def _loss(self, network: Published, profiles: LossProfiles, chosen: Int[Tensor, " m"]) -> Scalar:
        config, rows = self.config.predictor, self.tracked[chosen]
        logits = network(profiles[chosen])
        weight = predictor.normal_weight(config, self.updates_before + self.update)
        coverage = self.material.labelled_coverage[rows]
        return predictor.prediction_loss(logits, coverage, weight, config.dice_weight)

    def _taken_prediction_reward(self) -> Tensor:
        """R_pred of this update: one number, or one per walker; a decrease is paid once."""
        weights, reward = self.config.reward, self._prediction_reward
        if weights.credit == "per-patch":
            return torch.zeros(()) if self._credit is None else self._credit
        if weights.prediction_as == "decrease":
            self._prediction_reward = torch.zeros(())
        return reward

    def _reward(
        self, places: Places, visits: PerWalker, reconstruction_loss: float
    ) -> tuple[PerWalker, Feedback]:
        side, weights = self.walkers.geometry.patch, self.config.reward
        clone = mean_under(self._texture, places.images, places.centers, side).sigmoid()
        cover = -visits.sigmoid()
        share = beta(weights, self.updates_before + self.update)
        prediction = self._taken_prediction_reward()
        rewards = composite_reward(clone, cover, prediction, share, weights)
        defective = mean_under(self.material.coverage, places.images, places.centers, side)
        exploration = share * (weights.clone * clone + weights.cover * cover)
        means = [part.mean() for part in (clone, cover, prediction, defective, exploration, rewards)]
        told = torch.stack([mean.to(rewards.device) for mean in means]).tolist()  # the device is asked once
        return rewards, Feedback(
            update=self.update,
            reconstruction_loss=reconstruction_loss,
            prediction_loss=self._prediction_loss,
            beta=share,
            **dict(zip(MEANS, told, strict=True)),
        )


def beta(config: RewardConfig, update: int) -> float:
    """Share of exploration in the reward: beta = max(0, 1 - j / decay) at autoencoder update j.

    >>> beta(RewardConfig(decay=5000), 500)
    0.9
    """
    return max(0.0, 1 - update / config.decay)


def composite_reward(
    clone: PerWalker, cover: PerWalker, prediction: Tensor, beta: float, weights: RewardConfig
) -> PerWalker:
    """R = beta (R_clone + R_cover) + (1 - beta) R_pred, each part times its weight.

    R_clone and R_cover belong to the walker that earned them; R_pred is shared.
    """
    exploration = weights.clone * clone + weights.cover * cover
    return beta * exploration + (1 - beta) * weights.prediction * prediction


def scout(material: Material, config: Config) -> ErrorMaps:
    """Static maps of all training images, with the errors of an autoencoder trained beforehand for a cycle.

    That one trains on patches from anywhere, without policy or predictor.
    """
    cycle = Cycle(material, torch.zeros_like(material.coverage), config)
    for _ in range(config.updates):
        cycle.reconstruct(cycle.walkers.anywhere(cycle.rng))
    errors = observe(cycle.autoencoder.network, material.canvases, (material.canvases.shape[1],))
    return static_maps(material.images, errors[:, 0])


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
