"""The pictures of docs/method.md: a loss profile, paths of walkers, what the parts of the reward pay for.

    python docs/make_method_pictures.py docs/method

Everything is made here, from rendered images to trained policies, in two minutes on one core; the same seed
gives the same pictures. Written to be read beside the document, one function for each picture.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from sklearn.metrics import roc_auc_score
from torch import Tensor

from flawtrace.data import Split, read_category
from flawtrace.data.pieces import pieces
from flawtrace.data.splits import draw_split
from flawtrace.ground.config import Config
from flawtrace.ground.devices import PROCESSOR
from flawtrace.ground.groups import SamplerName
from flawtrace.ground.learner import derive
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import ErrorMaps
from flawtrace.method import Cycle, Feedback, Material, Prepared, prepare, sampler, scout
from flawtrace.method.patches import lattice, mean_under, standardized
from flawtrace.method.profile import observe
from flawtrace.method.sampler import Sampler
from flawtrace.method.selecting import Selecting
from flawtrace.method.walkers import Places
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.report.style import CLONE, COVER, DEFECTIVE, EXPLORATION, INK, NORMAL, PREDICTOR, STYLE

SHOWN = 3
"""Labelled images in the picture of profiles: one of each defect type."""
STEPS = 60
"""Updates of a path that are drawn."""


@dataclass(frozen=True)
class World:
    """Images, and what a training knows of them before it begins."""

    split: Split
    material: Material
    statics: ErrorMaps
    config: Config

    @classmethod
    def made(cls, root: Path, config: Config) -> "World":
        """Of rendered defects on photographed bricks, as in the demo."""
        folder = make_dataset(root, num_normal=40, num_test_normal=1, num_per_type=5)
        split = pieces(draw_split(read_category(folder), config.labels, config.seed), config)
        *_, prepared = prepare(split, config)
        assert isinstance(prepared, Prepared)
        return cls(split, prepared.material, scout(prepared.material, config), config)


@dataclass(frozen=True)
class Trained:
    """A sampler after its cycles, in the middle of one more, and what every update was worth."""

    sampler: Sampler
    cycle: Cycle
    places: list[Places]
    """Of the last cycle, update by update."""
    feedbacks: list[Feedback]
    """Of all cycles, update by update."""

    @classmethod
    def of(cls, world: World, kind: SamplerName, cycles: int) -> "Trained":
        """As `training.loop.learn_together` does it."""
        changed = world.config.sampler.model_copy(update={"kind": kind})
        config = world.config.model_copy(update={"sampler": changed, "cycles": cycles})
        cycle = Cycle(world.material, world.statics, config)
        crop = cycle.walkers.geometry.crop
        chooser = sampler.build(kind, crop, config.policy, derive(config.seed, 2), PROCESSOR)
        feedbacks = []
        for index in range(config.cycles):
            cycle.begin(derive(config.seed, 4, index))
            places = [cycle.walkers.places]
            while not cycle.over:
                places.append(chooser.place(cycle.walkers, cycle.rng))
                rewards, feedback = cycle.advance(places[-1])
                chooser.credit(rewards)
                feedbacks.append(feedback)
            chooser.learn(cycle.rng)
        return cls(chooser, cycle, places, feedbacks)


def profile_picture(world: World, file: Path) -> None:
    """How the errors of three images unfold over one cycle, and those of normal and defective cells."""
    material, config = world.material, world.config
    updates = config.observed(config.last_updates)
    kinds = [str(sample.defect_type) for sample in world.split.labelled]
    rows = torch.tensor([kinds.index(kind) for kind in sorted(set(kinds))][:SHOWN])
    every, maps = torch.arange(material.num_labelled), []
    cycle = Cycle(material, world.statics, config)
    cycle.begin(config.seed, config.last_updates)
    while not cycle.over:
        cycle.reconstruct(cycle.walkers.anywhere(cycle.rng))
        cycle.update += 1
        if cycle.update in updates:
            scales = (material.canvases.shape[1],)
            maps.append(observe(cycle.autoencoder.network, material.labelled[every], scales)[:, 0])
    profiles = torch.stack(maps, dim=1)
    coverage = material.labelled_coverage[every]
    figure = plt.figure(figsize=(13, 8.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(SHOWN, 1.9))
    axes = above.subplots(SHOWN, len(updates) + 1, squeeze=False)
    for row, (line, image) in enumerate(zip(axes, rows, strict=True)):
        line[0].imshow(material.labelled_pictures[image].float().permute(1, 2, 0))
        line[0].contour(material.labelled_masks[image], levels=[0.5], colors=[DEFECTIVE], linewidths=1.2)
        line[0].set_ylabel(kinds[int(image)])
        for column, (cell, update) in enumerate(zip(line[1:], updates, strict=True)):
            errors = profiles[image, column]
            cell.imshow(errors, cmap="magma", vmin=float(errors.quantile(0.02)), vmax=float(errors.max()))
            if not row:
                cell.set_title(f"update {update}")
    _bare(axes.flat)
    left, right = below.subplots(1, 2)
    by_update = profiles.movedim(1, 0)
    defective, normal = by_update[:, coverage > 0.5], by_update[:, coverage == 0]
    for values, colour, label in ((normal, NORMAL, "normal"), (defective, DEFECTIVE, "defective")):
        low, middle, high = (values.quantile(share, dim=1) for share in (0.1, 0.5, 0.9))
        left.fill_between(updates, low, high, color=colour, alpha=0.15, linewidth=0)
        left.plot(updates, middle, color=colour, marker="o", label=f"{label} cells")
    left.set(xscale="log", yscale="log", xlabel="update", ylabel="error (median, middle 80 %)")
    left.set_title("the profiles of all labelled images", loc="left")
    left.legend()
    truth = np.repeat([1, 0], [defective.shape[1], normal.shape[1]])
    told = [roc_auc_score(truth, torch.cat(pair)) for pair in zip(defective, normal, strict=True)]
    right.plot(updates, told, color=INK, marker="o")
    right.set(xscale="log", xlabel="update", ylabel="AUROC of cells", ylim=(0.5, 1))
    right.set_title("how well the error of one update tells them apart", loc="left")
    _saved(figure, file)


def paths_picture(world: World, walking: dict[str, Trained], selecting: Trained, file: Path) -> None:
    """Where walkers go that move at random or have learnt, and what the policy that selects would choose."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.7), layout="constrained")
    for cell, (title, trained) in zip(axes, walking.items(), strict=False):
        image = _most_walked(trained.places[: STEPS + 1])
        _picture(cell, world.material, image)
        for walker, colour in zip(range(len(trained.places[0].images)), _colours(), strict=False):
            for stay in _stays(trained.places[: STEPS + 1], walker, image):
                cell.plot(stay[:, 1] + 0.5, stay[:, 0] + 0.5, color=colour, linewidth=1.6)
                cell.plot(*(stay[0].flip(0) + 0.5), marker="o", color=colour, markersize=4)
        side = trained.cycle.walkers.geometry.patch
        cell.add_patch(Rectangle((1, 1), side, side, fill=False, color="white", linewidth=1.2))
        cell.set_title(title, loc="left")
    chooser, cycle = selecting.sampler, selecting.cycle
    assert isinstance(chooser, Selecting)
    images, survey = cycle.walkers.survey(len(world.material.images), cycle.rng)
    with torch.no_grad():
        scores, _ = chooser.policy(survey[None])
    chances = scores.softmax(dim=1).view(len(images), *survey.shape[2:]) * scores.shape[1]
    labelled = images >= world.material.num_normal
    row = int(torch.where(labelled, chances.amax(dim=(1, 2)), 0).argmax())
    _picture(axes[2], world.material, int(images[row]))
    size = world.material.images.shape[2]
    shown = axes[2].imshow(
        chances[row], cmap="viridis", alpha=0.65, extent=(0, size, size, 0), interpolation="nearest"
    )
    figure.colorbar(shown, ax=axes[2], shrink=0.8, label="times as likely as by chance")
    axes[2].set_title("selecting: each patch's probability", loc="left")
    _bare(axes)
    _saved(figure, file)


