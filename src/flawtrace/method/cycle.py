"""One autoencoder cycle: the world in which the sampler acts. One update of the paper is `Cycle.advance`."""

from typing import Any

import torch
from torch import Tensor

from flawtrace.ground.config import Config
from flawtrace.ground.devices import batches, learning
from flawtrace.ground.learner import Learner, generator, seeded
from flawtrace.ground.shapes import ErrorMaps, Images, PerWalker
from flawtrace.method import autoencoder
from flawtrace.method.autoencoder import Autoencoder
from flawtrace.method.credit import credited, uphill
from flawtrace.method.material import Material
from flawtrace.method.memory import Memory
from flawtrace.method.online import OnlinePredictor
from flawtrace.method.patches import crop, mean_under, standardized, static_maps
from flawtrace.method.profile import History, error_maps, observe
from flawtrace.method.reward import MEANS, Feedback, beta, rewarded
from flawtrace.method.walkers import Geometry, Places, Terrain, Walkers


class Cycle:
    """The autoencoder's life from one reset to the next, with the walkers that feed it.

    Autoencoder and predictor learn in `advance`; the sampler learns outside, from the rewards.
    """

    def __init__(self, material: Material, statics: ErrorMaps, config: Config) -> None:
        self.config = config
        self.material = material
        ground = terrain(material, config) if config.sampler.kind == "selecting" else None
        self.walkers = Walkers(material.images, statics, geometry_of(config), ground)
        self.updates_before = 0
        """Autoencoder updates of earlier cycles: j of the decays is these plus this cycle's."""
        self.update = 0
        self.online = OnlinePredictor(material, config)
        self._texture = (
            standardized(material.texture, self.walkers.geometry.patch)
            if config.reward.standardized_texture
            else material.texture
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
        self.online.begin(torch.randperm(len(self.material.labelled), generator=self.rng)[:count])
        self._uphill: dict[str, Tensor] = {}

    def forget(self) -> None:
        """Be as if no cycle had been: a new predictor, and the decays at their start. Then `begin`."""
        self.updates_before = self.update = 0
        self.online = OnlinePredictor(self.material, self.config)

    def take_up(self, updates_before: int, predictor: dict[str, Any]) -> None:
        """Be as if cycles of so many updates had been, and had left a predictor in this state. Then `begin`.

        Nothing else of earlier cycles counts, unless dropout gives diversity: then their autoencoder does.
        """
        self.updates_before, self.update = updates_before, 0
        self.online.learner.load(predictor)

    @property
    def over(self) -> bool:
        return self.update == self.updates

    @property
    def total_updates(self) -> int:
        """j: the autoencoder's updates so far, earlier cycles included."""
        return self.updates_before + self.update

    def advance(self, places: Places) -> tuple[PerWalker, Feedback]:
        """One update, in the paper's order; returns each walker's reward.

        The autoencoder trains on the patches at `places`; the error maps that it then makes extend the
        loss profiles; the predictor trains on those; what all this was worth is the reward.
        """
        visits = self.walkers.visits_under(places)
        with learning(self.material.canvases.device):
            patches = self._sampled(places)
            prediction_credit = self._credited(patches)
            reconstruction_loss = self._reconstruct(patches)
            self.update += 1
            if self.update in self._observed:
                self._observe()
        prediction = self.online.take_reward() if prediction_credit is None else prediction_credit
        return self._reward(places, visits, prediction, reconstruction_loss)

    def reconstruct(self, places: Places) -> float:
        """Train the autoencoder once on the patches at `places`, and nothing else; returns its loss."""
        return self._reconstruct(self._sampled(places))

    def state(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "updates": self.updates,
            "update": self.update,
            "updates_before": self.updates_before,
            "rng": self.rng.get_state(),
            "autoencoder": self.autoencoder.state(),
            "history": self.history.state(),
            "walkers": self.walkers.state(),
            "uphill": self._uphill,
            **self.online.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.seed = state["seed"]
        self.updates = state["updates"]
        self._observed = frozenset(self.config.observed(self.updates))
        self.update = state["update"]
        self.updates_before = state["updates_before"]
        self.rng.set_state(state["rng"])
        self.autoencoder.load(state["autoencoder"])
        device = self.material.canvases.device
        self.history.load(state["history"], device)
        self.walkers.load(state["walkers"])
        self._uphill = {name: slope.to(device) for name, slope in state["uphill"].items()}
        self.online.load(state)

    def _new_autoencoder(self, seed: int) -> Learner[Autoencoder]:
        with seeded(seed):
            network = autoencoder.build(self.config.autoencoder, self.material.canvases.shape[1])
        return Learner(network.to(self.material.canvases.device), lr=self.config.autoencoder.lr)

    def _sampled(self, places: Places) -> Images:
        """The walkers go to `places`, and the autoencoder is made ready for the patches there."""
        self.walkers.go(places)
        config = self.config.autoencoder
        if config.diversity == "bottleneck_dropout":
            self.autoencoder.network.bottleneck.drop(config.dropout, self.rng)
        return crop(self.material.canvases, places.images, places.centers, self.walkers.geometry.patch)

    def _reconstruct(self, patches: Images) -> float:
        reconstructions = self.autoencoder.network.train()(patches)
        self.walkers.remember(error_maps(patches, reconstructions).detach())
        return self.autoencoder.step(autoencoder.reconstruction_loss(patches, reconstructions))

    def _credited(self, patches: Images) -> Tensor | None:
        """R_pred of each walker, with credit per patch; None where all share one."""
        if self.config.reward.credit == "shared":
            return None
        return credited(self.autoencoder.network, patches, self._uphill) if self._uphill else torch.zeros(())

    def _observe(self) -> None:
        """Extend the profiles of the tracked images; once they are full, the predictor learns from them."""
        network, online = self.autoencoder.network, self.online
        self.history.observe(network, self.material.labelled[online.tracked])
        if not (self.history.full and len(online.tracked)):
            return
        profiles = self.history.profiles()
        if self.config.reward.credit == "per-patch":
            self._uphill = uphill(network, online, profiles, self.material, self.total_updates)
        online.learn(profiles, self.total_updates, self.rng)

    def _reward(
        self, places: Places, visits: PerWalker, prediction: Tensor, reconstruction_loss: float
    ) -> tuple[PerWalker, Feedback]:
        material, weights = self.material, self.config.reward
        texture, defective = (
            mean_under(maps, places.images, places.centers, self.walkers.geometry.patch)
            for maps in (self._texture, material.coverage)
        )
        share = beta(weights, self.total_updates)
        rewards, parts = rewarded(texture, visits, prediction, share, weights)
        means = [(parts | {"defective": defective})[name].mean() for name in MEANS]
        values = torch.stack([mean.to(rewards.device) for mean in means]).tolist()  # the device is asked once
        return rewards, Feedback(
            update=self.update,
            reconstruction_loss=reconstruction_loss,
            prediction_loss=self.online.loss,
            beta=share,
            **dict(zip(MEANS, values, strict=True)),
        )


def geometry_of(config: Config) -> Geometry:
    """Of the walkers, in cells."""
    sampler, cell = config.sampler, config.cell
    return Geometry(
        sampler.walkers, sampler.patch_side // cell, sampler.crop_side // cell, sampler.stride // cell
    )


def scout(material: Material, config: Config) -> ErrorMaps:
    """Static maps of all training images, with the errors of an autoencoder trained beforehand for a cycle.

    That one trains on patches from anywhere, without policy or predictor.
    """
    config = config.model_copy(update={"sampler": config.sampler.model_copy(update={"kind": "uniform"})})
    cycle = Cycle(material, torch.zeros_like(material.coverage), config)
    for _ in range(config.updates):
        cycle.reconstruct(cycle.walkers.anywhere(cycle.rng))
    errors = observe(cycle.autoencoder.network, material.canvases, (material.canvases.shape[1],))
    return static_maps(material.images, errors[:, 0])


@torch.no_grad()
def terrain(material: Material, config: Config) -> Terrain:
    """What a policy that selects sees of all training images beside error, visits and static map.

    The memory needs canvases alone, so it can be asked before there is an autoencoder, while novelty is of
    reconstructions by the last one. A normal image does not count for itself; no label has a part in it.
    """
    canvases, unknown = material.canvases, torch.full((material.num_labelled,), -1)
    memory = Memory(canvases.shape[1], canvases.shape[2]).to(canvases.device)
    memory.fit(canvases[: material.num_normal], material.sources)
    own = torch.cat([material.sources.cpu(), unknown]).to(canvases.device)
    distances = torch.cat([memory(*part) for part in zip(batches(canvases), batches(own), strict=True)])
    return Terrain(standardized(material.texture, geometry_of(config).patch), distances)
