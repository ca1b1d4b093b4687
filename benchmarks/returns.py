"""What the learned sampler gains: mean return over the last tenth of the learning cycles, paired by seed.

    python benchmarks/returns.py runs/grid-42 runs/grid-43 --against runs/grid-rw-42 runs/grid-rw-43

The cycle that makes the detector does not count: its policy is frozen. Both runs of a pair share seed,
images, static maps and decays, so beta is the same in every compared cycle.
"""

import json
import math
import sys
from pathlib import Path
from statistics import fmean, stdev

PARTS = ("return", "return_exploration", "return_prediction", "clone", "cover", "prediction", "defective")


def last_tenth(run: Path) -> dict[str, float]:
    """Means over the last tenth of the learning cycles."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    cycles = [row for row in rows if row["kind"] == "cycle"][:-1]
    last = cycles[-math.ceil(len(cycles) / 10) :]
    return {part: fmean(row[part] for row in last) for part in PARTS}


def main(learned: list[Path], others: list[Path]) -> None:
    heads = ("part", "learned", "other", "difference", "standard error", "in standard errors")
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    ours, theirs = [last_tenth(run) for run in learned], [last_tenth(run) for run in others]
    for part in PARTS:
        gains = [one[part] - other[part] for one, other in zip(ours, theirs, strict=True)]
        error = stdev(gains) / math.sqrt(len(gains))
        means = fmean(run[part] for run in ours), fmean(run[part] for run in theirs)
        numbers = [*means, fmean(gains), error, fmean(gains) / error if error else math.nan]
        print(f"| {part} | " + " | ".join(f"{number:.4g}" for number in numbers) + " |")


if __name__ == "__main__":
    middle = sys.argv.index("--against")
    main([Path(run) for run in sys.argv[1:middle]], [Path(run) for run in sys.argv[middle + 1 :]])
