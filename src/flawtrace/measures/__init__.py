"""How good a detector is: metrics of maps against masks, and how far chance moves them.

Maps, masks and scores enter; numbers, curves and intervals leave. `evaluate` takes a detector and samples,
`compared` two evaluations of the same images;
`metrics` and `replicates` know arrays alone; `rows`, `bootstrap` and `statistics` the rows of a benchmark.
"""

from flawtrace.measures import bootstrap, metrics, replicates, rows, statistics
from flawtrace.measures.errors import NothingToEvaluateError
from flawtrace.measures.evaluation import Case, Evaluation, decided, evaluate, looks
from flawtrace.measures.pairing import Change, Comparison, Pair, compared

__all__ = [
    "Case",
    "Change",
    "Comparison",
    "Evaluation",
    "NothingToEvaluateError",
    "Pair",
    "bootstrap",
    "compared",
    "decided",
    "evaluate",
    "looks",
    "metrics",
    "replicates",
    "rows",
    "statistics",
]
