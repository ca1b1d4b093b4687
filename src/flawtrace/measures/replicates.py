"""The metrics on resamples of a trial's test images: how far they depend on which images were there.

The resamples of a trial are the same for every method, so differences between methods can be taken resample
by resample; trials that share images can share their resamples too.

No resample is ranked anew: for each image it is counted once what a falling threshold lets in, and a
resample's curves are weighted sums of these counts. The counts are taken at some hundred thresholds, chosen
such that at most one in `STEPS` of the anomalous pixels, and of the regions, enters between two of them;
there the curves are straight lines. On all images together that is off by less than 1 / (2 `STEPS`) in AUROC
and AUPRO, and by about as little in the others; F1 at a threshold, image metrics and few levels are exact.
The tests compare with `metrics.summary` of the resampled images themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from flawtrace.measures import metrics
from flawtrace.measures.metrics import Decided, Labels, Maps, Masks, Ranking, Scores, Values

Weights: TypeAlias = Int[np.ndarray, "r n"]
"""How often each of n images is drawn in each of r resamples."""
PerImage: TypeAlias = Int[np.ndarray, " n"]

STEPS = 512
"""Steps of the recall, and of the overlap with regions, that the curves are made of at least."""
MOST_VISITS = 16
"""Of one image in one resample; a larger number has a probability of 1e-14."""
DIGITS = 4
"""Decimal places that are kept, far below what chance does to any of the metrics."""


@dataclass(frozen=True)
class Turns:
    """Per image, what a falling threshold has let in: first above, then at or above each value."""

    thresholds: Float[np.ndarray, " t"]
    """Each value twice, highest first."""
    true: Int[np.ndarray, "n t"]
    """Anomalous pixels."""
    false: Int[np.ndarray, "n t"]
    """Normal pixels."""
    shares: Float[np.ndarray, "n t"]
    """Sum of the shares of the image's regions, in parts of all regions."""
    num_normal: PerImage


@dataclass(frozen=True)
class Images:
    """Test images as `draws` knows them."""

    scope: str
    names: Sequence[str]
    anomalous: Labels


def replicated(
    maps: Maps,
    masks: Masks,
    scores: Scores,
    decided: Decided | None,
    images: Images,
    *,
    count: int = 100,
    ignored: Masks | None = None,
) -> dict[str, list[float]]:
    """Each metric on `count` resamples of the images, as `metrics.summary` has them.

    An image that is anomalous and whose mask has no pixel takes part in no metric of pixels; these have
    resamples of the others.
    """
    outlined = metrics.outlined(masks, images.anomalous)
    weights = draws(images.scope, images.anomalous, count, images.names)
    if outlined.all():
        return replicates(maps, masks, scores, decided, weights, ignored=ignored)
    columns = _image_metrics(scores, images.anomalous, weights)
    if outlined.any():
        names = [name for name, known in zip(images.names, outlined, strict=True) if known]
        columns |= _pixel_metrics(
            maps[outlined],
            masks[outlined],
            decided and decided[outlined],
            draws(images.scope, images.anomalous[outlined], count, names),
            None if ignored is None else ignored[outlined],
        )
    return _rounded(columns | _rates(decided, images.anomalous, weights))


def draws(scope: str, anomalous: Labels, count: int = 100, names: Sequence[str] | None = None) -> Weights:
    """`count` resamples of the images with replacement, the same ones for the same `scope` and `names`.

    Normal and anomalous images are resampled separately: each resample has as many of both as there are.

    With the trial as scope and no `names`, an image is known by its place, and the resamples are those of
    this trial. With the category as scope and the images' names, trials that test on some of the same images
    (other seeds, left-out types, numbers of labels) draw these alike: resample r of one is as near to
    resample r of another as their images allow, and a mean over trials keeps the chance that they share.
    """
    known = names if names is not None else [str(place) for place in range(len(anomalous))]
    visits = np.stack([_visits(f"{scope}/{name}", count) for name in known], axis=1)
    weights = np.zeros((count, len(known)), dtype=np.int64)
    for members in (np.flatnonzero(~anomalous), np.flatnonzero(anomalous)):
        if len(members):
            weights[:, members] = _first(visits[:, members])
    return weights


