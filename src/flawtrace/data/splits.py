"""Who is labelled: draws of each defect type, by seed."""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from flawtrace.data.errors import TooFewImagesError
from flawtrace.data.samples import Category, Sample, Split


def draw_split(category: Category, labels: int, seed: int) -> Split:
    """Draw `labels` anomalous samples of each type; the others and the normal ones kept back are for testing.

    The draw of a type depends on `seed` and its own samples only, and a smaller draw is part of a larger.

    Raises:
        TooFewImagesError: a type has fewer images than `labels`.
    """
    if scarce(category, labels):
        counts = {name: len(samples) for name, samples in category.defect_types.items()}
        raise TooFewImagesError(category.root, labels, counts)
    return draw_available(category, labels, seed)


def draw_available(category: Category, labels: int, seed: int) -> Split:
    """Like `draw_split`, but of a type that has fewer images than `labels` all of them."""
    types = category.defect_types
    drawn = {sample for name, samples in types.items() for sample in _draw(name, samples, labels, seed)}
    return _without_any(divided(category, drawn), labels)


def _without_any(split: Split, labels: int | None) -> Split:
    """With no label asked for, no image teaches that it shows a defect, either."""
    return replace(split, unmasked=()) if labels == 0 else split


def divided(category: Category, drawn: Collection[Sample]) -> Split:
    """With these as labels, and all other images of defects for testing."""
    labelled = tuple(sample for sample in category.anomalous if sample in drawn)
    rest = tuple(sample for sample in category.anomalous if sample not in drawn)
    test = category.test_normal + category.test_anomalous + rest
    return Split(category.normal, labelled, test, category.unmasked)


def draw_keeping(
    category: Category,
    known: Collection[Sample],
    labels: int | None,
    seed: int,
    *,
    testing: Collection[Sample] = (),
) -> Split:
    """At most `labels` anomalous samples of each type, or all of them: `known` ones first, others by draw.
    None of those that are for `testing`.
    """
    drawn: set[Sample] = set()
    for name, samples in category.defect_types.items():
        by_chance = [one for one in _draw(name, samples, len(samples), seed) if one not in testing]
        drawn.update(sorted(by_chance, key=lambda sample: sample not in known)[:labels])
    return _without_any(divided(category, drawn), labels)


def in_turn(category: Category, seed: int) -> list[Sample]:
    """Anomalous samples by chance, one of each type after the other; all but one of each type."""
    types = category.defect_types
    names = [name for name, _ in sorted(types.items(), key=lambda item: _type_seed(f"{seed} {item[0]}"))]
    drawn = [_draw(name, types[name], len(types[name]) - 1, seed) for name in names]
    rounds = zip_longest(*drawn)
    return [sample for turn in rounds for sample in turn if sample is not None]


def scarce(category: Category, labels: int) -> dict[str, int]:
    """The defect types with fewer images than `labels`, and how many they have."""
    counts = {name: len(samples) for name, samples in category.defect_types.items()}
    return {name: count for name, count in counts.items() if count < labels}


def _draw(name: str, samples: tuple[Sample, ...], labels: int, seed: int) -> list[Sample]:
    order = np.random.default_rng([seed, _type_seed(name)]).permutation(len(samples))
    return [samples[index] for index in order[:labels]]


def _type_seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8])
