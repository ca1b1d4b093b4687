"""What a cluster costs per task, and how long a schedule takes: measured, and simulated from that.

    python benchmarks/cluster.py measure                     # here, with Ray started on this machine
    python benchmarks/cluster.py plan --workers 200          # 1,000 products, 100 million images a day

`measure` also runs a small schedule of real trainings and says what the simulation made of it.
"""

import argparse
import heapq
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ray

from flawtrace import verbs
from flawtrace.cluster.connecting import Needs, connected
from flawtrace.cluster.tasks import Finished, as_they_finish
from flawtrace.pictures.synthetic import make_dataset

DAY = 86_400.0
TINY = Path(__file__).parents[1] / "tests/tiny.toml"


def makespan(seconds: Sequence[float], workers: int, start: float, dispatch: float) -> float:
    """Seconds until all tasks are over, in their order, each to the worker that is free first.

    Before each task its process starts, for `start` seconds; one driver hands out a task in `dispatch`.
    """
    free = [0.0] * workers
    heapq.heapify(free)
    end = 0.0
    for index, length in enumerate(seconds):
        begun = max(heapq.heappop(free), index * dispatch)
        over = begun + start + length
        heapq.heappush(free, over)
        end = max(end, over)
    return end


def _nothing() -> float:
    return 0.0


def _train(folder: Path, run: Path, seed: int) -> float:
    began = time.monotonic()
    verbs.train(folder, run, settings_file=TINY, settings={"seed": seed})
    return time.monotonic() - began


def measure(count: int) -> dict[str, float]:
    """Costs of tasks on this machine, and a small schedule against its simulation."""
    with tempfile.TemporaryDirectory() as made, connected("local"):
        folder = make_dataset(Path(made) / "parts", side=64, num_normal=9, num_test_normal=3, num_per_type=4)
        empty = ray.remote(num_cpus=1)(_nothing)
        ray.get([empty.remote() for _ in range(10)])
        began = time.monotonic()
        ray.get([empty.remote() for _ in range(1000)])
        dispatch = (time.monotonic() - began) / 1000

        needs, cpus = Needs(1, 1.0), int(ray.cluster_resources()["CPU"])
        began = time.monotonic()
        over = list(as_they_finish(_nothing, dict.fromkeys(range(4 * cpus), ()), needs, "empty"))
        start = (time.monotonic() - began) * cpus / sum(isinstance(one, Finished) for one in over)

        tasks = {seed: (folder, Path(made) / f"runs/{seed}", seed) for seed in range(count)}
        began = time.monotonic()
        finished = [one for one in as_they_finish(_train, tasks, needs, "train") if isinstance(one, Finished)]
        took = time.monotonic() - began
        lengths = [one.result for one in finished if one.result is not None]
    return {
        "workers": cpus,
        "seconds_per_empty_task": dispatch,
        "seconds_per_process": start,
        "trainings": len(lengths),
        "mean_training": statistics.fmean(lengths),
        "schedule_took": took,
        "schedule_simulated": makespan(lengths, cpus, start, dispatch),
    }


def plan(asked: argparse.Namespace) -> dict[str, float]:
    """What 1,000 products and 100 million images a day take on so many workers of one core."""
    rng = random.Random(0)
    trainings = [rng.uniform(0.8, 1.2) * asked.training for _ in range(asked.products)]
    shard = asked.shard * asked.image
    shards = -(-asked.images // asked.shard)
    looking = shards * (shard + asked.dispatch)
    return {
        "hours_of_training": makespan(trainings, asked.workers, asked.start, asked.dispatch) / 3600,
        "cores_for_looking": looking / DAY,
        "shards_a_day": shards,
        "driver_busy": shards * asked.dispatch / DAY,
        "gigabits_a_second": asked.images * asked.megabytes * 8e-3 / DAY,
        "files_a_second": asked.images / DAY,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["measure", "plan"])
    parser.add_argument("--count", type=int, default=8, help="trainings of the small schedule")
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--products", type=int, default=1000)
    parser.add_argument("--images", type=int, default=100_000_000)
    parser.add_argument("--training", type=float, default=270.0, help="seconds of one core")
    parser.add_argument("--image", type=float, default=0.045, help="seconds of one core, decoding included")
    parser.add_argument("--megabytes", type=float, default=1.0, help="of an image's file")
    parser.add_argument("--shard", type=int, default=256)
    parser.add_argument("--start", type=float, default=5.0, help="seconds until a process has torch")
    parser.add_argument("--dispatch", type=float, default=0.001, help="seconds of the driver per task")
    asked = parser.parse_args()
    found = measure(asked.count) if asked.what == "measure" else plan(asked)
    print(json.dumps({name: round(value, 5) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
