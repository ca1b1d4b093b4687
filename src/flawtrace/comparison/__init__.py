"""Methods against each other, on the same held-out images.

Categories, methods and a protocol enter; a row per cell (one method on one trial) leaves, and from the rows
alone come tables, plots and a page. `methods` says what is compared, `cell` runs it, `tables` sums it up.
"""

from flawtrace.comparison import bench, workers
from flawtrace.comparison.bench import Benchmark, Plan, Row, Runner, Task, Told
from flawtrace.comparison.board import write_board
from flawtrace.comparison.cell import run_cell
from flawtrace.comparison.desk import Desk
from flawtrace.comparison.errors import (
    NoCategoryError,
    ThreadsChangedError,
    UnguardedScriptError,
    WorkerLostError,
)
from flawtrace.comparison.methods import DEFAULT, Method, chosen, read_methods

__all__ = [
    "DEFAULT",
    "Benchmark",
    "Desk",
    "Method",
    "NoCategoryError",
    "Plan",
    "Row",
    "Runner",
    "Task",
    "ThreadsChangedError",
    "Told",
    "UnguardedScriptError",
    "WorkerLostError",
    "bench",
    "chosen",
    "read_methods",
    "run_cell",
    "workers",
    "write_board",
]
