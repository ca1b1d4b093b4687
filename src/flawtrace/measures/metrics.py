"""How well anomaly maps and scores separate what is anomalous from what is normal.

Higher is worse in every map and score. A metric that needs two classes is `None` when the data hold only one:
an undefined number is never reported as 0.

All curves come from one object, `Ranking`: a curve can only turn at the value of an anomalous pixel, so the
normal pixels are sorted once, in place, and counted there. Tied pixels enter together. That makes 13 million
pixels a matter of seconds. The tests compare every number with scikit-learn, which is not used here because
it sorts once per metric and takes longer to import than all the rest.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from skimage.measure import label

Maps: TypeAlias = Float[np.ndarray, "n h w"]
Masks: TypeAlias = Bool[np.ndarray, "n h w"]
Scores: TypeAlias = Float[np.ndarray, " n"]
Labels: TypeAlias = Bool[np.ndarray, " n"]
Values: TypeAlias = Float[np.ndarray, " p"]
Counts: TypeAlias = Int[np.ndarray, " p"]
Curve: TypeAlias = Float[np.ndarray, "_ 2"]
"""Points (x, y), in the order in which a falling threshold visits them."""


OK, UNSURE, DEFECT = range(3)
"""Verdicts as numbers."""
PIXEL_METRICS = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "pixel_aupro", "pixel_f1")
RATES = ("false_alarm_rate", "miss_rate", "unsure_rate", "image_f1")


@dataclass(frozen=True)
class Decided:
    """What a method decided about images by numbers that it chose without them."""

    masks: Masks
    """The pixels that it marked."""
    verdicts: Int[np.ndarray, " n"]
    """OK, UNSURE or DEFECT."""

    @classmethod
    def at(cls, maps: Maps, scores: Scores, threshold: float) -> "Decided":
        """By one threshold for pixels and images."""
        return cls(maps >= threshold, np.where(scores >= threshold, DEFECT, OK))

    def __getitem__(self, chosen: np.ndarray) -> "Decided":
        return Decided(self.masks[chosen], self.verdicts[chosen])


@dataclass(frozen=True)
class Ranking:
    """What a falling threshold has let in, at each value that an anomalous pixel (or image) takes."""

    thresholds: Values
    """Those values without repetition, highest first."""
    true: Counts
    """Anomalous ones at or above the threshold."""
    false_above: Counts
    """Normal ones above the threshold: those let in before this value's turn."""
    false: Counts
    """Normal ones at or above the threshold."""
    overlap: Values
    """Mean over all regions of the share of a region at or above the threshold."""
    num_normal: int

    @property
    def num_anomalous(self) -> int:
        return int(self.true[-1])


def pixel_auroc(maps: Maps, masks: Masks) -> float | None:
    """Chance that an anomalous pixel lies above a normal one, a tie counting half; `None` for one class only.

    >>> maps = np.array([[[0.1, 0.4, 0.35, 0.8]]])
    >>> pixel_auroc(maps, np.array([[[False, False, True, True]]]))
    0.75
    """
    ranking = rank_pixels(maps, masks)
    return None if ranking is None else _auroc(ranking)


def pixel_ap(maps: Maps, masks: Masks) -> float | None:
    """Average precision over pixels (a sum of steps, not of trapezoids); `None` for one class only."""
    ranking = rank_pixels(maps, masks)
    return None if ranking is None else _average_precision(ranking)


def pixel_f1_max(maps: Maps, masks: Masks) -> float | None:
    """The best F1 over all thresholds; `None` for one class only.

    Chosen on the pixels that it describes, so it says what a map could do, not what a detector does.
    """
    best = best_threshold(maps, masks)
    return None if best is None else best[0]


