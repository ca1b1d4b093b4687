"""Methods against each other, on the same held-out images.

Categories, methods and a protocol enter; a row per cell (one method on one trial) leaves, and from the rows
alone come tables, plots and a page. `methods` says what is compared, `cell` runs it, `tables` sums it up.
"""

from flawtrace.comparison import bench
from flawtrace.comparison.bench import Benchmark, Plan, Row, Told
from flawtrace.comparison.board import write_board
from flawtrace.comparison.errors import UnguardedScriptError, WorkerLostError
from flawtrace.comparison.methods import DEFAULT, chosen, read_methods

__all__ = [
    "DEFAULT",
    "Benchmark",
    "Plan",
    "Row",
    "Told",
    "UnguardedScriptError",
    "WorkerLostError",
    "bench",
    "chosen",
    "read_methods",
    "write_board",
]
