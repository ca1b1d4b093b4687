"""How everything that is drawn looks: colours, axes, and the way into a page.

Colours keep their meaning throughout (after Okabe and Ito's palette, safe for colour-blind readers): blue is
normal, vermillion defective, green the predictor, purple exploration.
"""

import base64
import io
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flawtrace.pictures.images import OUTLINE

NORMAL, DEFECTIVE = "#0072B2", "#D55E00"


PREDICTOR, EXPLORATION = "#009E73", "#8A4F9E"


CLONE, COVER, INK, FAINT = "#E69F00", "#56B4E9", "#222B33", "#8A949C"


PREDICTED = "#{:02X}{:02X}{:02X}".format(*OUTLINE.tolist())


ON_A_PAGE = {
    INK: "ink",
    FAINT: "faint",
    NORMAL: "normal",
    DEFECTIVE: "defective",
    EXPLORATION: "exploration",
    "#E4E8EB": "grid",
    "#FFFFFF": "paper",
}
"""Colours of plots that a page sets, by the names of its variables."""


NOT_ON_A_PAGE = (
    re.compile(r"<metadata>.*?</metadata>", re.DOTALL),
    re.compile(r"<style.*?</style>", re.DOTALL),
    re.compile(r' xmlns(:\w+)?="[^"]*"'),
    re.compile(r' (width|height)="[\d.]+pt"'),
    re.compile(r" font-family: [^;\"]*;?"),
)
"""What matplotlib writes into a file, and a page has or must not have."""


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


def inline(axes: Axes) -> Markup:
    """The figure of `axes` as a part of a page, in the page's font and in its colours, light or dark."""
    drawn = svg_file(axes).decode()
    drawn = drawn[drawn.index("<svg") :].replace("xlink:href", "href")
    for superfluous in NOT_ON_A_PAGE:
        drawn = superfluous.sub("", drawn)
    drawn = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", drawn)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawn))
    drawn = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", drawn)
    for colour, name in ON_A_PAGE.items():
        drawn = drawn.replace(colour.lower(), f"var(--{name})")
    return Markup(drawn)


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
