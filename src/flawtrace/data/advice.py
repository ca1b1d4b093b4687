"""What is worth a warning before training, from what decoding each image told."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import sqrt
from pathlib import Path
from statistics import fmean, pvariance

from flawtrace.data.facts import SampleFacts
from flawtrace.data.folders import WIDE
from flawtrace.data.places import below
from flawtrace.data.samples import Category
from flawtrace.ground.config import Config
from flawtrace.ground.wording import counted

FEW_NORMAL = 20
LABELS = Config().labels
"""Labelled images of each type, by default."""
TINY = 16
"""Pixels; a defect of fewer is a single square of the predictor."""
WHOLE = Config().image_side
"""Pixels along the square that both presets make of an image."""
ENOUGH = 10
"""Normal images of each kind, from which on their means are compared."""
SHIFT, CERTAIN = 0.5, 4.0
"""A trait has shifted if means differ by so many deviations of one image, and so many of their difference."""
SMALL_RANGE = 0.25
"""Of the 16 bits; a camera of 12 bits reaches 0.06."""


def warnings_about(
    category: Category, facts: list[SampleFacts], sizes: Counter[tuple[int, int]]
) -> Iterator[str]:
    yield from _few(category)
    yield from _shifted(category, facts)
    yield from _repeated(category, facts)
    if len(sizes) > 1:
        yield f"The images come in {len(sizes)} sizes; all are resized to the same square."
    deep = [fact.brightest for fact in facts if fact.kind.startswith("16-bit")]
    if deep and max(deep) < SMALL_RANGE:
        yield (
            f"The 16-bit images use only values up to {max(deep):.0%} of the full range, as images "
            "from a 12-bit camera do; they look almost black. Multiply all of them by the same factor."
        )
    if plain := [fact.sample.image for fact in facts if fact.blank]:
        yield f"Blank images (a single colour): {_names(category, plain)}."
    yield from _tiny(category, facts)
    if wide := [fact.sample.mask for fact in facts if fact.mask_share > WIDE]:
        yield f"Masks that cover more than half of the image (inverted?): {_names(category, wide)}."


def _few(category: Category) -> Iterator[str]:
    if 0 < len(category.normal) < FEW_NORMAL:
        images = counted(len(category.normal), "normal image")
        yield f"Only {images} for training; {FEW_NORMAL} or more are better."
    if not category.test_normal:
        yield "No normal images for testing: false alarms on good products cannot be measured."
    if category.unmasked:
        first, count = category.unmasked[0].image, len(category.unmasked)
        more = f" and {count - 1} more" if count > 1 else ""
        yield (
            f"Defect images without a mask: {below(category.root, first)}{more}. They help to choose "
            "thresholds; where the defect is can only be learnt from masks."
        )
    if not category.anomalous:
        yield "No defect has a mask: the detector will learn from good images and made-up defects alone."
    for name, samples in category.defect_types.items():
        if len(samples) < LABELS:
            yield f"Only {counted(len(samples), 'image')} of defect type {name}; {LABELS} or more are better."
        if len(samples) <= LABELS and not category.test_anomalous:
            yield (
                f"All images of defect type {name} would be used as labels, and none is left for evaluation. "
                "Add images, or train with fewer labels (--labels)."
            )


def _shifted(category: Category, facts: list[SampleFacts]) -> Iterator[str]:
    """Normal test images that were taken under other conditions than those for training."""
    training, test = (
        [fact.traits for fact in facts if fact.traits and fact.sample in chosen]
        for chosen in (set(category.normal), set(category.test_normal))
    )
    if min(len(training), len(test)) < ENOUGH:
        return
    columns = {name: ([row[name] for row in training], [row[name] for row in test]) for name in training[0]}
    moved = [
        f"{name} ({fmean(there):.3g} instead of {fmean(here):.3g})"
        for name, (here, there) in columns.items()
        if has_shifted(here, there)
    ]
    if moved:
        yield (
            f"The normal test images differ from the training images in {', '.join(moved)}. The "
            "false-alarm rate that training estimates may not hold for them."
        )


def has_shifted(here: list[float], there: list[float]) -> bool:
    """Whether the means differ, by as much as matters and more than chance makes likely (Welch 1947).

    >>> has_shifted([1.0, 1.1, 0.9, 1.0], [1.0, 1.2, 0.9, 0.9])
    False
    >>> has_shifted([1.0, 1.1, 0.9, 1.0], [2.0, 2.2, 1.9, 2.0])
    True
    """
    gap, spread = abs(fmean(here) - fmean(there)), pvariance(here)
    error = sqrt(spread / len(here) + pvariance(there) / len(there))
    return gap > max(SHIFT * sqrt(spread), CERTAIN * error)


def _tiny(category: Category, facts: list[SampleFacts]) -> Iterator[str]:
    """Defects that a detector of whole images would hardly see."""
    small = [
        fact for fact in facts if 0 < fact.mask_share * WHOLE**2 < TINY and min(fact.size or (0,)) > WHOLE
    ]
    if small:
        yield (
            f"Defects of fewer than {TINY} pixels after the image is resized to {WHOLE} x {WHOLE}: "
            f"{_names(category, [fact.sample.mask for fact in small])}. "
            f"Use tiles to see them at a larger scale, such as --tile-side {_tile_side(small)}."
        )


def _tile_side(small: list[SampleFacts]) -> int:
    """At which the smallest of the defects has enough pixels, if that takes no more than the image's own."""
    least = min(fact.mask_share * size[0] * size[1] for fact in small if (size := fact.size))
    return max(WHOLE, int(WHOLE * (least / TINY) ** 0.5) // 32 * 32)


def _repeated(category: Category, facts: list[SampleFacts]) -> Iterator[str]:
    """Pictures that stand in two places which must not share any."""
    roles = dict.fromkeys(category.normal, "the normal training images")
    roles |= dict.fromkeys(category.test_normal, "the normal test images")
    roles |= dict.fromkeys(category.test_anomalous, "the defect images for testing")
    places: dict[str, dict[str, Path]] = defaultdict(dict)
    for fact in facts:
        if fact.digest:
            place = roles.get(fact.sample, "the defect images")
            places[fact.digest].setdefault(place, fact.sample.image)
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for found in places.values():
        if len(found) > 1:
            groups[tuple(found)].append(next(iter(found.values())))
    for shared, images in groups.items():
        yield f"The same image is in {' and in '.join(shared)}: {_names(category, images)}."


def _names(category: Category, paths: Iterable[Path | None], limit: int = 3) -> str:
    names = [str(below(category.root, path)) for path in paths if path is not None]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
