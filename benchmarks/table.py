"""One Markdown row per finished run: held-out metrics, training time, peak memory.

python benchmarks/table.py runs/grid-42 runs/screw-42
"""

import json
import sys
from pathlib import Path

COLUMNS = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "pixel_f1", "pixel_aupro", "image_auroc", "image_ap")


def row(run: Path) -> tuple[str, list[float]]:
    """The run's name and its numbers: metrics, validation F1, minutes, gigabytes."""
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    training = json.loads((run / "training.json").read_text())
    numbers = [metrics[name] for name in COLUMNS]
    numbers.append(training["validation"]["pixel_f1_max"])
    return run.name, [*numbers, training["seconds"] / 60, training["peak_memory_mb"] / 1024]


def line(name: str, numbers: list[float]) -> str:
    shown = [f"{number:.3f}" for number in numbers[:-2]] + [f"{number:.1f}" for number in numbers[-2:]]
    return f"| {name} | " + " | ".join(shown) + " |"


def main(runs: list[Path]) -> None:
    heads = [*COLUMNS, "F1_max on held-out labels", "min", "GB"]
    print("| run | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads))
    rows = [row(run) for run in runs]
    for name, numbers in rows:
        print(line(name, numbers))
    print(
        line(
            "mean",
            [sum(column) / len(rows) for column in zip(*(numbers for _, numbers in rows), strict=True)],
        )
    )


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
