"""The predictors, which segment defects in loss-profile space."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.ground.groups import ALL_INPUTS, PredictorConfig, PredictorInput
from flawtrace.ground.shapes import (
    Canvases,
    Coverage,
    ErrorMaps,
    Images,
    Logits,
    LossProfiles,
    Masks,
    Pictures,
    Scalar,
)

Squares: TypeAlias = Float[Tensor, "b seen squares squares"]

STRIDE = 4
"""Pixels along the squares on which the compact predictor does most of its work."""

FAR = 6.0
"""Deviations beyond what is usual at a place, from which on the memory alone would call it a defect."""
CERTAIN = 100.0
"""Logit from which on a probability is 0 or 1 in single precision, and its loss 0."""
UNUSUAL = 3.0
"""Deviations that a normal square is seldom off: even odds for the discriminant, worth a word for novelty."""


@dataclass(frozen=True)
class Views:
    """The same images as a predictor may look at them."""

    profiles: LossProfiles
    novelties: ErrorMaps
    """How unlike normal images each cell is, in deviations."""
    distances: ErrorMaps
    """How far each cell is from all that normal images showed at its place, in deviations."""
    canvases: Canvases
    pictures: Pictures
    """Colour at full size, in [0, 1]; maps have its size."""

    @property
    def parts(self) -> tuple[LossProfiles, ErrorMaps, ErrorMaps, Canvases, Pictures]:
        return self.profiles, self.novelties, self.distances, self.canvases, self.pictures


class LogErrors(nn.Module):
    """log(error + floor) of each map of a profile, centred and scaled by running statistics; no weights.

    Errors differ by orders of magnitude between snapshots, and their ratios are what tells. The floor keeps
    cells out that are reconstructed exactly by chance, whose logarithms would be far below all others.
    """

    def __init__(self, length: int, floor: float) -> None:
        super().__init__()
        self._floor = floor
        self.normed = nn.BatchNorm2d(length, affine=False)

    def forward(self, profiles: LossProfiles) -> LossProfiles:
        scaled: LossProfiles = self.normed(torch.log(profiles + self._floor))
        return scaled


class Published(nn.Module):
    """The paper's predictor: sees the profile alone, 31 cells receptive field, 9,113 weights at length 10."""

    def __init__(self, length: int = 10, log_floor: float | None = None) -> None:
        """For profiles of `length` maps; with `log_floor` it sees their logarithms, as `LogErrors` says."""
        super().__init__()
        widths = [length, 32, 16, 8, 4]
        self.scale = nn.Identity() if log_floor is None else LogErrors(length, log_floor)
        layers = [_conv(widths[i], widths[i + 1], dilation=2**i) for i in range(4)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4, 1, 1))

    def forward(self, profiles: LossProfiles) -> Logits:
        """Per cell."""
        logits: Tensor = self.layers(self.scale(profiles))
        return logits[:, 0]

    def loss(self, views: Views, masks: Coverage, weights: "Weights", ignored: Masks | None = None) -> Scalar:
        return prediction_loss(self._per_pixel(views), masks, weights.normal, weights.dice, ignored)

    def probabilities(self, views: Views) -> ErrorMaps:
        """Of a defect, per pixel."""
        return self._per_pixel(views).sigmoid()

    def _per_pixel(self, views: Views) -> Logits:
        return _enlarged(self(views.profiles)[:, None], views.pictures.shape[2])[:, 0]


