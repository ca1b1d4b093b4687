"""PaDiM (Defard et al. 2020, arXiv 2011.08785), anomalib's torch model: a Gaussian per place."""

from collections.abc import Callable
from typing import Any

import torch
from anomalib.models.image.padim.torch_model import PadimModel
from backbone import NAME, NORMALISATION, PACKAGES, load_imagenet, normalised, without_download
from examples import BATCH, Examples
from torch import Tensor

from flawtrace.ground.learner import seeded
from flawtrace.ground.shapes import ErrorMaps, Images

__all__ = ["LABELS", "PACKAGES", "SETTINGS", "fit", "restore"]

LABELS = False
LAYERS = ["blocks.1", "blocks.2", "blocks.4"]
NUM_FEATURES = 100
SETTINGS: dict[str, Any] = {
    "backbone": NAME,
    "normalisation": NORMALISATION,
    "layers": LAYERS,
    "n_features": NUM_FEATURES,
    "blur_sigma": 4,
}


def fit(examples: Examples) -> dict[str, Tensor]:
    model = _model(examples.seed).train()
    for images in torch.split(examples.normal, BATCH):
        model(normalised(images))
    model.fit()
    return {"mean": model.gaussian.mean, "inverse_covariance": model.gaussian.inv_covariance}


def restore(state: dict[str, Tensor], seed: int) -> Callable[[Images], tuple[ErrorMaps, None]]:
    model = _model(seed).eval()
    model.gaussian.mean, model.gaussian.inv_covariance = state["mean"], state["inverse_covariance"]
    return lambda images: (model(normalised(images)).anomaly_map[:, 0], None)


def _model(seed: int) -> PadimModel:
    """The seed decides which features stay."""
    with seeded(seed), without_download():
        model = PadimModel(backbone=NAME, layers=LAYERS, n_features=NUM_FEATURES)
    load_imagenet(model.feature_extractor.feature_extractor)
    model.feature_extractor.eval()
    return model
