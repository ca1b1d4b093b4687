"""A supervised U-Net (Ronneberger et al. 2015, arXiv 1505.04597), MONAI's BasicUNet, trained from scratch.

Labels, copies, the ways in which they are turned, loss, optimizer and learning-rate curve are those of
flawtrace's own predictors.
"""

from collections.abc import Callable
from typing import Any

import torch
from examples import SIDE, Examples
from jaxtyping import Int
from monai.networks.nets import BasicUNet
from torch import Generator, Tensor
from torch.optim import AdamW

from flawtrace.ground.groups import VariationConfig
from flawtrace.ground.learner import Learner, derive, generator, seeded
from flawtrace.ground.shapes import ErrorMaps, Images, Masks, Points
from flawtrace.method.patches import clamp, crop, random_centers
from flawtrace.method.predictor import prediction_loss
from flawtrace.pictures.augmentation import augment
from flawtrace.pictures.turns import turned
from flawtrace.pictures.variation import settled
from flawtrace.training.fitting import one_cycle

PACKAGES = ("monai", "kornia")
LABELS = True
SETTINGS: dict[str, Any] = {
    "features": [8, 16, 32, 64, 64, 8],
    "norm": "batch",
    "copies": 6,
    "varied": "as normal images are measured to vary",
    "crop": 128,
    "batch": 8,
    "normal_share": 0.25,
    "defect_share": 0.5,
    "steps": 1000,
    "lr": 3e-3,
    "weight_decay": 0.01,
    "dice_weight": 1.0,
}
"""Of a batch, `defect_share` boxes hold a drawn defect pixel, `normal_share` come from normal images; the
others lie anywhere in labelled images and their copies."""


def fit(examples: Examples) -> dict[str, Tensor]:
    rng = generator(derive(examples.seed, 1))
    mean, std = _statistics(examples.normal)
    variation = settled(VariationConfig(), examples.normal)
    images, masks = _with_copies(examples, variation)
    ways = variation.ways or (0,)
    planes = torch.cat([(images - mean) / std, masks[:, None]], dim=1)
    normal = torch.cat([(examples.normal - mean) / std, torch.zeros_like(examples.normal[:, :1])], dim=1)
    with seeded(derive(examples.seed, 2)):
        learner = Learner(
            _network().train(),
            make_optimizer=lambda weights: AdamW(weights, weight_decay=SETTINGS["weight_decay"]),
        )
    defective = masks.flatten(1).any(dim=1).nonzero()[:, 0]  # a copy can have lost its defect over the edge
    for step in range(SETTINGS["steps"]):
        learner.set_lr(one_cycle(SETTINGS["lr"], step / SETTINGS["steps"]))
        way = ways[int(torch.randint(len(ways), (), generator=rng))]
        crops = turned(_crops(planes, defective, normal, rng), way)
        logits = learner.network(crops[:, :3])[:, 0]
        loss = learner.step(prediction_loss(logits, crops[:, 3], dice_weight=SETTINGS["dice_weight"]))
        if step % 50 == 49:
            print(f"step {step + 1} loss {loss:.4f}", flush=True)
    return {**learner.network.state_dict(), "input_mean": mean, "input_std": std}


def restore(state: dict[str, Tensor], seed: int) -> Callable[[Images], tuple[ErrorMaps, None]]:
    weights = {name: value for name, value in state.items() if not name.startswith("input_")}
    with seeded(seed):
        network = _network()
    network.load_state_dict(weights)
    network.eval()
    return lambda images: (network((images - state["input_mean"]) / state["input_std"])[:, 0].sigmoid(), None)


def _network() -> BasicUNet:
    network = BasicUNet(
        spatial_dims=2, in_channels=3, out_channels=1, features=SETTINGS["features"], norm=SETTINGS["norm"]
    )
    return network.to(memory_format=torch.channels_last)  # the faster layout on a processor


def _statistics(images: Images) -> tuple[Tensor, Tensor]:
    """Of each colour, over all normal images."""
    mean, std = images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3))
    return mean[:, None, None], std[:, None, None].clamp_min(1e-3)


def _with_copies(examples: Examples, variation: VariationConfig) -> tuple[Images, Masks]:
    """The labelled images and their random copies, made as flawtrace makes its own."""
    rng = generator(derive(examples.seed, 6))
    copies, masks = augment(examples.labelled, examples.masks, SETTINGS["copies"], variation, rng)
    return torch.cat([examples.labelled, copies]), torch.cat([examples.masks, masks])


def _crops(planes: Images, defective: Int[Tensor, " m"], normal: Images, rng: Generator) -> Images:
    """A batch of boxes of colour and mask, in the shares that `SETTINGS` says."""
    side, batch = SETTINGS["crop"], SETTINGS["batch"]
    num_normal, num_defect = (round(batch * SETTINGS[f"{kind}_share"]) for kind in ("normal", "defect"))
    drawn = defective[torch.randint(len(defective), (num_defect,), generator=rng)]
    return torch.cat([
        crop(planes, drawn, _near_defects(planes[drawn, 3] > 0, side, rng), side),
        _anywhere(planes, batch - num_normal - num_defect, rng),
        _anywhere(normal, num_normal, rng),
    ])  # fmt: skip


def _near_defects(masks: Masks, side: int, rng: Generator) -> Points:
    """For each mask the centre of a box that holds one of its pixels, drawn evenly, anywhere in the box."""
    pixels = torch.multinomial(masks.flatten(1).float(), 1, generator=rng)[:, 0]
    points = torch.stack([pixels // SIDE, pixels % SIDE], dim=1)
    moved = points + torch.randint(side, points.shape, generator=rng) - side // 2
    return clamp(moved, SIDE, SIDE, side)


def _anywhere(planes: Images, count: int, rng: Generator) -> Images:
    chosen = torch.randint(len(planes), (count,), generator=rng)
    return crop(planes, chosen, random_centers(count, SIDE, SIDE, SETTINGS["crop"], rng), SETTINGS["crop"])
