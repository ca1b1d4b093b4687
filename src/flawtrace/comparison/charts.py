"""Plots that compare methods, each of which has a colour and a shape; drawn as those of `plots`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from flawtrace.measures.bootstrap import Estimate
from flawtrace.report.style import (
    CLONE,
    COVER,
    DEFECTIVE,
    EXPLORATION,
    FAINT,
    INK,
    NORMAL,
    PREDICTOR,
    new_axes,
    styled,
    svg,
)

METHOD_COLOURS = (NORMAL, DEFECTIVE, PREDICTOR, EXPLORATION, CLONE, COVER, INK, "#B5487F")
METHOD_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p", "<")
MARK = 5.5
"""Points across a method's mark, where there is room."""
LEGEND_LETTERS = 125
"""That fit in a line of a legend above a plot of the whole width."""
PANELS_ACROSS = 4
"""Small plots in a line of the whole width."""


@dataclass(frozen=True)
class Look:
    """By which a method is known in every plot of a page."""

    colour: str
    shape: str


@styled
def intervals(
    found: Mapping[str, Mapping[str, Estimate | None]], looks: Mapping[str, Look], label: str
) -> str:
    """Dots with 95 % intervals: methods side by side in each category, the last of which is the mean."""
    axes = new_axes(9.6, 3.5)
    _side_by_side(axes, found, looks)
    axes.set_ylabel(label)
    _methods_above(axes, list(found), looks)
    return svg(axes)


@styled
def differences(
    found: Mapping[str, Mapping[str, Estimate | None]], looks: Mapping[str, Look], reference: str, label: str
) -> str:
    """Like `intervals`, of differences to `reference`; an open mark's interval holds zero."""
    axes = new_axes(9.6, 3.5)
    axes.axhline(0, color=INK, linewidth=1.2)
    _side_by_side(axes, found, looks, hollow=lambda cell: cell.low <= 0 <= cell.high)
    axes.set_ylabel(f"{label}\nminus {_plain(reference)}")
    _methods_above(axes, list(found), looks)
    return svg(axes)


@styled
def labels_curves(
    panels: Mapping[str, Mapping[str, Mapping[int, Estimate]]],
    looks: Mapping[str, Look],
    xlabel: str,
    label: str,
) -> str:
    """A panel per category: each method by number of labels, which stand at even distances."""
    columns = min(PANELS_ACROSS, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(9.6, 0.5 + 2.6 * lines), layout="constrained")
    places = figure.subplots(lines, columns, squeeze=False).ravel()
    numbers = sorted({number for curves in panels.values() for curve in curves.values() for number in curve})
    for axes, (category, curves) in zip(places, panels.items(), strict=False):
        _labels_panel(axes, curves, numbers, looks)
        axes.set_title(_plain(category), loc="left", fontsize="medium")
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel(xlabel, fontsize="medium")
    figure.supylabel(label, fontsize="medium")
    methods = list(dict.fromkeys(method for curves in panels.values() for method in curves))
    figure.legend(*_marks(methods, looks), loc="outside upper left", ncols=_columns(methods))
    return svg(places[0])


@styled
def costs(
    points: Mapping[str, tuple[float, Estimate]], looks: Mapping[str, Look], xlabel: str, label: str
) -> str:
    """What a method reaches over what it costs: means over categories, the cost on a logarithmic scale."""
    axes = new_axes(9.6, 3.3)
    for method, (cost, found) in points.items():
        _whiskers(axes, [cost], [found], looks[method])
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axes.minorticks_off()
    axes.margins(x=0.06)
    axes.set(xlabel=f"{xlabel} (log scale)", ylabel=label)
    _methods_above(axes, list(points), looks)
    return svg(axes)


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


def _labels_panel(
    axes: Axes,
    curves: Mapping[str, Mapping[int, Estimate]],
    numbers: Sequence[int],
    looks: Mapping[str, Look],
) -> None:
    for (method, curve), shift in zip(curves.items(), _shifts(len(curves), 0.3), strict=True):
        places = [numbers.index(number) + shift for number in curve]
        _whiskers(axes, places, list(curve.values()), looks[method])
        axes.plot(places, [cell.mean for cell in curve.values()], color=looks[method].colour, linewidth=1.2)
    axes.set_xticks(range(len(numbers)), [str(number) for number in numbers])
    axes.set_xlim(-0.4, len(numbers) - 0.6)


def _methods_above(axes: Axes, methods: Sequence[str], looks: Mapping[str, Look]) -> None:
    axes.legend(
        *_marks(methods, looks),
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=_columns(methods),
        borderaxespad=0,
        columnspacing=1.4,
        handlelength=1.4,
    )


def _marks(methods: Sequence[str], looks: Mapping[str, Look]) -> tuple[list[Line2D], list[str]]:
    """What stands in a legend: each method's mark and name."""
    marks = [
        Line2D([], [], color=looks[method].colour, marker=looks[method].shape, linewidth=1.6, markersize=MARK)
        for method in methods
    ]
    return marks, [_plain(name) for name in methods]


def _columns(methods: Sequence[str]) -> int:
    """Of a legend that is as wide as the plot at most."""
    return max(1, min(len(methods), LEGEND_LETTERS // (max(map(len, methods), default=1) + 7)))


def _plain(name: str) -> str:
    """A name as it is, where matplotlib would see a formula, or letters that cannot be drawn."""
    return name.replace("$", r"\$").encode("utf-8", "replace").decode()
