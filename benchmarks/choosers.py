"""Who chooses the squares on which the predictor trains.

The neural batch sampler, put where more depends on the choice than in the autoencoder's training. Walkers
stand on all images of the last fit: labelled ones, copies, pasted defects, normal ones. Each step of the
predictor is on the squares under them; then they go to the next image or shift, as on the autoencoder's
patches, and see the same six planes: colour, the predictor's error where they have been, visits, and the
static map, whose main part is the last error map of the loss profile. No mask is among them. The reward is
the paper's, with one change: R_pred is paid per walker, in deviations over the walkers. `hardness` is paid
for squares that are hard for the predictor (root of its cross-entropy there), `progress` for what the step on
them took from that cross-entropy.

`selecting` is paid as `progress` is. Its policy does not walk: it sees whole images, how far they
are from the memory of normal ones among it, and gives every square its probability.

`taught` is paid for what a step on the square does, to first order, for *other* squares: over labelled
defects, anywhere on labelled images, on normal ones. That pay tells squares apart early in a fit only, so
the policy is taught in short cycles, each with a new predictor, and paid from the 100th to the 350th step. It
sees novelty as its static map. The last fit draws from the squares that it chose in the last cycles.

`picked` does not walk: for each of three quarters of the squares a policy is offered 16 random ones and takes
one (`picking.py`). It is paid per square: for what the predictor misses there (root of its cross-entropy over
defective pixels) and, a third as much, for what it sees where nothing is; in deviations over the squares; and
R_cover. `rationed` is the same, and a square with a defect costs a price, which rises while more than two
fifths of the squares have one and falls while fewer have: where they are common, `picked` sees little else.

The other choosers have half of the squares under walkers, half anywhere. With all of them under walkers the
policy learns to stand on defects alone, and the predictor forgets what is normal.

`balanced` is the rule of `light`: a quarter of the squares each over labelled defects, anywhere on labelled
images, on normal images and over pasted defects.
"""

from typing import Any, Protocol

import torch
from picking import Picker
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from flawtrace.ground.config import Config
from flawtrace.ground.learner import derive, generator
from flawtrace.ground.shapes import ErrorMaps, Logits, PerWalker
from flawtrace.method import sampler
from flawtrace.method.material import Material
from flawtrace.method.patches import edges, mean_under, random_centers, standardized, static_maps
from flawtrace.method.predictor import Compact, Views, prediction_loss
from flawtrace.method.walkers import Geometry, Places, Terrain, Walkers
from flawtrace.pictures.turns import turned_back
from flawtrace.training.fitting import (
    Batch,
    Examples,
    Fit,
    Lesson,
    anywhere,
    joined,
    one_cycle,
    over_a_defect,
    turned_batch,
    under,
)

ROLLOUT = 16
"""Steps of the predictor after which the policy learns."""
WALKING = 0.5
"""Share of the squares that are under walkers; the others are anywhere."""
EXPLORING = 0.25
"""Share of the fit over which beta falls from 1 to 0."""
CYCLES, POOLED = 10, 4
"""Cycles in which the policy is taught, and of these the last ones, whose squares the last fit draws from."""
PAID = range(100, 350)
"""Steps of a cycle in which the policy chooses and is paid; before them, squares are anywhere."""
HELPED = 8
"""Squares of each of three kinds, for which a step is judged to be good or bad."""
NUDGE = 0.01
"""How far the weights are moved along the gradient of the squares to be helped, to and fro."""


PICKED, OFFERED = 0.75, 16
"""Share of the squares that a policy picks, and from how many each."""
ALARMS = 0.3
"""What a false alarm is worth to that policy, a miss being 1."""
RATION, HAGGLING = 0.4, 0.05
"""Share of its squares that may show a defect before they cost something, and how fast that price moves."""


class Chooser(Protocol):
    def draw(self) -> Batch: ...
    def credit(self, before: ErrorMaps, after: ErrorMaps, progress: float) -> None: ...


