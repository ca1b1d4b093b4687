"""How everything that is drawn looks: colours, axes, and the way into a page.

Colours keep their meaning throughout (after Okabe and Ito's palette, safe for colour-blind readers): blue is
normal, vermillion defective, green the predictor, purple exploration.
"""

import base64
import io
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flawtrace.pictures.images import OUTLINE

NORMAL, DEFECTIVE = "#0072B2", "#D55E00"


PREDICTOR, EXPLORATION = "#009E73", "#8A4F9E"


CLONE, COVER, INK, FAINT = "#E69F00", "#56B4E9", "#222B33", "#8A949C"


PREDICTED = "#{:02X}{:02X}{:02X}".format(*OUTLINE.tolist())


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
Made = TypeVar("Made")


def styled(draw: Callable[Drawn, Made]) -> Callable[Drawn, Made]:
    """Draw in STYLE, whatever matplotlib is set to elsewhere."""

    @wraps(draw)
    def drawn(*args: Drawn.args, **kwargs: Drawn.kwargs) -> Made:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_axes(width: float, height: float) -> Axes:
    """Of a new figure of `width` x `height` inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def svg(axes: Axes) -> str:
    """The figure of `axes` as an address that holds it."""
    return data_uri("image/svg+xml", svg_file(axes))


def svg_file(axes: Axes) -> bytes:
    buffer = io.BytesIO()
    axes.figure.get_figure(root=True).savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    """`content` as an address that holds it.

    >>> data_uri("text/plain", b"hi")
    'data:text/plain;base64,aGk='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