def _visits(name: str, count: int) -> Float[np.ndarray, "r visits"]:
    """The times at which an image is drawn in each resample: a Poisson process of its own."""
    digest = sha256(name.encode("utf-8", "surrogateescape")).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    return np.cumsum(rng.standard_exponential((count, MOST_VISITS)), axis=1)


def _first(visits: Float[np.ndarray, "r m visits"]) -> Int[np.ndarray, "r m"]:
    """How many of the first m visits are each image's: m draws with replacement, each image as likely."""
    num = visits.shape[1]
    earliest = np.argsort(visits.reshape(len(visits), -1), axis=1)[:, :num] // MOST_VISITS
    return np.stack([np.bincount(row, minlength=num) for row in earliest])


def replicates(
    maps: Maps,
    masks: Masks,
    scores: Scores,
    decided: Decided | None,
    weights: Weights,
    *,
    ignored: Masks | None = None,
) -> dict[str, list[float]]:
    """Each metric on each resample, under the names of `metrics.summary`.

    A metric that needs a class which the images lack is absent, and so is what comes from masks and verdicts
    where nothing was `decided`.
    An image is anomalous when its mask has any pixel.

    Raises:
        ValueError: a map or score holds NaN or infinity, or a resample lacks a class that the images have.
    """
    anomalous: Labels = np.any(masks, axis=(1, 2))
    _refuse_one_sided(weights, anomalous)
    columns = _image_metrics(scores, anomalous, weights)
    columns |= _pixel_metrics(maps, masks, decided, weights, ignored)
    return _rounded(columns | _rates(decided, anomalous, weights))


def _rounded(columns: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [round(float(value), DIGITS) for value in column] for name, column in columns.items()}


def _refuse_one_sided(weights: Weights, anomalous: Labels) -> None:
    for members in (anomalous, ~anomalous):
        if members.any() and not weights[:, members].any(axis=1).all():
            raise ValueError("A resample has images of one class only, on which metrics are not defined.")


def _image_metrics(scores: Scores, anomalous: Labels, weights: Weights) -> dict[str, list[float]]:
    """Exact: an image is repeated as often as it is drawn."""
    if anomalous.all() or not anomalous.any():
        return {}
    resamples = [metrics.rank_images(np.repeat(scores, row), np.repeat(anomalous, row)) for row in weights]
    rankings = [ranking for ranking in resamples if ranking is not None]
    return {
        "image_auroc": [metrics._auroc(ranking) for ranking in rankings],
        "image_ap": [metrics._average_precision(ranking) for ranking in rankings],
    }


def _pixel_metrics(
    maps: Maps, masks: Masks, decided: Decided | None, weights: Weights, ignored: Masks | None
) -> dict[str, list[float]]:
    if masks.all() or not masks.any():
        return {}
    counted = np.True_ if ignored is None else ~ignored
    columns = _curve_metrics(_turns(maps, masks, counted & ~masks), weights)
    if decided is not None:
        columns["pixel_f1"] = _mask_f1(decided.masks & counted, masks, weights)
    return columns


def _curve_metrics(turns: Turns, weights: Weights) -> dict[str, list[float]]:
    rankings = [_resampled(turns, row) for row in weights]
    return {
        "pixel_auroc": [metrics._auroc(ranking) for ranking in rankings],
        "pixel_ap": [metrics._average_precision(ranking) for ranking in rankings],
        "pixel_f1_max": [metrics._best_threshold(ranking)[0] for ranking in rankings],
        "pixel_aupro": [metrics._aupro(ranking, limit=0.3) for ranking in rankings],
    }


