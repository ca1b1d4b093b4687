"""How good a detector is: metrics of maps against masks, and how far chance moves them.

Maps, masks and scores enter; numbers, curves and intervals leave. `evaluate` takes a detector and samples;
`metrics` and `replicates` know arrays alone; `rows`, `bootstrap` and `statistics` the rows of a benchmark.
"""

from flawtrace.measures import bootstrap, metrics, replicates, rows, statistics
from flawtrace.measures.evaluation import Case, Evaluation, decided, evaluate, looks

__all__ = [
    "Case",
    "Evaluation",
    "bootstrap",
    "decided",
    "evaluate",
    "looks",
    "metrics",
    "replicates",
    "rows",
    "statistics",
]
