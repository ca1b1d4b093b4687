"""Which images are called unlike the training images: test images, those of other products, and spoilt ones.

    python benchmarks/unlike.py DATA

Training images are those of `five-per-type`, seed 42; of each kind at most 30 images are spoilt.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch.nn import functional as F

from flawtrace.comparison.bench import find_categories
from flawtrace.data.samples import Category, Sample
from flawtrace.data.splits import draw_split
from flawtrace.ground.learner import generator
from flawtrace.ground.shapes import Image
from flawtrace.pictures.images import read_image
from flawtrace.pictures.traits import Ranges, ranges, traits, unlike

MOST = 30


def blurred(image: Image) -> Image:
    return F.avg_pool2d(F.pad(image[None], (4, 4, 4, 4), mode="reflect"), 9, 1)[0]


def noisy(image: Image) -> Image:
    noise = torch.randn(image.shape, generator=generator(0))
    return (image + 0.1 * noise).clamp(0, 1)


SPOILT: dict[str, Callable[[Image], Image]] = {
    "light × 0.5": lambda image: 0.5 * image,
    "light × 0.7": lambda image: 0.7 * image,
    "light × 0.85": lambda image: 0.85 * image,
    "light × 1.4": lambda image: (1.4 * image).clamp(max=1),
    "blank": lambda image: torch.full_like(image, float(image.mean())),
    "blurred, 9 × 9": blurred,
    "noise, 0.1": noisy,
    "twice as large": lambda image: F.interpolate(image[None], scale_factor=2)[0],
}


def known_of(category: Category) -> tuple[Ranges, tuple[Sample, ...]]:
    """Traits of the training images, and the test images."""
    split = draw_split(category, 5, 42)
    images = (read_image(sample.image) for sample in (*split.normal, *split.labelled))
    return ranges(traits(image) for image in images), split.test


def image_of(sample: Sample) -> Image:
    return read_image(sample.image)


def told(images: Iterable[Image], known: Ranges) -> str:
    verdicts = [unlike(image, known) is not None for image in images]
    return f"{sum(verdicts)} of {len(verdicts)}"


def main(data: list[Path]) -> None:
    found = {category.root.name: known_of(category) for category in find_categories(data)}
    lines = {"its own test images": [told(map(image_of, test), known) for known, test in found.values()]}
    shown = {name: [image_of(sample) for sample in test[:MOST]] for name, (_, test) in found.items()}
    lines["images of the others"] = [
        told([image for other in found if other != name for image in shown[other]], found[name][0])
        for name in found
    ]
    for kind, spoil in SPOILT.items():
        lines[kind] = [told([spoil(image) for image in shown[name][:MOST]], found[name][0]) for name in found]
    print("| called unlike | " + " | ".join(found) + " |\n|---|" + "---:|" * len(found))
    for kind, cells in lines.items():
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    main(parser.parse_args().data)
