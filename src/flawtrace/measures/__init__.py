"""How good a detector is: metrics of maps against masks, and how far chance moves them.

Maps, masks and scores enter; numbers, curves and intervals leave. `evaluate` takes a detector and samples;
`metrics` and `replicates` know arrays alone, `statistics` the rows of a benchmark.
"""

from flawtrace.measures import metrics, replicates, statistics
from flawtrace.measures.evaluation import Case, Evaluation, evaluate

__all__ = ["Case", "Evaluation", "evaluate", "metrics", "replicates", "statistics"]
