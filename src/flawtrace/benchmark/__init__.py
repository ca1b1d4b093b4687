"""Methods against each other, on the same held-out images.

Categories, methods and a protocol enter; a row per cell (one method on one trial) leaves, and from the rows
alone come tables, plots and a page. `methods` says what is compared, `cell` runs it, `tables` sums it up.
"""

from flawtrace.benchmark import comparison
from flawtrace.benchmark.board import write_board
from flawtrace.benchmark.comparison import Benchmark, Plan, Row, Told
from flawtrace.benchmark.methods import DEFAULT, chosen, read_methods

__all__ = [
    "DEFAULT",
    "Benchmark",
    "Plan",
    "Row",
    "Told",
    "chosen",
    "comparison",
    "read_methods",
    "write_board",
]
