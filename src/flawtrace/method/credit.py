"""Credit per patch: what a step on each patch does to the predictor's loss, to first order."""

import torch
from torch import Tensor
from torch.func import functional_call

from flawtrace.ground.shapes import Images, LossProfiles, PerWalker
from flawtrace.method import autoencoder
from flawtrace.method.autoencoder import Autoencoder
from flawtrace.method.material import Material
from flawtrace.method.online import OnlinePredictor
from flawtrace.method.profile import scale_errors

CREDITED = 4
"""Followed images from which the predictor's gradient is taken."""
NUDGE = 0.01
"""How far the weights are moved along that gradient, to and fro; their own norm is above 1."""


def uphill(
    network: Autoencoder, online: OnlinePredictor, profiles: LossProfiles, material: Material, update: int
) -> dict[str, Tensor]:
    """Of the predictor's loss by the autoencoder's weights, through the newest errors, at length 1."""
    network, scales = network.eval(), material.scales
    weights = dict(network.named_parameters())
    chosen = torch.arange(min(len(profiles), CREDITED))
    canvases = material.labelled[online.tracked[chosen]].float()
    newest = scale_errors(canvases, network(canvases), scales)
    seen = torch.cat([profiles[chosen, : -len(scales)], newest], dim=1)
    loss = online.loss_on(online.learner.network.eval(), seen, torch.arange(len(chosen)), update)
    slopes = torch.autograd.grad(loss, list(weights.values()))
    norm = torch.sqrt(torch.stack([slope.square().sum() for slope in slopes]).sum()) + 1e-12
    return {name: slope / norm for name, slope in zip(weights, slopes, strict=True)}


@torch.no_grad()
def credited(network: Autoencoder, patches: Images, uphill: dict[str, Tensor]) -> PerWalker:
    """How far a step on each patch brings the predictor's loss down, in deviations over the patches.

    A step on patch i moves the weights along -grad l_i, which to first order changes the predictor's loss
    L by -grad l_i . grad L. All these products are one derivative of the losses l along grad L (`uphill`),
    taken here as a central difference.
    """
    network = network.eval()

    def losses(step: float) -> PerWalker:
        moved = {name: weight + step * uphill[name] for name, weight in network.named_parameters()}
        return autoencoder.patch_losses(patches, functional_call(network, moved, (patches,)))

    products = losses(NUDGE) - losses(-NUDGE)
    return products / (products.square().mean().sqrt() + 1e-12)
