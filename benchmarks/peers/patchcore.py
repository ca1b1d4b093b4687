"""PatchCore (Roth et al. 2022, arXiv 2106.08265), anomalib's torch model: nearest patch in a memory.

Its greedy choice of the memory is repeated here without the random projection: anomalib projects these 152
features to 309 dimensions, which costs time, distorts distances and saves nothing.
"""

from collections.abc import Callable
from typing import Any

import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from backbone import NAME, NORMALISATION, PACKAGES, load_imagenet, normalised, without_download
from examples import BATCH, Examples
from jaxtyping import Float, Int
from torch import Generator, Tensor

from flawtrace.ground.learner import derive, generator, seeded
from flawtrace.ground.shapes import ErrorMaps, Images, PerWalker

__all__ = ["LABELS", "PACKAGES", "SETTINGS", "fit", "restore"]

LABELS = False
SETTINGS: dict[str, Any] = {
    "backbone": NAME,
    "normalisation": NORMALISATION,
    "layers": ["blocks.2", "blocks.4"],
    "coreset_ratio": 0.02,
    "neighbours": 9,
    "blur_sigma": 4,
}


def fit(examples: Examples) -> dict[str, Tensor]:
    model = _model(examples.seed).train()
    patches = torch.cat([model(normalised(images)) for images in torch.split(examples.normal, BATCH)])
    model.embedding_store.clear()
    count = max(1, int(len(patches) * SETTINGS["coreset_ratio"]))
    return {"memory_bank": patches[k_center_greedy(patches, count, generator(derive(examples.seed, 1)))]}


def restore(state: dict[str, Tensor], seed: int) -> Callable[[Images], tuple[ErrorMaps, PerWalker]]:
    model = _model(seed).eval()
    model.memory_bank = state["memory_bank"]

    def predict(images: Images) -> tuple[ErrorMaps, PerWalker]:
        found = model(normalised(images))
        return found.anomaly_map[:, 0], found.pred_score

    return predict


def k_center_greedy(points: Float[Tensor, "n d"], count: int, rng: Generator) -> Int[Tensor, " count"]:
    """From a random point on, always the one that is farthest from all chosen so far.

    >>> k_center_greedy(torch.tensor([[0.0], [1.0], [9.0]]), 3, torch.Generator().manual_seed(0)).sort()[0]
    tensor([0, 1, 2])
    """
    squares = points.square().sum(dim=1)
    chosen = torch.empty(count, dtype=torch.long)
    chosen[0] = torch.randint(len(points), (), generator=rng)
    nearest = torch.full_like(squares, torch.inf)
    for index in range(1, count):
        center = points[chosen[index - 1]]
        distances = torch.addmv(squares, points, center, alpha=-2).add_(center.square().sum())
        torch.minimum(nearest, distances, out=nearest)
        nearest[chosen[index - 1]] = -torch.inf
        chosen[index] = nearest.argmax()
    return chosen


def _model(seed: int) -> PatchcoreModel:
    with seeded(seed), without_download():
        model = PatchcoreModel(
            backbone=NAME, layers=list(SETTINGS["layers"]), num_neighbors=SETTINGS["neighbours"]
        )
    load_imagenet(model.feature_extractor.feature_extractor)
    return model
