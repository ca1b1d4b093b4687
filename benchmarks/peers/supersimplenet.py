"""SuperSimpleNet, supervised (Rolih et al. 2024, arXiv 2408.03143): anomalib's torch model, noise and loss.

Its segmenting branch alone, because the published schedule takes a day per category on one core. That branch
looks at each place by itself, so it learns from places drawn over all images at once, defects more often than
they are. Optimizer, steps of the learning rate, gradient clipping, noise and loss are those of anomalib's
Lightning module. The classifying branch is left out, and an image's score is its map's maximum.
"""

from collections.abc import Callable
from typing import Any

import torch
from anomalib.models.image.supersimplenet.loss import SSNLoss
from anomalib.models.image.supersimplenet.torch_model import SupersimplenetModel
from backbone import NAME, NORMALISATION, load_imagenet, normalised, without_download
from backbone import PACKAGES as BACKBONE_PACKAGES
from examples import BATCH, Examples
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import MultiStepLR

from flawtrace.ground.groups import VariationConfig
from flawtrace.ground.learner import derive, generator, seeded
from flawtrace.ground.shapes import Canvases, ErrorMaps, Images, Masks
from flawtrace.pictures.augmentation import augment
from flawtrace.pictures.variation import settled

PACKAGES = (*BACKBONE_PACKAGES, "kornia")
LABELS = True
SETTINGS: dict[str, Any] = {
    "backbone": NAME,
    "normalisation": NORMALISATION,
    "layers": ["blocks.2", "blocks.4"],
    "branches": ["segmentation"],
    "copies": 6,
    "varied": "as normal images are measured to vary",
    "perlin_threshold": 0.2,
    "noise_std": 0.4,
    "places_side": 32,
    "defect_share": 0.1,
    "labelled_share": 0.5,
    "steps": 2500,
    "lr": 1e-3,
}
"""A step sees `places_side` squared places: `defect_share` of them defective, so many others from labelled
images that these have `labelled_share` in all, the rest from normal images."""
LEARNT = ("adaptor.", "segdec.seg_head.")


class Places:
    """Features of single places, sorted by what is known of them: defective, beside a defect, normal."""

    def __init__(self, normal: Canvases, labelled: Canvases, masks: Bool[Tensor, "b cells cells"]) -> None:
        by_place = labelled.movedim(1, -1)
        self._groups = by_place[masks], by_place[~masks], normal.movedim(1, -1).flatten(0, 2)

    def draw(self, rng: Generator) -> tuple[Float[Tensor, "1 c s s"], Float[Tensor, "1 1 s s"]]:
        """Features arranged as one picture, and its mask."""
        side = SETTINGS["places_side"]
        num_defective, num_labelled = (
            round(side**2 * SETTINGS[f"{kind}_share"]) for kind in ("defect", "labelled")
        )
        counts = num_defective, num_labelled - num_defective, side**2 - num_labelled
        drawn = torch.cat([
            group[torch.randint(len(group), (count,), generator=rng)]
            for group, count in zip(self._groups, counts, strict=True)
        ])  # fmt: skip
        order = torch.randperm(side**2, generator=rng)
        mask = (order < num_defective).float().reshape(1, 1, side, side)
        return drawn[order].float().T.reshape(1, -1, side, side), mask


def fit(examples: Examples) -> dict[str, Tensor]:
    model = _model(examples.seed)
    places = Places(*_features(model, examples))
    with seeded(derive(examples.seed, 2)):  # the model's own noise comes from torch's global generator
        _train(model.train(), places, generator(derive(examples.seed, 1)))
    return {name: value for name, value in model.state_dict().items() if name.startswith(LEARNT)}


def restore(state: dict[str, Tensor], seed: int) -> Callable[[Images], tuple[ErrorMaps, None]]:
    model = _model(seed)
    model.load_state_dict(state, strict=False)
    model.eval()
    return lambda images: (model(normalised(images)).anomaly_map[:, 0], None)


def _model(seed: int) -> SupersimplenetModel:
    with seeded(seed), without_download():
        model = SupersimplenetModel(
            perlin_threshold=SETTINGS["perlin_threshold"],
            backbone=NAME,
            layers=list(SETTINGS["layers"]),
            stop_grad=False,
        )
    model.anomaly_generator.noise_std = SETTINGS["noise_std"]
    load_imagenet(model.feature_extractor.feature_extractor.feature_extractor)
    return model


def _features(
    model: SupersimplenetModel, examples: Examples
) -> tuple[Canvases, Canvases, Bool[Tensor, "b cells cells"]]:
    """Of normal images, and of labelled ones with their copies, in half precision; and the masks of these."""
    rng = generator(derive(examples.seed, 6))
    variation = settled(VariationConfig(), examples.normal)
    copies, copied_masks = augment(examples.labelled, examples.masks, SETTINGS["copies"], variation, rng)
    normal, labelled = (_extracted(model, images) for images in (examples.normal, examples.labelled))
    labelled = torch.cat([labelled, _extracted(model, copies)])
    masks: Masks = torch.cat([examples.masks, copied_masks])
    return normal, labelled, _defective(model, masks, labelled.shape[2])


def _defective(model: SupersimplenetModel, masks: Masks, grid: int) -> Bool[Tensor, "b {grid} {grid}"]:
    """Which places are defective, as anomalib says; if none is, those that hold any defective pixel."""
    found = model.downsample_mask(masks, grid, grid)[:, 0] > 0
    return found if found.any() else F.adaptive_max_pool2d(masks[:, None].float(), grid)[:, 0] > 0


def _extracted(model: SupersimplenetModel, images: Images) -> Canvases:
    parts = torch.split(images, BATCH)
    return torch.cat([model.feature_extractor(normalised(part)).half() for part in parts])


def _train(model: SupersimplenetModel, places: Places, rng: Generator) -> None:
    steps, lr, parts = SETTINGS["steps"], SETTINGS["lr"], SSNLoss()
    adaptor, head = model.adaptor, model.segdec.seg_head
    optimizer = AdamW([
        {"params": adaptor.parameters(), "lr": lr / 2},
        {"params": head.parameters(), "lr": lr, "weight_decay": 1e-5},
    ])  # fmt: skip
    scheduler = MultiStepLR(optimizer, milestones=[int(steps * 0.8), int(steps * 0.9)], gamma=0.4)
    for step in range(steps):
        features, mask = places.draw(rng)
        _, noised, targets, _ = model.anomaly_generator(None, adaptor(features), mask, torch.ones(1))
        maps = head(noised)
        loss = parts.focal_loss(maps, targets) + parts.trunc_l1_loss(maps, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([*adaptor.parameters(), *head.parameters()], 1.0)
        optimizer.step()
        scheduler.step()
        if step % 100 == 99:
            print(f"step {step + 1} loss {float(loss.detach()):.4f}", flush=True)