def _rates(decided: Decided | None, anomalous: Labels, weights: Weights) -> dict[str, list[float]]:
    """Exact: an image is repeated as often as it is drawn. Nothing where nothing was `decided`."""
    if decided is None:
        return {}
    rates = [
        metrics.verdict_rates(np.repeat(decided.verdicts, row), np.repeat(anomalous, row)) for row in weights
    ]
    return {
        name: [float(rate[name] or 0.0) for rate in rates]
        for name in metrics.RATES
        if all(rate[name] is not None for rate in rates)
    }


def _mask_f1(predicted: Masks, masks: Masks, weights: Weights) -> list[float]:
    """Exact: pixels are counted per image."""
    true, num_predicted, num_anomalous = (
        (weights @ part.sum(axis=(1, 2))).tolist() for part in (predicted & masks, predicted, masks)
    )
    counts = zip(true, num_predicted, num_anomalous, strict=True)
    return [float(metrics._f_score(found, marked - found, there)) for found, marked, there in counts]


def _resampled(turns: Turns, row: PerImage) -> Ranking:
    """The ranking of the images, each as often as `row` says.

    Turns at which no anomalous pixel enters are dropped: the curves do not turn there.
    """
    true, false, overlap = row @ turns.true, row @ turns.false, row @ turns.shares
    kept = np.diff(true, prepend=0) > 0
    return Ranking(
        thresholds=turns.thresholds[kept],
        true=true[kept],
        false_above=metrics._delayed(false)[kept],
        false=false[kept],
        overlap=overlap[kept] / overlap[-1],
        num_normal=int(row @ turns.num_normal),
    )


def _turns(maps: Maps, masks: Masks, normal: Masks) -> Turns:
    metrics._refuse_broken(maps)
    anomalous, shares = maps[masks], metrics._shares(masks)
    thresholds = _thresholds(anomalous, shares)
    ends = np.cumsum(masks.sum(axis=(1, 2)))[:-1]
    of_images = zip(np.split(anomalous, ends), np.split(shares, ends), strict=True)
    entered = [_entered(values, weights, thresholds) for values, weights in of_images]
    ranked = [np.sort(image[where]) for image, where in zip(maps, normal, strict=True)]
    return Turns(
        thresholds=np.repeat(thresholds, 2),
        true=np.stack([counts for counts, _ in entered]),
        false=np.stack([_let_in(values, thresholds) for values in ranked]),
        shares=np.stack([sums for _, sums in entered]),
        num_normal=np.array([len(values) for values in ranked]),
    )


def _thresholds(anomalous: Values, shares: Values) -> Float[np.ndarray, " s"]:
    """Values of anomalous pixels, highest first: all if they are few, else quantiles and both ends.

    Half of the quantiles are of the pixels, half of the pixels weighed by their share in a region, so that
    neither the recall nor the overlap takes a step longer than 1 / `STEPS` except where values tie.
    """
    order = np.argsort(anomalous)
    ranked, summed = anomalous[order], np.cumsum(shares[order])
    wanted = np.linspace(0, 1, STEPS + 1)
    of_pixels = np.rint(wanted * (len(ranked) - 1)).astype(np.int64)
    of_regions = np.searchsorted(summed, wanted * summed[-1]).clip(max=len(ranked) - 1)
    return np.unique(ranked[np.concatenate([of_pixels, of_regions])])[::-1]


def _entered(
    anomalous: Values, shares: Values, thresholds: Float[np.ndarray, " s"]
) -> tuple[Int[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Number and shares of one image's anomalous pixels that each turn has let in."""
    order = np.argsort(anomalous)
    counts = _let_in(anomalous[order], thresholds)
    return counts, np.concatenate([[0.0], np.cumsum(shares[order][::-1])])[counts]


def _let_in(ranked: Values, thresholds: Float[np.ndarray, " s"]) -> Int[np.ndarray, " t"]:
    """How many of the values, lowest first, lie above each threshold, and at or above it, in turns."""
    above, at = (len(ranked) - np.searchsorted(ranked, thresholds, side=side) for side in ("right", "left"))
    return metrics._interleaved(above, at)
