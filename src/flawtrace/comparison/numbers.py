"""How an estimate or a difference is written into a table: digits, interval, and a sign where it is clear.

Whether a difference is above or below zero is a sign in the text, never a colour alone.
"""

from dataclasses import dataclass

from flawtrace.measures.bootstrap import Difference, Estimate

ABOVE, BELOW, MISSING, ONE_SEED = "▲", "▼", "–", "†"


@dataclass(frozen=True)
class Cell:
    text: str
    interval: str = ""
    mark: str = ""
    """`ABOVE` or `BELOW` for a difference whose interval leaves zero out."""


def share(found: Estimate | None) -> Cell:
    if found is None:
        return Cell(MISSING)
    seeds = ONE_SEED if found.bounded and found.images_only else ""
    interval = f"[{found.low:.3f}, {found.high:.3f}]" if found.bounded else ""
    return Cell(f"{found.mean:.3f}{seeds}", interval)


def difference(found: Difference | None) -> Cell:
    if found is None:
        return Cell(MISSING)
    mark = ABOVE if found.exceeds_zero else BELOW if found.falls_below_zero else ""
    seeds = ONE_SEED if found.bounded and found.images_only else ""
    interval = f"[{signed(found.low)}, {signed(found.high)}]" if found.bounded else ""
    return Cell(f"{signed(found.mean)}{seeds}", interval, mark)


def signed(number: float) -> str:
    """With a sign as wide as a plus, which stays when the digits round to zero.

    >>> signed(0.0312), signed(-0.0001), signed(0.0)
    ('+0.031', '−0.000', '0.000')
    """
    return f"{number:+.3f}".replace("-", "−") if number else "0.000"


def cost(found: Estimate | None) -> Cell:
    return Cell(MISSING) if found is None else Cell(brief(found.mean))


def brief(number: float) -> str:
    """As many digits as a cost deserves.

    >>> brief(2134.7), brief(180.2), brief(0.2134)
    ('2,135', '180', '0.21')
    """
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
