"""Curves and pictures as data URIs, for documents that must not need any other file.

Colours keep their meaning throughout (after Okabe and Ito's palette, safe for colour-blind readers): blue is
normal, vermillion defective, green the predictor, purple exploration. Plots that compare methods give each of
them a colour and a shape instead.
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
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from PIL import Image as Pillow
from torch import Tensor

from flawtrace.images import OUTLINE, outline
from flawtrace.metrics import Curve
from flawtrace.shapes import AnomalyMap, Image, Mask
from flawtrace.statistics import Estimate

NORMAL, DEFECTIVE = "#0072B2", "#D55E00"
PREDICTOR, EXPLORATION = "#009E73", "#8A4F9E"
CLONE, COVER, INK, FAINT = "#E69F00", "#56B4E9", "#222B33", "#8A949C"
PREDICTED = "#{:02X}{:02X}{:02X}".format(*(round(255 * value) for value in OUTLINE))

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

METHOD_COLOURS = (NORMAL, DEFECTIVE, PREDICTOR, EXPLORATION, CLONE, COVER, INK, "#B5487F")
METHOD_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p", "<")
MARK = 5.5
"""Points across a method's mark, where there is room."""
LEGEND_LETTERS = 125
"""That fit in a line of a legend above a plot of the whole width."""

Drawn = ParamSpec("Drawn")


@dataclass(frozen=True)
class OperatingPoint:
    """What one threshold does to the pixels of a test set."""

    recall: float
    precision: float
    false_positive_rate: float


@dataclass(frozen=True)
class Look:
    """By which a method is known in every plot of a page."""

    colour: str
    shape: str


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
    axes = _axes(4.7, 3.2)
    axes.plot(curve[:, 0], curve[:, 1], color=INK)
    _mark(axes, point.recall, point.precision)
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower left")
    return _svg(axes)


@styled
def roc(curve: Curve, point: OperatingPoint) -> str:
    axes = _axes(4.7, 3.2)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="guessing")
    axes.plot(curve[:, 0], curve[:, 1], color=INK)
    _mark(axes, point.false_positive_rate, point.recall)
    axes.set(xlabel="false-positive rate", ylabel="recall (true-positive rate)")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.legend(loc="lower right")
    return _svg(axes)


@styled
def score_histogram(normal: list[float], anomalous: list[float], threshold: float) -> str:
    axes = _axes(9.6, 2.9)
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
    return _svg(axes)


@styled
def loss_profiles(profiles: Mapping[str, Any]) -> str:
    """Bands between the outer of the stored quantiles, and the middle one as a line."""
    axes = _axes(9.6, 3.2)
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
    return _svg(axes)


@styled
def learning_curve(rows: Sequence[Mapping[str, Any]], lines: Sequence[Line], ylabel: str) -> str:
    """Columns of the log's cycles; a cycle without a value leaves a gap."""
    axes = _axes(4.7, 2.7)
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
    return _svg(axes)


@styled
def intervals(
    found: Mapping[str, Mapping[str, Estimate | None]], looks: Mapping[str, Look], label: str
) -> str:
    """Dots with 95 % intervals: methods side by side in each category, the last of which is the mean."""
    axes = _axes(9.6, 3.5)
    _side_by_side(axes, found, looks)
    axes.set_ylabel(label)
    _methods_above(axes, list(found), looks)
    return _svg(axes)


@styled
def differences(
    found: Mapping[str, Mapping[str, Estimate | None]], looks: Mapping[str, Look], reference: str, label: str
) -> str:
    """Like `intervals`, of differences to `reference`; an open mark's interval holds zero."""
    axes = _axes(9.6, 3.5)
    axes.axhline(0, color=INK, linewidth=1.2)
    _side_by_side(axes, found, looks, hollow=lambda cell: cell.low <= 0 <= cell.high)
    axes.set_ylabel(f"{label}\nminus {_plain(reference)}")
    _methods_above(axes, list(found), looks)
    return _svg(axes)


@styled
def labels_curves(curves: Mapping[str, Mapping[int, Estimate]], looks: Mapping[str, Look], label: str) -> str:
    """Means over categories by labels per type, which stand at even distances."""
    axes = _axes(9.6, 3.5)
    numbers = sorted({number for curve in curves.values() for number in curve})
    for (method, curve), shift in zip(curves.items(), _shifts(len(curves), 0.25), strict=True):
        places = [numbers.index(number) + shift for number in curve]
        _whiskers(axes, places, list(curve.values()), looks[method])
        axes.plot(places, [cell.mean for cell in curve.values()], color=looks[method].colour, linewidth=1.2)
    axes.set_xticks(range(len(numbers)), [str(number) for number in numbers])
    axes.set(xlabel="labelled images per defect type", ylabel=label)
    _methods_above(axes, list(curves), looks)
    return _svg(axes)


