"""What the policy is paid for: the composite reward of the paper, and what an update tells of it."""

from dataclasses import dataclass

from torch import Tensor

from flawtrace.ground.groups import RewardConfig
from flawtrace.ground.shapes import PerWalker

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


def rewarded(
    texture: PerWalker, visits: PerWalker, prediction: Tensor, beta: float, weights: RewardConfig
) -> tuple[PerWalker, dict[str, Tensor]]:
    """Each walker's reward, from the mean texture and the mean earlier visits under its patch, and R_pred.

    R_clone = sigmoid(texture), R_cover = -sigmoid(visits). Also returns the parts, by their names in `MEANS`.
    """
    clone, cover = texture.sigmoid(), -visits.sigmoid()
    rewards = composite_reward(clone, cover, prediction, beta, weights)
    exploration = beta * (weights.clone * clone + weights.cover * cover)
    parts = {"clone": clone, "cover": cover, "prediction": prediction, "exploration": exploration}
    return rewards, parts | {"reward": rewards}