def best_threshold(maps: Maps, masks: Masks) -> tuple[float, float] | None:
    """The highest F1 and the threshold that reaches it: `map >= threshold` gives exactly that F1.

    Of several such thresholds it is the highest, which marks the fewest pixels. `None` for one class only.

    >>> maps = np.array([[[0.1, 0.4, 0.5, 0.8]]])
    >>> best_threshold(maps, np.array([[[False, False, True, True]]]))
    (1.0, 0.5)
    """
    ranking = rank_pixels(maps, masks)
    return None if ranking is None else _best_threshold(ranking)


def balanced_f_max(maps: Maps, masks: Masks, recall: float = 1.0) -> float | None:
    """The best F of pixels if normal and defective images weighed the same in all, however many there are of
    either, and `recall` so many times as much as precision; `None` for one class only.

    >>> maps = np.array([[[0.9, 0.1]], [[0.9, 0.1]], [[0.9, 0.1]]])
    >>> masks = np.array([[[True, False]], [[False, False]], [[False, False]]])
    >>> balanced_f_max(maps, masks) == pixel_f1_max(maps[:2], masks[:2])
    True
    """
    ranking = rank_pixels(maps, masks)
    if ranking is None:
        return None
    anomalous = masks.any(axis=(1, 2))
    elsewhere = np.sort(maps[~anomalous], axis=None)
    there = len(elsewhere) - np.searchsorted(elsewhere, ranking.thresholds)
    weight = anomalous.sum() / max(1, (~anomalous).sum())
    false = ranking.false - there + weight * there
    return float(np.max(_f_score(ranking.true, false, ranking.num_anomalous, recall)))


def pixel_f1(maps: Maps, masks: Masks, threshold: float) -> float | None:
    """F1 of the pixels at or above `threshold`, pooled over all images; `None` for one class only."""
    _refuse_broken(maps)
    return mask_f1(maps >= threshold, masks)


def reliability(maps: Maps, masks: Masks, ignored: Masks | None = None, bins: int = 10) -> Curve:
    """Points (mean value, share that is defective) of the pixels by their value, for equal steps of it.

    A calibrated map has both alike. Normal and defective images weigh the same in all, however many there are
    of either; steps without a pixel are left out (DeGroot and Fienberg 1983).

    >>> reliability(np.array([[[0.1, 0.1, 0.9, 0.9]]]), np.array([[[False, False, True, False]]])).tolist()
    [[0.1, 0.0], [0.9, 0.5]]
    """
    anomalous = masks.any(axis=(1, 2))
    points = []
    weights = 1 / np.where(anomalous, max(1, anomalous.sum()), max(1, (~anomalous).sum()))
    steps = np.clip((maps * bins).astype(int), 0, bins - 1)
    if ignored is not None:
        steps[ignored] = bins
    for step in range(bins):
        where = steps == step
        per_image = weights @ where.sum(axis=(1, 2))
        if per_image:
            value = weights @ np.where(where, maps, 0).sum(axis=(1, 2), dtype=float)
            defective = weights @ (where & masks).sum(axis=(1, 2))
            points.append((value / per_image, defective / per_image))
    return np.array(points).reshape(-1, 2)


def mask_f1(predicted: Masks, masks: Masks) -> float | None:
    """F1 of marked pixels, pooled over all images; `None` for one class only."""
    if masks.all() or not masks.any():
        return None
    true, num_predicted, num_anomalous = (int(part.sum()) for part in (predicted & masks, predicted, masks))
    return float(_f_score(true, num_predicted - true, num_anomalous))


def pixel_aupro(maps: Maps, masks: Masks, limit: float = 0.3) -> float | None:
    """Area under the per-region overlap up to a false-positive rate of `limit`, divided by `limit`.

    A region is a set of 8-connected anomalous pixels of one image. Each region of the data set counts the
    same, whatever its size; the false-positive rate is over all normal pixels, flawless images included.
    `None` for one class only.
    """
    ranking = rank_pixels(maps, masks)
    return None if ranking is None else _aupro(ranking, limit)