@styled
def costs(
    points: Mapping[str, tuple[float, Estimate]], looks: Mapping[str, Look], xlabel: str, label: str
) -> str:
    """What a method reaches over what it costs: means over categories, the cost on a logarithmic scale."""
    axes = _axes(9.6, 3.3)
    for method, (cost, found) in points.items():
        _whiskers(axes, [cost], [found], looks[method])
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axes.minorticks_off()
    axes.margins(x=0.06)
    axes.set(xlabel=f"{xlabel} (log scale)", ylabel=label)
    _methods_above(axes, list(points), looks)
    return _svg(axes)


def looks_of(methods: Sequence[str]) -> dict[str, Look]:
    """A colour and a shape for each method; both repeat, but not together before their product is reached."""
    return {
        method: Look(METHOD_COLOURS[index % len(METHOD_COLOURS)], METHOD_SHAPES[index % len(METHOD_SHAPES)])
        for index, method in enumerate(methods)
    }


def _side_by_side(
    axes: Axes,
    found: Mapping[str, Mapping[str, Estimate | None]],
    looks: Mapping[str, Look],
    hollow: Callable[[Estimate], bool] = lambda _: False,
) -> None:
    names = list(dict.fromkeys(name for cells in found.values() for name in cells))
    size = min(MARK, 450 / max(len(names) * len(found), 1))
    for (method, cells), shift in zip(found.items(), _shifts(len(found), 0.72), strict=True):
        for place, name in enumerate(names):
            if cell := cells.get(name):
                _whiskers(axes, [place + shift], [cell], looks[method], size=size, hollow=hollow(cell))
    _name_columns(axes, names)


def _name_columns(axes: Axes, names: Sequence[str]) -> None:
    """A column for each name between thin lines, the last one shaded."""
    axes.axvspan(len(names) - 1.5, len(names) - 0.5, color=FAINT, alpha=0.13, linewidth=0)
    between = np.arange(0.5, len(names) - 1)
    axes.vlines(between, 0, 1, FAINT, linewidth=0.5, transform=axes.get_xaxis_transform())
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", length=0)
    axes.set_xticks(range(len(names)), [_plain(name) for name in names])
    if len(names) > 8:
        for text in axes.get_xticklabels():
            text.set(rotation=35, horizontalalignment="right", rotation_mode="anchor")


def _shifts(count: int, width: float) -> list[float]:
    """Places around 0 for `count` marks, `width` in all."""
    return [(index - (count - 1) / 2) * width / count for index in range(count)]


def _whiskers(
    axes: Axes,
    places: Sequence[float],
    cells: Sequence[Estimate],
    look: Look,
    *,
    size: float = MARK,
    hollow: bool = False,
) -> None:
    """A mark at each mean, and a line over its interval where there is one."""
    for place, cell in zip(places, cells, strict=True):
        if cell.bounded:
            axes.plot([place, place], [cell.low, cell.high], color=look.colour, linewidth=0.3 * size)
        face = "white" if hollow else look.colour
        axes.plot(place, cell.mean, look.shape, color=look.colour, markerfacecolor=face, markersize=size)


def _methods_above(axes: Axes, methods: Sequence[str], looks: Mapping[str, Look]) -> None:
    marks = [
        Line2D([], [], color=looks[method].colour, marker=looks[method].shape, linewidth=1.6, markersize=MARK)
        for method in methods
    ]
    across = max(1, min(len(methods), LEGEND_LETTERS // (max(map(len, methods), default=1) + 7)))
    axes.legend(
        marks,
        [_plain(name) for name in methods],
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=across,
        borderaxespad=0,
        columnspacing=1.4,
        handlelength=1.4,
    )


def _plain(name: str) -> str:
    """A name as it is, where matplotlib would see a formula, or letters that cannot be drawn."""
    return name.replace("$", r"\$").encode("utf-8", "replace").decode()


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0, columnspacing=1.2)


def picture(image: Image) -> str:
    """A JPEG of at most PICTURE_SIDE pixels along its longer side."""
    values = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    canvas = Pillow.fromarray(values.contiguous().numpy())
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


def _axes(width: float, height: float) -> Axes:
    """Of a new figure of `width` x `height` inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def _svg(axes: Axes) -> str:
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