class Balanced:
    """The rule of `light`, which knows the masks."""

    def __init__(self, fit: Fit, learnt: Lesson) -> None:
        self._fit, self._learnt = fit, learnt

    def draw(self) -> Batch:
        return self._fit._batch(self._learnt)

    def credit(self, before: ErrorMaps, after: ErrorMaps, progress: float) -> None:
        pass


class Walking:
    """Squares under walkers that a sampler moves."""

    def __init__(self, kind: str, learnt: Lesson, config: Config, share: float = WALKING) -> None:
        self.examples = everything(learnt)
        self.cell, self.side = config.cell, config.predictor.crop_side // config.cell
        pictures = self.examples.views.pictures.float()
        grid = self.examples.coverage.shape[1]
        colour = F.adaptive_avg_pool2d(pictures, grid)
        texture = [F.adaptive_avg_pool2d(edges(some)[:, None], grid)[:, 0] for some in pictures.split(16)]
        self.texture = standardized(torch.cat(texture), self.side)
        last_errors = self.examples.views.profiles[:, -3:].mean(dim=1)
        self.batch = config.predictor.batch
        count = round(share * self.batch)
        geometry = Geometry(count, self.side, 2 * self.side, 3 * self.side // 8)
        terrain = Terrain(self.texture, self.examples.views.distances)
        self.walkers = Walkers(colour, static_maps(colour, last_errors), geometry, terrain)
        self.rng = generator(derive(config.seed, 8))
        self.kind = kind
        name: Any = "learned" if kind in ("hardness", "progress", "taught") else kind
        self.sampler = sampler.build(
            name, 2 * self.side, config.policy, derive(config.seed, 9), torch.device("cpu")
        )
        self.walkers.begin(self.rng)
        self.steps = 0

    def draw(self) -> Batch:
        places = self.sampler.place(self.walkers, self.rng)
        self.visits = self.walkers.visits_under(places)
        self.walkers.go(places)
        return self.filled_up(places)

    def filled_up(self, places: Places) -> Batch:
        """The squares at these places, and others anywhere."""
        grid = self.examples.coverage.shape[1]
        count = self.batch - len(places.images)
        elsewhere = torch.randint(len(self.examples), (count,), generator=self.rng)
        centers = random_centers(count, grid, grid, self.side, self.rng)
        images, centers = torch.cat([places.images, elsewhere]), torch.cat([places.centers, centers])
        return under(self.examples, images, centers, self.side, self.cell)

    def credit(self, before: ErrorMaps, after: ErrorMaps, progress: float) -> None:
        """Pay each walker for its square, and let the policy learn now and then."""
        count = len(self.walkers.places.images)
        before, after = before[:count], after[:count]
        self.remember(before)
        hardness, taken = before.mean(dim=(1, 2)).sqrt(), (before - after).mean(dim=(1, 2))
        paid = hardness if self.kind == "hardness" else taken
        prediction = standardized_over(paid)
        cover = -self.visits.sigmoid()
        beta = max(0.0, 1 - progress / EXPLORING)
        self.reward(beta * (self.clone() + cover) + (1 - beta) * (prediction + cover))

    def remember(self, errors: ErrorMaps) -> None:
        """Show the walkers the errors under them."""
        cells = F.adaptive_avg_pool2d(errors[:, None], self.side)[:, 0]
        self.walkers.remember(4 * cells.sqrt().clamp(max=1.0))

    def clone(self) -> PerWalker:
        """R_clone, for the texture under the walkers."""
        places = self.walkers.places
        return mean_under(self.texture, places.images, places.centers, self.side).sigmoid()

    def cover(self) -> PerWalker:
        """R_cover, against the mean visits."""
        return -(self.visits / (self.walkers.visits.mean() + 1e-6) - 1).clamp(-4, 4).sigmoid()

    def reward(self, rewards: PerWalker) -> None:
        self.sampler.credit(rewards)
        self.steps += 1
        if self.steps % ROLLOUT == 0:
            self.sampler.learn(self.rng)


class Picked(Walking):
    """Squares that a policy picks among random ones; with a `ration`, not too many with a defect."""

    def __init__(self, learnt: Lesson, config: Config, ration: float | None = None) -> None:
        super().__init__("uniform", learnt, config, share=PICKED)
        self.picker = Picker(2 * self.side, config.policy, derive(config.seed, 9))
        self.ration, self.price = ration, 0.0

    def draw(self) -> Batch:
        grid, count = self.examples.coverage.shape[1], self.walkers.geometry.walkers
        images = torch.randint(len(self.examples), (count * OFFERED,), generator=self.rng)
        offered = Places(images, random_centers(count * OFFERED, grid, grid, self.side, self.rng))
        self.walkers.places = offered
        seen = self.walkers.observe().unflatten(0, (count, OFFERED))
        rows = torch.arange(count) * OFFERED + self.picker.pick(seen, self.rng)
        places = Places(offered.images[rows], offered.centers[rows])
        self.visits = self.walkers.visits_under(places)
        self.walkers.go(places)
        batch = self.filled_up(places)
        self.masks = batch.masks[:count].float()
        return batch

    def credit(self, before: ErrorMaps, after: ErrorMaps, progress: float) -> None:  # noqa: ARG002
        """R_pred by the predictor's mistakes under each square before the step, and R_cover."""
        errors = before[: len(self.masks)]
        self.remember(errors)
        missed, alarmed = ((errors * where).mean(dim=(1, 2)).sqrt() for where in (self.masks, 1 - self.masks))
        prediction = standardized_over(missed + ALARMS * alarmed)
        self.picker.credit(prediction + self.cover() - self.charged(), self.rng)

    def charged(self) -> PerWalker:
        """What each square costs, because of the defect it shows; a Lagrange multiplier of the ration."""
        defective = self.masks.flatten(1).any(dim=1).float()
        if self.ration is not None:
            self.price = max(0.0, self.price + HAGGLING * (float(defective.mean()) - self.ration))
        return self.price * defective


class Taught(Walking):
    """Draws squares that a policy chose which was taught, in short cycles, what helps elsewhere."""

    def __init__(self, learnt: Lesson, config: Config, material: Material) -> None:
        super().__init__("taught", learnt, config)
        self.walkers.statics.copy_((self.examples.views.novelties / 6).clamp(0, 1))
        self.pool: list[Places] = []
        for cycle in range(CYCLES):
            fit = Fit(0, config.model_copy(update={"seed": derive(config.seed, 11, cycle)}), material)
            self.walkers.begin(self.rng)
            self._cycle(fit, learnt, config, cycle)

    def draw(self) -> Batch:
        chosen = self.pool[int(torch.randint(len(self.pool), (), generator=self.rng))]
        return self.filled_up(chosen)

    def credit(self, before: ErrorMaps, after: ErrorMaps, progress: float) -> None:
        pass

    def _cycle(self, fit: Fit, learnt: Lesson, config: Config, cycle: int) -> None:
        nobody = Places(torch.zeros(0, dtype=torch.long), torch.zeros(0, 2, dtype=torch.long))
        for index in range(PAID.start):
            trained(fit, self.filled_up(nobody), index, config)
        for index in PAID:
            batch, count = super().draw(), len(self.walkers.places.images)
            pay = helping(fit, batch, to_be_helped(learnt, config, self.rng))
            errors, _, _ = trained(fit, batch, index, config)
            self.remember(errors[:count])
            self._pay(pay[:count], exploring=float(cycle == 0))
            if cycle >= CYCLES - POOLED:
                self.pool.append(self.walkers.places)

    def _pay(self, helped: PerWalker, exploring: float) -> None:
        """The composite reward: R_pred in deviations over the walkers, R_cover against the mean visits."""
        prediction, cover = standardized_over(helped), self.cover()
        self.reward(exploring * (self.clone() + cover) + (1 - exploring) * (prediction + cover / 4))


def chosen_by(kind: str, fit: Fit, learnt: Lesson, config: Config, material: Material) -> Chooser:
    """The chooser of that name."""
    if kind == "balanced":
        return Balanced(fit, learnt)
    if kind == "taught":
        return Taught(learnt, config, material)
    if kind in ("picked", "rationed"):
        return Picked(learnt, config, RATION if kind == "rationed" else None)
    return Walking(kind, learnt, config)


def standardized_over(paid: PerWalker) -> PerWalker:
    """In deviations over the squares of a step, at most three."""
    return ((paid - paid.mean()) / (paid.std() + 1e-12)).clamp(-3, 3)


def to_be_helped(learnt: Lesson, config: Config, rng: torch.Generator) -> Batch:
    """Squares over labelled defects, anywhere on labelled images, and on normal ones."""
    side, cell = config.predictor.crop_side // config.cell, config.cell
    defective = learnt.labelled.with_defects
    chosen = defective[torch.randint(len(defective), (HELPED,), generator=rng)]
    cells = learnt.labelled.defective
    batches = [under(learnt.labelled, chosen, over_a_defect(cells[chosen], side, rng), side, cell)]
    for examples in (learnt.labelled, learnt.normal):
        chosen = torch.randint(len(examples), (HELPED,), generator=rng)
        batches.append(under(examples, chosen, anywhere(examples.defective[chosen], side, rng), side, cell))
    return joined(batches)


def helping(fit: Fit, batch: Batch, others: Batch) -> PerWalker:
    """How far a step on each square of the batch brings the loss of the other squares down, to first order.

    As `Cycle` credits patches: the product of both gradients, that of the others scaled as Adam scales it,
    as a central difference.
    """
    network = fit.learner.network.eval()
    assert isinstance(network, Compact)
    state = fit.learner.state()["optimizer"]["state"]
    weights = dict(network.named_parameters())
    learnt = {index: name for index, name in enumerate(weights) if index in state}
    loss = prediction_loss(network(others.views), others.masks, dice_weight=1.0)
    slopes = torch.autograd.grad(loss, [weights[name] for name in learnt.values()])
    scaled = {
        name: slope / (scale_of(state[index]) + 1e-8)
        for (index, name), slope in zip(learnt.items(), slopes, strict=True)
    }
    norm = torch.sqrt(torch.stack([slope.square().sum() for slope in scaled.values()]).sum()) + 1e-12

    @torch.no_grad()
    def losses(step: float) -> PerWalker:
        moved = {name: weights[name] + step * slope / norm for name, slope in scaled.items()}
        return square_losses(functional_call(network, moved, (batch.views,)), batch.masks)

    return losses(NUDGE) - losses(-NUDGE)


def scale_of(moments: dict[str, Tensor]) -> Tensor:
    """By which Adam divides a slope."""
    unbiased: Tensor = moments["exp_avg_sq"] / (1 - 0.999 ** float(moments["step"]))
    return unbiased.sqrt()


def square_losses(logits: Logits, masks: Tensor) -> PerWalker:
    """The prediction loss of each square."""
    rows = range(len(logits))
    return torch.stack([prediction_loss(logits[i : i + 1], masks[i : i + 1], dice_weight=1.0) for i in rows])


def trained(fit: Fit, batch: Batch, index: int, config: Config) -> tuple[ErrorMaps, Batch, int]:
    """A step on the batch, turned: the errors before it, turned back, and what was seen, and which way."""
    network = fit.learner.network.train()
    assert isinstance(network, Compact)
    way = int(torch.randint(8, (), generator=fit._rng))
    turned = turned_batch(batch, way)
    fit.learner.set_lr(one_cycle(config.predictor.lr, index / config.predictor.steps))
    logits = network(turned.views)
    fit.learner.step(prediction_loss(logits, turned.masks, dice_weight=config.predictor.dice_weight))
    return turned_back(cross_entropies(logits.detach(), turned.masks), way), turned, way


def cross_entropies(logits: Logits, masks: Tensor) -> ErrorMaps:
    return F.binary_cross_entropy_with_logits(logits, masks, reduction="none")


def everything(learnt: Lesson) -> Examples:
    parts = (learnt.labelled, learnt.normal, learnt.pasted)
    views = (torch.cat(views) for views in zip(*(part.views.parts for part in parts), strict=True))
    masks, coverage = (torch.cat([getattr(part, name) for part in parts]) for name in ("masks", "coverage"))
    return Examples(Views(*views), masks, coverage)