def image_auroc(scores: Scores, anomalous: Labels) -> float | None:
    """Chance that an anomalous image scores above a normal one, a tie counting half; `None` for one class.

    >>> image_auroc(np.array([0.2, 0.7, 0.7]), np.array([False, False, True]))
    0.75
    """
    ranking = rank_images(scores, anomalous)
    return None if ranking is None else _auroc(ranking)


def image_ap(scores: Scores, anomalous: Labels) -> float | None:
    """Average precision over images; `None` for one class only."""
    ranking = rank_images(scores, anomalous)
    return None if ranking is None else _average_precision(ranking)


def verdict_rates(verdicts: Int[np.ndarray, " n"], anomalous: Labels) -> dict[str, float | None]:
    """How often the verdict is wrong, and how often it is none; `None` where there are no such images.

    A false alarm is a normal image that is DEFECT, a miss a defective one that is OK: of an UNSURE image a
    person decides. `image_f1` takes DEFECT alone as found.

    >>> verdict_rates(np.array([0, 2, 1, 2]), np.array([False, False, True, True]))["false_alarm_rate"]
    0.5
    """
    defect = verdicts == DEFECT
    normal, wrong = ~anomalous, int((defect & ~anomalous).sum())
    found = int((defect & anomalous).sum())
    both = anomalous.any() and normal.any()
    return {
        "false_alarm_rate": float(defect[normal].mean()) if normal.any() else None,
        "miss_rate": float((verdicts[anomalous] == OK).mean()) if anomalous.any() else None,
        "unsure_rate": float((verdicts == UNSURE).mean()) if len(verdicts) else None,
        "image_f1": float(_f_score(found, wrong, int(anomalous.sum()))) if both else None,
    }


def summary(
    maps: Maps,
    masks: Masks,
    scores: Scores,
    decided: Decided | None,
    *,
    anomalous: Labels | None = None,
    ignored: Masks | None = None,
) -> dict[str, float | None]:
    """Every metric of a test set; those of masks and verdicts where something was `decided`.

    An image is anomalous when `anomalous` says so; by itself, when its mask has any pixel. One that is, and
    whose mask has none, takes part in no metric of pixels: nobody knows where its defect is.
    """
    if anomalous is None:
        anomalous = np.any(masks, axis=(1, 2))
    known = outlined(masks, anomalous)
    pixels: dict[str, float | None] = dict.fromkeys(PIXEL_METRICS)
    if known.any():
        chosen = slice(None) if known.all() else known  # most often all of them, which need no copy
        pixels = pixel_metrics(
            maps[chosen],
            masks[chosen],
            None if decided is None else decided.masks[chosen],
            ignored=None if ignored is None else ignored[chosen],
        )
    verdicts = None if decided is None else decided.verdicts
    return in_order({**pixels, **image_metrics(scores, anomalous, verdicts)})


def outlined(masks: Masks, anomalous: Labels) -> Labels:
    """The images of which it is known which pixels are anomalous."""
    known: Labels = ~anomalous | np.any(masks, axis=(1, 2))
    return known


def in_order(metrics: dict[str, float | None]) -> dict[str, float | None]:
    """As tables have them: what ranks first, then what decides."""
    decisions = {name: metrics[name] for name in ("pixel_f1", *RATES)}
    return {name: value for name, value in metrics.items() if name not in decisions} | decisions


def pixel_metrics(
    maps: Maps, masks: Masks, marked: Masks | None, *, ignored: Masks | None = None
) -> dict[str, float | None]:
    """Those of pixels: how maps rank them, and what was marked of them, if anything was decided.

    Pixels that are `ignored` take part in nothing; no mask has one of them.
    """
    ranking = rank_pixels(maps, masks, ignored)
    if marked is not None and ignored is not None:
        marked = marked & ~ignored
    values = (
        None if ranking is None else _auroc(ranking),
        None if ranking is None else _average_precision(ranking),
        None if ranking is None else _best_threshold(ranking)[0],
        None if ranking is None else _aupro(ranking, limit=0.3),
        None if marked is None else mask_f1(marked, masks),
    )
    return dict(zip(PIXEL_METRICS, values, strict=True))


