"""Curves of a run, for its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from flawtrace.detector import Errors, Thresholds
from flawtrace.measures.metrics import Curve
from flawtrace.report.style import (
    CLONE,
    COVER,
    DEFECTIVE,
    EXPLORATION,
    FAINT,
    INK,
    NORMAL,
    PREDICTOR,
    inline,
    new_axes,
    styled,
    svg_file,
)

Scores: TypeAlias = Float[np.ndarray, " _"]


@dataclass(frozen=True)
class OperatingPoint:
    """What one threshold does to the pixels of a test set."""

    recall: float
    precision: float
    false_positive_rate: float


@dataclass(frozen=True)
class Line:
    """One column of the training log as a curve."""

    column: str
    label: str
    colour: str
    dashes: str = "-"


LEARNING: dict[str, tuple[str, tuple[Line, ...]]] = {
    "returns": (
        "sum of rewards",
        (
            Line("return", "return", INK),
            Line("return_exploration", "exploration", EXPLORATION, "--"),
            Line("return_prediction", "prediction", PREDICTOR, "-."),
        ),
    ),
    "rewards": (
        "mean per update",
        (
            Line("clone", "R_clone", CLONE),
            Line("cover", "R_cover", COVER, "--"),
            Line("prediction", "R_pred", PREDICTOR, "-."),
        ),
    ),
    "losses": (
        "loss",
        (
            Line("reconstruction_loss", "autoencoder (mean)", INK),
            Line("prediction_loss", "predictor (last)", PREDICTOR, "-."),
        ),
    ),
    "defective": ("share of sampled cells", (Line("defective", "defective", DEFECTIVE),)),
    "entropy": ("entropy (nats)", (Line("entropy", "entropy", INK),)),
    "policy": (
        "fraction",
        (
            Line("clipped_fraction", "clipped fraction", EXPLORATION),
            Line("explained_variance", "explained variance", COVER, "--"),
        ),
    ),
}
"""Curves of a training: what the axis says, and the columns of the log."""


@styled
def precision_recall(curve: Curve, point: OperatingPoint) -> Markup:
    axes = new_axes(4.7, 3.2)
    axes.plot(curve[:, 0], curve[:, 1], color=INK)
    _mark(axes, point.recall, point.precision)
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower left")
    return inline(axes)


@styled
def reliability(curve: Curve, outline: float) -> Markup:
    axes = new_axes(4.7, 3.2)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="as it should be")
    axes.plot(curve[:, 0], curve[:, 1], color=INK, marker="o", markersize=4, label="test images")
    axes.axvline(outline, color=FAINT, linestyle="--", label=f"outline from {outline:.3f}")
    axes.set(xlabel="value of the map", ylabel="share that is defective")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower right")
    return inline(axes)


@styled
def roc(curve: Curve, point: OperatingPoint) -> Markup:
    axes = new_axes(4.7, 3.2)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="guessing")
    axes.plot(curve[:, 0], curve[:, 1], color=INK)
    _mark(axes, point.false_positive_rate, point.recall)
    axes.set(xlabel="false-positive rate", ylabel="recall (true-positive rate)")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower right")
    return inline(axes)


@styled
def score_histogram(normal: list[float], anomalous: list[float], thresholds: Thresholds) -> Markup:
    axes = new_axes(9.6, 2.9)
    bins = np.linspace(min(0.0, *normal, *anomalous), max(1.0, *normal, *anomalous), 41)
    for scores, colour, name, hatch in [
        (normal, NORMAL, "normal images", None),
        (anomalous, DEFECTIVE, "anomalous images", "///"),
    ]:
        label = f"{name} ({len(scores)})"
        axes.hist(
            scores, bins.tolist(), color=colour, alpha=0.75, hatch=hatch, edgecolor="white", label=label
        )
    _thresholds(axes, thresholds.defect, thresholds.unsure)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="score of the image", ylabel="images")
    _legend_above(axes, 4)
    return inline(axes)


@styled
def trade_off(normal: Scores, anomalous: Scores, defect: float, unsure: float) -> Markup:
    """False alarms and misses over the score from which an image is DEFECT, for a page."""
    return inline(_trade_off(normal, anomalous, defect, unsure))


@styled
def drawn_trade_off(normal: Scores, anomalous: Scores, defect: float, unsure: float) -> bytes:
    """The same as an SVG file."""
    return svg_file(_trade_off(normal, anomalous, defect, unsure))


def _trade_off(normal: Scores, anomalous: Scores, defect: float, unsure: float) -> Axes:
    axes = new_axes(9.6, 3.2)
    steps = np.unique(np.concatenate([np.linspace(0, 1, 101), normal, anomalous]))
    for wrong, total, colour, dashes, name in [
        ([(normal >= step).sum() for step in steps], len(normal), NORMAL, "-", "false alarms"),
        ([(anomalous < step).sum() for step in steps], len(anomalous), DEFECTIVE, "--", "defects below"),
    ]:
        if not total:
            continue
        errors = [Errors(int(count), total) for count in wrong]
        low, high = np.array([one.interval for one in errors]).T
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(steps, np.array(wrong) / total, dashes, color=colour, label=f"{name} (of {total})")
    _thresholds(axes, defect, unsure)
    axes.set(xlabel="score from which an image is DEFECT", ylabel="share of images", ylim=(-0.02, 1.02))
    _legend_above(axes, 4)
    return axes


def _thresholds(axes: Axes, defect: float, unsure: float) -> None:
    axes.axvline(defect, color=INK, linestyle="--", label=f"DEFECT from {defect:.3f}")
    if unsure < defect:
        axes.axvline(unsure, color=FAINT, linestyle=":", label=f"UNSURE from {unsure:.3f}")


@styled
def loss_profiles(profiles: Mapping[str, Any]) -> Markup:
    """Bands between the outer of the stored quantiles, and the middle one as a line."""
    axes = new_axes(9.6, 3.2)
    updates = profiles["updates"]
    for name, colour, dashes in [("normal", NORMAL, "-"), ("defective", DEFECTIVE, "--")]:
        if name in profiles:
            low, middle, high = profiles[name]
            axes.fill_between(updates, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(updates, middle, dashes, color=colour, marker="o", markersize=4, label=f"{name} cells")
    axes.set_xscale("log")
    axes.set_xticks(updates, [str(update) for update in updates])
    axes.minorticks_off()
    axes.set(xlabel="autoencoder update (log scale)", ylabel="reconstruction error")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")
    return inline(axes)


@styled
def learning_curve(rows: Sequence[Mapping[str, Any]], lines: Sequence[Line], ylabel: str) -> Markup:
    """Columns of the log's cycles; a cycle without a value leaves a gap."""
    axes = new_axes(4.7, 2.7)
    cycles, marker = [row["cycle"] + 1 for row in rows], "o" if len(rows) < 30 else None
    for line in lines:
        values = np.array([row.get(line.column) for row in rows], dtype=float)
        axes.plot(
            cycles, values, line.dashes, color=line.colour, label=line.label, marker=marker, markersize=4
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="cycle", ylabel=ylabel)
    if len(lines) > 1:
        _legend_above(axes, len(lines))
    return inline(axes)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0, columnspacing=1.2)


def _mark(axes: Axes, x: float, y: float) -> None:
    axes.scatter([x], [y], s=80, color=DEFECTIVE, edgecolor="white", zorder=3, label="stored threshold")
