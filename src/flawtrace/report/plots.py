"""Curves and pictures as data URIs, for documents that must not need any other file.

Colours keep their meaning throughout (after Okabe and Ito's palette, safe for colour-blind readers): blue is
normal, vermillion defective, green the predictor, purple exploration.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image as Pillow
from torch import Tensor

from flawtrace.ground.shapes import AnomalyMap, Image, Mask
from flawtrace.measures.metrics import Curve
from flawtrace.pictures.images import OUTLINE, as_picture, outline

NORMAL, DEFECTIVE = "#0072B2", "#D55E00"
PREDICTOR, EXPLORATION = "#009E73", "#8A4F9E"
CLONE, COVER, INK, FAINT = "#E69F00", "#56B4E9", "#222B33", "#8A949C"
PREDICTED = "#{:02X}{:02X}{:02X}".format(*OUTLINE.tolist())

PICTURE_SIDE = 256
"""Pixels along a picture at most: enough for print, and a report stays small enough for a mail."""

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E8EB",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "flawtrace",
}

Drawn = ParamSpec("Drawn")


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


def styled(draw: Callable[Drawn, str]) -> Callable[Drawn, str]:
    """Draw in STYLE, whatever matplotlib is set to elsewhere."""

    @wraps(draw)
    def drawn(*args: Drawn.args, **kwargs: Drawn.kwargs) -> str:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


@styled
def precision_recall(curve: Curve, point: OperatingPoint) -> str:
    axes = new_axes(4.7, 3.2)
    axes.plot(curve[:, 0], curve[:, 1], color=INK)
    _mark(axes, point.recall, point.precision)
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower left")
    return svg(axes)


@styled
def roc(curve: Curve, point: OperatingPoint) -> str:
    axes = new_axes(4.7, 3.2)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="guessing")
    axes.plot(curve[:, 0], curve[:, 1], color=INK)
    _mark(axes, point.false_positive_rate, point.recall)
    axes.set(xlabel="false-positive rate", ylabel="recall (true-positive rate)")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower right")
    return svg(axes)


@styled
def score_histogram(normal: list[float], anomalous: list[float], threshold: float) -> str:
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
    axes.axvline(threshold, color=INK, linestyle="--", label=f"threshold {threshold:.3f}")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="score of the image", ylabel="images")
    _legend_above(axes, 3)
    return svg(axes)


@styled
def loss_profiles(profiles: Mapping[str, Any]) -> str:
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
    return svg(axes)


@styled
def learning_curve(rows: Sequence[Mapping[str, Any]], lines: Sequence[Line], ylabel: str) -> str:
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
    return svg(axes)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0, columnspacing=1.2)


def picture(image: Image) -> str:
    """A JPEG of at most PICTURE_SIDE pixels along its longer side."""
    canvas = Pillow.fromarray(as_picture(image).cpu().numpy())
    canvas.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=88, subsampling=0)
    return data_uri("image/jpeg", buffer.getvalue())


def outlined(image: Image, region: Mask, colour: str) -> Image:
    """`image` with a line around `region`, with a dark rim that shows on bright products."""
    width = max(1, min(region.shape) // 128)
    for line, paint in [(outline(region, width + 1), INK), (outline(region, width), colour)]:
        image = torch.where(line, torch.tensor(_rgb(paint))[:, None, None], image)
    return image


def heat(anomaly_map: AnomalyMap, threshold: float) -> Image:
    """`anomaly_map` in colours whose middle is the threshold: dark below, bright above."""
    position = np.interp(anomaly_map.numpy(), [0.0, threshold, 1.0], [0.0, 0.5, 1.0])
    return _coloured("inferno", position)


def heat_scale() -> str:
    """The colours of `heat`, from 0 through the threshold to 1, left to right."""
    return picture(_coloured("inferno", np.tile(np.linspace(0, 1, 256), (8, 1))))


def visit_map(visits: AnomalyMap, most: float) -> str:
    """Visits per cell in colours, dark where there were none and bright where there were `most`."""
    return picture(enlarged(_coloured("viridis", (visits / max(most, 1e-9)).clamp(0, 1).numpy()), "nearest"))


def visits_over(image: Image, visits: AnomalyMap, most: float) -> str:
    """`image` in pale grey, coloured where patches were taken."""
    visits = enlarged(visits[None], "nearest")[0]
    pale = 0.35 + 0.65 * enlarged(image).mean(dim=0, keepdim=True).expand(3, -1, -1)
    colours = _coloured("viridis", (visits / max(most, 1e-9)).clamp(0, 1).numpy())
    return picture(pale.lerp(colours, 0.65 * (visits > 0).float()))


def visit_scale() -> str:
    """The colours of `visit_map`, from none to most, left to right."""
    return picture(_coloured("viridis", np.tile(np.linspace(0, 1, 256), (8, 1))))


def data_uri(kind: str, content: bytes) -> str:
    """`content` as an address that holds it.

    >>> data_uri("text/plain", b"hi")
    'data:text/plain;base64,aGk='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def new_axes(width: float, height: float) -> Axes:
    """Of a new figure of `width` x `height` inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def svg(axes: Axes) -> str:
    buffer = io.BytesIO()
    axes.figure.get_figure(root=True).savefig(buffer, format="svg", metadata={"Date": None})
    return data_uri("image/svg+xml", buffer.getvalue())


def _mark(axes: Axes, x: float, y: float) -> None:
    axes.scatter([x], [y], s=80, color=DEFECTIVE, edgecolor="white", zorder=3, label="stored threshold")


def _rgb(colour: str) -> list[float]:
    return [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]


def _coloured(scale: str, values: np.ndarray) -> Image:
    table = matplotlib.colormaps[scale]
    return torch.from_numpy(table(values)[..., :3]).float().permute(2, 0, 1)


def enlarged(image: Float[Tensor, "c h w"], mode: str = "bilinear") -> Float[Tensor, "c side side"]:
    """At PICTURE_SIDE pixels along its sides, whatever a browser would make of them."""
    return torch.nn.functional.interpolate(image[None], size=(PICTURE_SIDE, PICTURE_SIDE), mode=mode)[0]