def image_metrics(
    scores: Scores, anomalous: Labels, verdicts: Int[np.ndarray, " n"] | None
) -> dict[str, float | None]:
    """Those of images: how scores rank them, and how often verdicts are wrong, if there are any."""
    return {
        "image_auroc": image_auroc(scores, anomalous),
        "image_ap": image_ap(scores, anomalous),
        **(dict.fromkeys(RATES) if verdicts is None else verdict_rates(verdicts, anomalous)),
    }


def roc_points(maps: Maps, masks: Masks, ignored: Masks | None = None, at_most: int = 400) -> Curve | None:
    """(false-positive rate, true-positive rate) from (0, 0) to (1, 1), for plotting.

    Of a longer curve at most `at_most` points stay, evenly spaced along it, and both ends.
    `None` for one class only.
    """
    ranking = rank_pixels(maps, masks, ignored)
    return None if ranking is None else _thinned(_roc(ranking, _recall(ranking)), at_most)


def precision_recall_points(
    maps: Maps, masks: Masks, ignored: Masks | None = None, at_most: int = 400
) -> Curve | None:
    """(recall, precision) from (0, 1) to (1, share of anomalous pixels), thinned like `roc_points`."""
    ranking = rank_pixels(maps, masks, ignored)
    return None if ranking is None else _thinned(_precision_recall(ranking), at_most)


def rank_pixels(maps: Maps, masks: Masks, ignored: Masks | None = None) -> Ranking | None:
    """The pixels of all images that are not `ignored` in one ranking; `None` for one class only.

    Raises:
        ValueError: a map holds NaN or infinity; the message names the image's index.
    """
    _refuse_broken(maps)
    normal = ~masks if ignored is None else ~(masks | ignored)
    return _rank(maps[masks], maps[normal], _shares(masks))


def rank_images(scores: Scores, anomalous: Labels) -> Ranking | None:
    """The images in one ranking, each a region of its own; `None` for one class only.

    Raises:
        ValueError: a score is NaN or infinite; the message names the image's index.
    """
    _refuse_broken(scores)
    num_anomalous = int(anomalous.sum())
    return _rank(scores[anomalous], scores[~anomalous], np.full(num_anomalous, 1 / max(num_anomalous, 1)))


def _refuse_broken(values: Float[np.ndarray, "n *rest"]) -> None:
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"Image {int(np.argmin(finite))} has NaN or infinity in its anomaly map or score; "
            "metrics need finite numbers."
        )


def _shares(masks: Masks) -> Values:
    """Of each anomalous pixel, in the order of `maps[masks]`: 1 / (its region's area x number of regions)."""
    shares: list[np.ndarray] = []
    num_regions = 0
    for mask in masks[masks.any(axis=(1, 2))]:
        regions = label(mask, connectivity=2)[mask]
        areas: np.ndarray = np.bincount(regions)
        shares.append(1 / areas[regions])
        num_regions += int(regions.max())
    return np.concatenate(shares) / num_regions if shares else np.zeros(0)


def _rank(anomalous: Values, normal: Float[np.ndarray, " q"], shares: Values) -> Ranking | None:
    """Sorts its own copies: `normal` in place, `anomalous` with the share that each brings to the overlap."""
    if len(anomalous) == 0 or len(normal) == 0:
        return None
    order = np.argsort(anomalous)[::-1]
    anomalous = anomalous[order]
    last_of_tie = np.append(np.flatnonzero(anomalous[1:] != anomalous[:-1]), len(anomalous) - 1)
    thresholds = anomalous[last_of_tie]
    overlap = np.cumsum(shares[order])
    normal.sort()
    return Ranking(
        thresholds=thresholds,
        true=last_of_tie + 1,
        false_above=len(normal) - np.searchsorted(normal, thresholds, side="right"),
        false=len(normal) - np.searchsorted(normal, thresholds, side="left"),
        overlap=overlap[last_of_tie] / overlap[-1],
        num_normal=len(normal),
    )


