"""What could any sampler win? Fixed strategies at their extremes, in several regimes.

    python benchmarks/headroom.py DATA... -o benchmarks/results/headroom.jsonl --seeds 42-44

For each strategy an autoencoder learns for one cycle on the patches that it chooses; the map of a test image
is its last reconstruction error, each scale divided by its mean. No policy, no predictor: what is left is the
sampler's part. A policy can win at most the spread between the best and the worst strategy. Some of these see
the masks of the labelled images, which a policy does not.

A finished cell is never run again; the table at the end is over all rows of the file.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from rows import arguments_of, run

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.comparison.desk import SIDE, Desk
from flawtrace.data.pieces import worked_on
from flawtrace.data.protocols import trials
from flawtrace.data.samples import Sample
from flawtrace.detector.artefact import resized
from flawtrace.detector.facts import commit
from flawtrace.ground.config import Config
from flawtrace.ground.devices import batches
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import Canvases
from flawtrace.measures.metrics import summary
from flawtrace.method.cycle import Cycle
from flawtrace.method.encoder import Features, Pixels
from flawtrace.method.material import Material, encode
from flawtrace.method.patches import mean_under
from flawtrace.method.profile import observe
from flawtrace.method.walkers import Places
from flawtrace.pictures.images import read_image

REGIMES: dict[str, dict[str, Any]] = {
    "30 updates": {"updates": 30},
    "100 updates": {"updates": 100},
    "300 updates": {"updates": 300},
    "1000 updates": {"updates": 1000},
    "100 of 8 patches": {"updates": 100, "sampler.walkers": 8},
    "100, rate 5e-3": {"updates": 100, "autoencoder.lr": 5e-3},
    "100, bottleneck 4": {"updates": 100, "autoencoder.bottleneck": 4},
}

Choose = Callable[[Cycle], Places]


def uniform(cycle: Cycle) -> Places:
    return cycle.walkers.anywhere(cycle.rng)


def preferring(weigh: Callable[[Cycle, Places], torch.Tensor], of: int = 4) -> Choose:
    """For each patch the best of a few uniform draws."""

    def choose(cycle: Cycle) -> Places:
        drawn = [uniform(cycle) for _ in range(of)]
        best = torch.stack([weigh(cycle, places) for places in drawn]).argmax(dim=0)
        rows = torch.arange(len(best))
        images = torch.stack([places.images for places in drawn])[best, rows]
        return Places(images, torch.stack([places.centers for places in drawn])[best, rows])

    return choose


def under(planes: Callable[[Material], torch.Tensor], sign: int) -> Callable[[Cycle, Places], torch.Tensor]:
    def weigh(cycle: Cycle, places: Places) -> torch.Tensor:
        side = cycle.walkers.geometry.patch
        return sign * mean_under(planes(cycle.material), places.images, places.centers, side)

    return weigh


def on_images(normal: bool) -> Choose:
    """Anywhere on normal images, or anywhere on labelled ones."""

    def choose(cycle: Cycle) -> Places:
        places, material = uniform(cycle), cycle.material
        if normal:
            return Places(places.images % material.num_normal, places.centers)
        return Places(material.num_normal + places.images % material.num_labelled, places.centers)

    return choose


def half_on_defects(cycle: Cycle) -> Places:
    places, defects = on_images(normal=True)(cycle), preferring(under(lambda m: m.coverage, 1), of=64)(cycle)
    half = torch.arange(len(places.images)) % 2 == 0
    images = torch.where(half, defects.images, places.images)
    return Places(images, torch.where(half[:, None], defects.centers, places.centers))


STRATEGIES: dict[str, Choose] = {
    "uniform": uniform,
    "most textured of 4": preferring(under(lambda material: material.texture, 1)),
    "least textured of 4": preferring(under(lambda material: material.texture, -1)),
    "normal images alone": on_images(normal=True),
    "labelled images alone": on_images(normal=False),
    "half on defects": half_on_defects,
}


def canvases_of(samples: Sequence[Sample], encoder: Pixels | Features, config: Config) -> Canvases:
    """What the autoencoder reconstructs of images."""
    images = torch.stack([worked_on(read_image(sample.image), config) for sample in samples])
    return torch.cat([encode(encoder, some) for some in batches(images)])


def measure(desk: Desk, test: Canvases, config: Config, choose: Choose) -> dict[str, float | None]:
    """Metrics of the last reconstruction error on the test images."""
    material = desk.encoded(config).prepared.material
    cycle = Cycle(material, torch.zeros_like(material.coverage), config)
    for _ in range(config.updates):
        cycle.reconstruct(choose(cycle))
    errors = observe(cycle.autoencoder.network, test, material.scales)
    maps = resized((errors / errors.mean(dim=(0, 2, 3), keepdim=True)).mean(dim=1), SIDE, SIDE).numpy()
    return summary(maps, desk.masks, maps.max(axis=(1, 2)), None)


def cells(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows that are not in the file yet."""
    done = {(row["trial"], row["regime"], row["strategy"]) for row in read_jsonl(arguments.out)}
    for category in find_categories(arguments.data):
        for trial in trials(category, "five-per-type", seeds_of(arguments.seeds)):
            desk = Desk(trial, arguments.out.parent)
            seed = {"seed": trial.seed, "orientations": 1, "profile.length": 1}
            base = load_config(settings=seed)
            test = canvases_of(trial.split.test, desk.encoded(base).prepared.encoder, base)
            for regime, settings in REGIMES.items():
                config = load_config(settings=seed | settings)
                for strategy, choose in STRATEGIES.items():
                    if (trial.name, regime, strategy) in done:
                        continue
                    metrics = measure(desk, test, config, choose)
                    facts = {"regime": regime, "strategy": strategy, "metrics": metrics, "commit": commit()}
                    yield trial.facts | facts


def table(rows: list[dict[str, Any]]) -> str:
    """F1_max of every strategy, means over seeds, and the spread between strategies."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["category"], row["regime"]][row["strategy"]].append(row["metrics"]["pixel_f1_max"])
    lines = ["| category, regime | " + " | ".join(STRATEGIES) + " | spread | seeds |"]
    lines.append("|" + "---|" * (len(STRATEGIES) + 3))
    for (category, regime), by_strategy in sorted(found.items()):
        means = [fmean(by_strategy[name]) if by_strategy[name] else np.nan for name in STRATEGIES]
        numbers = [f"{mean:.3f}" for mean in means]
        num = min(len(values) for values in by_strategy.values())
        spread = f"{np.nanmax(means) - np.nanmin(means):.3f}"
        lines.append(f"| {category}, {regime} | " + " | ".join([*numbers, spread, str(num)]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = arguments_of(__doc__)
    run(cells, table, parser.parse_args(), shown=("trial", "regime", "strategy", "metrics"))