def reward_picture(world: World, trained: Trained, file: Path) -> None:
    """Over one image, what a patch at each place would earn; over time, what the parts were worth."""
    material, cycle = world.material, trained.cycle
    geometry = cycle.walkers.geometry
    image = _most_walked(trained.places)
    rows, columns = (axis.flatten() for axis in torch.meshgrid(*_places(cycle), indexing="ij"))
    centers = torch.stack([rows, columns], dim=1)
    spots = Places(torch.full((len(centers),), image), centers)
    texture = standardized(material.texture, geometry.patch)
    under = torch.stack(
        [mean_under(texture, spots.images, spots.centers, geometry.patch), cycle.walkers.visits_under(spots)]
    )
    clone, cover = under[0].sigmoid(), -under[1].sigmoid()
    figure = plt.figure(figsize=(13, 7.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = above.subplots(1, 4)
    _picture(axes[0], material, image)
    axes[0].set_title("a training image", loc="left")
    axes[1].imshow(material.texture[image], cmap="gray")
    axes[1].set_title("its texture (Sobel magnitude)", loc="left")
    side = len(_places(cycle)[0])
    for cell, values, title in ((axes[2], clone, "R_clone"), (axes[3], cover, "R_cover")):
        shown = cell.imshow(values.view(side, -1), cmap="viridis")
        above.colorbar(shown, ax=cell, shrink=0.75)
        cell.set_title(f"{title} of a patch centred there", loc="left")
    _bare(axes)
    left, middle, right = below.subplots(1, 3)
    numbers = np.arange(1, len(trained.feedbacks) + 1)
    prediction = np.array([feedback.prediction for feedback in trained.feedbacks])
    losses = np.array([feedback.prediction_loss or np.nan for feedback in trained.feedbacks])
    left.plot(numbers, [feedback.clone for feedback in trained.feedbacks], color=CLONE, label="R_clone")
    left.plot(numbers, [feedback.cover for feedback in trained.feedbacks], color=COVER, label="R_cover")
    left.set(xlabel="autoencoder update", ylabel="mean over the walkers")
    left.legend()
    middle.plot(numbers, losses, color=INK, linewidth=1.2)
    middle.set(xlabel="autoencoder update", ylabel="the predictor's loss")
    paid = prediction != 0
    right.vlines(numbers[paid], 0, prediction[paid], color=PREDICTOR, linewidth=1.2)
    right.axhline(0, color=INK, linewidth=0.8)
    right.set(xlabel="autoencoder update", ylabel="R_pred (decrease)")
    for cell, title in ((left, "exploration"), (middle, "what R_pred looks at"), (right, "what it pays")):
        cell.set_title(title, loc="left")
        for start in range(0, len(numbers), world.config.updates):
            cell.axvline(start, color=EXPLORATION, alpha=0.25, linewidth=0.8)
    _saved(figure, file)


def _places(cycle: Cycle) -> tuple[Tensor, Tensor]:
    """Rows and columns at which a patch fits."""
    height, width = cycle.walkers.statics.shape[1:]
    patch = cycle.walkers.geometry.patch
    return lattice(height, patch, stride=1), lattice(width, patch, stride=1)


def _most_walked(places: Sequence[Places]) -> int:
    """The image on which most patches were taken."""
    return int(torch.cat([place.images for place in places]).bincount().argmax())


def _stays(places: Sequence[Places], walker: int, image: int) -> list[Tensor]:
    """The centres of a walker's patches on one image, stay by stay."""
    stays: list[list[Tensor]] = [[]]
    for place in places:
        if int(place.images[walker]) == image:
            stays[-1].append(place.centers[walker])
        elif stays[-1]:
            stays.append([])
    return [torch.stack(stay) for stay in stays if stay]


def _picture(cell: Axes, material: Material, image: int) -> None:
    cell.imshow(material.images[image].float().permute(1, 2, 0), extent=(0, *material.images.shape[2:], 0))


def _colours() -> list[str]:
    return [CLONE, COVER, PREDICTOR, DEFECTIVE, NORMAL, EXPLORATION, "#F0E442", "#FFFFFF"] * 8


def _bare(axes: Sequence[Axes]) -> None:
    for cell in axes:
        cell.set(xticks=[], yticks=[])
        cell.grid(visible=False)


def _saved(figure: plt.Figure, file: Path) -> None:
    figure.savefig(file, dpi=80, pil_kwargs={"quality": 88})
    plt.close(figure)


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(STYLE)
    config = load_config()
    with tempfile.TemporaryDirectory() as root:
        world = World.made(Path(root), config)
    profile_picture(world, out / "profile.jpg")
    learned, selecting = (Trained.of(world, kind, config.cycles) for kind in ("learned", "selecting"))
    walking = {
        "walking at random": Trained.of(world, "random-walk", cycles=1),
        f"walking, after {config.cycles} cycles of learning": learned,
    }
    paths_picture(world, walking, selecting, out / "paths.jpg")
    reward_picture(world, learned, out / "rewards.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