def _auroc(ranking: Ranking) -> float:
    """Pairs in the right order, ties counting half, over all pairs."""
    rightly = np.diff(ranking.true, prepend=0)
    below = 2 * ranking.num_normal - ranking.false - ranking.false_above
    return float((rightly * below).sum() / (2 * ranking.num_anomalous * ranking.num_normal))


def _average_precision(ranking: Ranking) -> float:
    """AP = sum_i (R_i - R_(i-1)) P_i, with recall R and precision P at threshold i."""
    gained = np.diff(ranking.true, prepend=0)
    precision = ranking.true / (ranking.true + ranking.false)
    return float((gained * precision).sum() / ranking.num_anomalous)


def _f_score(
    true: Counts | int, false: Counts | Values | int, num_anomalous: int, recall: float = 1.0
) -> Values | float:
    """F = (1 + r^2) TP / (TP + FP + r^2 (TP + FN)), with r for `recall` (van Rijsbergen 1979): F1 for r = 1;
    defined even when nothing is predicted.
    """
    weight = recall**2
    return (1 + weight) * true / (true + false + weight * num_anomalous)


def _best_threshold(ranking: Ranking) -> tuple[float, float]:
    f1 = np.asarray(_f_score(ranking.true, ranking.false, ranking.num_anomalous))
    best = int(np.argmax(f1))
    return float(f1[best]), float(ranking.thresholds[best])


def _aupro(ranking: Ranking, limit: float) -> float:
    if not 0 < limit <= 1:
        raise ValueError(f"limit must lie in (0, 1], not {limit}: it is a false-positive rate.")
    rate, overlap = _roc(ranking, ranking.overlap).T
    inside = int(np.searchsorted(rate, limit, side="right"))
    at_limit = np.interp(limit, rate[inside - 1 : inside + 1], overlap[inside - 1 : inside + 1])
    area = np.trapezoid(np.append(overlap[:inside], at_limit), np.append(rate[:inside], limit))
    return min(float(area) / limit, 1.0)


def _recall(ranking: Ranking) -> Values:
    return ranking.true / ranking.num_anomalous


def _roc(ranking: Ranking, height: Values) -> Curve:
    """`height` over the false-positive rate: level between two thresholds, aslant where both classes tie."""
    rate = _interleaved(ranking.false_above, ranking.false) / ranking.num_normal
    heights = _interleaved(_delayed(height), height)
    return np.column_stack([np.concatenate([[0], rate, [1]]), np.concatenate([[0], heights, [1]])])


def _precision_recall(ranking: Ranking) -> Curve:
    """Nothing predicted has precision 1, as in scikit-learn."""
    true = np.concatenate([_interleaved(_delayed(ranking.true), ranking.true), ranking.true[-1:]])
    false = np.append(_interleaved(ranking.false_above, ranking.false), ranking.num_normal)
    precision = np.divide(true, true + false, out=np.ones(len(true)), where=true + false > 0)
    return np.vstack([[0.0, 1.0], np.column_stack([true / ranking.num_anomalous, precision])])


def _delayed(values: np.ndarray) -> np.ndarray:
    """What held before each threshold: nothing, then the previous one's value."""
    return np.concatenate([np.zeros(1, values.dtype), values[:-1]])


def _interleaved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.column_stack([before, after]).ravel()


def _thinned(curve: Curve, at_most: int) -> Curve:
    if len(curve) <= at_most:
        return curve
    travelled = np.append(0, np.cumsum(np.abs(np.diff(curve, axis=0)).sum(axis=1)))
    wanted = np.searchsorted(travelled, np.linspace(0, travelled[-1], at_most))
    wanted[0], wanted[-1] = 0, len(curve) - 1
    return curve[np.unique(wanted)]