class Compact(nn.Module):
    """A predictor that sees profile, canvas and pixels, or some of them, and speaks with two voices.

    The *segmenter* works at a quarter of the resolution and takes the outlines from the pixels, on the way
    back up. Trained on few defects, it is sharp, and nearly silent on what it has not learnt. The *ranker*
    outlines nothing, but orders what the segmenter is silent on: it adds up Fisher's linear discriminant of
    profile, canvas and their means over 3 x 3 squares, which knows labels, and the novelty beyond what is
    usual, which knows none, both in deviations from normal squares. The map is a mean of both probabilities
    in which the ranker has a weight so small that it decides only where the segmenter does not. Without
    labels there is a third voice, `recall`: how far the memory finds each place from normal.

    The profile enters as logarithm, centred and scaled by running statistics: errors differ by orders of
    magnitude between snapshots, and their ratios are what tells. The memory's distances enter as their
    inverse hyperbolic sine: linear up to what is usual, logarithmic beyond.
    """

    def __init__(self, length: int, channels: int, cell: int, config: PredictorConfig) -> None:
        """For profiles of `length` maps and canvases of `channels`, with cells of `cell` pixels."""
        super().__init__()
        self.inputs: tuple[PredictorInput, ...] = config.inputs or ALL_INPUTS
        self.ranking, self.recall = config.ranking, config.recall or 0.0
        self._hears_novelty = config.novelty_of != "nothing"
        self._per_square = STRIDE // cell
        width, half = config.width, max(1, config.width // 2)
        maps = {"profile": length, "canvas": channels, "memory": 1, "picture": 0}
        seen = sum(maps[name] for name in self.inputs) * self._per_square**2 or 3 * STRIDE**2
        self.scale = nn.BatchNorm2d(length, affine=False)
        self.colour = nn.BatchNorm2d(3, affine=False)
        self.discriminant = nn.Conv2d(seen, 2, 1).requires_grad_(False)
        self.enter = _conv(seen, width, side=1)
        self.fine = nn.Sequential(_conv(12, half), _conv(half, half))
        self.down = _conv(half, width, stride=2)
        self.middle = nn.Sequential(*(_conv(width, width, dilation=2**i) for i in range(4)))
        self.back = nn.Conv2d(width, half, 1)
        self.up = nn.Sequential(_conv(half, half), nn.Conv2d(half, 4, 1))

    def forward(self, views: Views) -> Logits:
        """What the segmenter says of each pixel."""
        colour = self._coloured(views)
        return self._segment(self._seen(views, colour), colour)

    def loss(self, views: Views, masks: Coverage, weights: "Weights", ignored: Masks | None = None) -> Scalar:
        """Of the segmenter, on pixels that are not `ignored`."""
        return prediction_loss(self(views), masks, weights.normal, weights.dice, ignored)

    def probabilities(self, views: Views) -> ErrorMaps:
        """Of a defect, per pixel."""
        colour = self._coloured(views)
        seen = self._seen(views, colour)
        ranked = self._rank(seen, views, colour.shape[2])
        said = (1 - self.ranking) * self._segment(seen, colour).sigmoid() + self.ranking * ranked
        if not self.recall:
            return said
        return (1 - self.recall) * said + self.recall * recalled(views.distances, colour.shape[2])

    def discriminated_by(self, views: Views) -> Float[Tensor, "b twice squares squares"]:
        """What the discriminant is linear in."""
        seen = self._seen(views, self._coloured(views))
        return torch.cat([seen, _means(seen)], dim=1)

    @torch.no_grad()
    def discriminate(self, defective: Float[Tensor, "n seen"], normal: Float[Tensor, "m seen"]) -> None:
        """Set the discriminant from what it sees of defective and of normal squares.

        It is centred and scaled so that normal squares have mean 0 and deviation 1.
        """
        weights = discriminant(defective, normal)[0]
        values = normal @ weights
        scale = values.std(correction=0).clamp_min(1e-6)
        self.discriminant.weight.copy_((weights / scale).view(2, -1, 1, 1))
        self.discriminant.bias.copy_(torch.stack([-values.mean() / scale, torch.zeros_like(scale)]))  # type: ignore[union-attr]

    def _coloured(self, views: Views) -> Images:
        colour: Images = self.colour(views.pictures.float())
        return colour

    def _seen(self, views: Views, colour: Images) -> Squares:
        """Everything but the outlines, one square of `STRIDE` pixels to a position; no value is lost."""
        profiles = self.scale(torch.log(views.profiles.float() + 1e-6))
        distances = torch.asinh(views.distances)[:, None]
        by_name = {"profile": profiles, "canvas": views.canvases.float(), "memory": distances}
        chosen = [by_name[name] for name in self.inputs if name in by_name]
        if not chosen:
            return F.pixel_unshuffle(colour, STRIDE)
        seen = torch.cat(chosen, dim=1)
        if self._per_square > 1:
            seen = F.pixel_unshuffle(seen, self._per_square)
        return seen.contiguous(memory_format=torch.channels_last)

    def _rank(self, seen: Squares, views: Views, side: int) -> ErrorMaps:
        """How likely the ranker finds a defect: even odds where the discriminant is `UNUSUAL` deviations off.

        Novelty speaks only beyond `UNUSUAL`: below, it is noise that would blur the discriminant's order.
        """
        here, around = self.discriminant(seen).split(1, dim=1)
        voices = _enlarged(here + _means(around), side)[:, 0] - UNUSUAL
        if self._hears_novelty:
            voices = voices + F.relu(_enlarged(views.novelties[:, None], side)[:, 0] - UNUSUAL)
        return voices.sigmoid()

    def _segment(self, seen: Squares, colour: Images) -> Logits:
        shown = colour if "picture" in self.inputs else torch.zeros_like(colour)
        fine = self.fine(F.pixel_unshuffle(shown, 2).contiguous(memory_format=torch.channels_last))
        coarse = self.back(self.middle(self.enter(seen) + self.down(fine)))
        logits = self.up(fine + _enlarged(coarse, fine.shape[2]))
        per_pixel: Tensor = F.pixel_shuffle(logits, 2)
        return per_pixel[:, 0]


class Blended(nn.Module):
    """Two predictors in one map, and the memory: what holds without labels, beside what few labels show.

    The *supervised* one learns from labels, and is silent on what these do not show. The *self-supervised*
    one learns from made-up defects alone, and speaks of it as it does where there is no label at all. The
    weights of the second one and of the memory's own voice, `recall`, fade as labels come.
    """

    def __init__(
        self, supervised: Compact, self_supervised: Compact, *, second: float, recall: float
    ) -> None:
        """Neither predictor hears the memory's own voice by itself."""
        super().__init__()
        self.supervised, self.self_supervised = supervised, self_supervised
        self._second, self._recall = second, recall

    def probabilities(self, views: Views) -> ErrorMaps:
        """Of a defect, per pixel."""
        first = (1 - self._second - self._recall) * self.supervised.probabilities(views)
        second = self._second * self.self_supervised.probabilities(views)
        return first + second + self._recall * recalled(views.distances, views.pictures.shape[2])


Pupil: TypeAlias = Published | Compact
Predictor: TypeAlias = Pupil | Blended


@dataclass(frozen=True)
class Weights:
    """Of the parts of the prediction loss."""

    normal: float = 1.0
    dice: float = 0.0


def build(config: PredictorConfig, length: int, channels: int, cell: int) -> Predictor:
    """A member of the detector."""
    if config.kind == "published":
        return Published(length, config.log_floor)

    def compact(settings: PredictorConfig) -> Compact:
        network = Compact(length, channels, cell, settings)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    if not config.self_supervised:
        return compact(config)
    first = config.model_copy(update={"recall": 0.0})
    second = first.model_copy(update={"inputs": config.alone(config.inputs or ALL_INPUTS)})
    weights = {"second": config.self_supervised, "recall": config.recall or 0.0}
    return Blended(compact(first), compact(second), **weights)


def prediction_loss(
    logits: Logits,
    coverage: Coverage,
    normal_weight: float = 1.0,
    dice_weight: float = 0.0,
    ignored: Masks | None = None,
) -> Scalar:
    """Weighted cross-entropy (the paper), plus the Dice loss where it has weight.

    loss = -mean[y log p + alpha (1 - y) log(1 - p)] + dice_weight (1 - Dice(p, y)),
    with p = sigmoid(logits), y = coverage and alpha = normal_weight. What is `ignored` brings nothing to
    either part.
    """
    if ignored is not None:  # as if there were nothing, and the network were certain of it
        logits, coverage = logits.masked_fill(ignored, -CERTAIN), coverage.masked_fill(ignored, 0)
    positive = coverage * F.logsigmoid(logits)
    negative = (1 - coverage) * F.logsigmoid(-logits)
    cross_entropy = -(positive + normal_weight * negative).mean()
    if dice_weight == 0:
        return cross_entropy
    return cross_entropy + dice_weight * (1 - _dice(logits.sigmoid(), coverage))


def recalled(distances: Float[Tensor, "b _h _w"], side: int) -> Float[Tensor, "b {side} {side}"]:
    """How likely the memory alone finds a defect, per pixel of images of `side`: even odds at `FAR`."""
    return ((_enlarged(distances[:, None], side)[:, 0] - FAR) / 2).sigmoid()


def discriminant(
    defective: Float[Tensor, "n d"], normal: Float[Tensor, "m d"], shrinkage: float = 1.0
) -> tuple[Float[Tensor, " d"], Scalar]:
    """Weights and bias of Fisher's linear discriminant, both classes being equally likely.

    w = S^-1 (m1 - m0) and b = -w (m0 + m1) / 2, with the means m1 of defective and m0 of normal vectors,
    and S the mean of both covariances, to whose diagonal `shrinkage` times its mean is added.
    """
    scatter = (_covariance(defective) + _covariance(normal)) / 2
    means = defective.mean(dim=0), normal.mean(dim=0)
    ridge = shrinkage * scatter.diagonal().mean() + 1e-6
    weights = torch.linalg.solve(scatter + ridge * torch.eye(len(scatter)).to(scatter), means[0] - means[1])
    return weights, -(weights @ (means[0] + means[1])) / 2


def normal_weight(config: PredictorConfig, update: int) -> float:
    """alpha = max(0, 1 - j / normal_decay) after j autoencoder updates.

    >>> normal_weight(PredictorConfig(normal_decay=9000), 900)
    0.9
    """
    if config.normal_decay is None:
        return 1.0
    return max(0.0, 1 - update / config.normal_decay)


def _dice(probabilities: Logits, coverage: Coverage) -> Scalar:
    return (2 * (probabilities * coverage).sum() + 1) / (probabilities.sum() + coverage.sum() + 1)


def _covariance(vectors: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    centered = vectors - vectors.mean(dim=0)
    return centered.T @ centered / len(vectors)


def _means(squares: Squares) -> Squares:
    """Over 3 x 3 squares, fewer at the edge."""
    return F.avg_pool2d(squares, 3, 1, 1, count_include_pad=False)


def _enlarged(maps: Images, side: int) -> Float[Tensor, "b c {side} {side}"]:
    """Maps at another side, linearly between their cells."""
    return F.interpolate(maps, size=(side, side), mode="bilinear") if maps.shape[2] != side else maps


def _conv(inputs: int, outputs: int, dilation: int = 1, side: int = 3, stride: int = 1) -> nn.Sequential:
    padding = dilation * (side // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=padding, dilation=dilation, stride=stride),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )
