"""Who is labelled: draws of each defect type, by seed."""

import hashlib

import numpy as np

from flawtrace.data.errors import (
    NoDefectImagesError,
    TooFewImagesError,
)
from flawtrace.data.folders import _defect_folder
from flawtrace.data.samples import Category, Sample, Split


def draw_split(category: Category, labels: int, seed: int) -> Split:
    """Draw `labels` anomalous samples of each type; the others and the normal ones kept back are for testing.

    The draw of a type depends on `seed` and its own samples only, and a smaller draw is part of a larger.

    Raises:
        NoDefectImagesError: there is nothing to draw from.
        TooFewImagesError: a type has fewer images than `labels`.
    """
    if scarce(category, labels):
        counts = {name: len(samples) for name, samples in category.defect_types.items()}
        raise TooFewImagesError(category.root, labels, counts)
    return draw_available(category, labels, seed)


def draw_available(category: Category, labels: int, seed: int) -> Split:
    """Like `draw_split`, but of a type that has fewer images than `labels` all of them.

    Raises:
        NoDefectImagesError: there is nothing to draw from.
    """
    types = category.defect_types
    if labels and not types:
        raise NoDefectImagesError(category.root, labels, category.root / _defect_folder(category.layout))
    drawn = {sample for name, samples in types.items() for sample in _draw(name, samples, labels, seed)}
    labelled = tuple(sample for sample in category.anomalous if sample in drawn)
    rest = tuple(sample for sample in category.anomalous if sample not in drawn)
    return Split(category.normal, labelled, category.test_normal + rest)


def scarce(category: Category, labels: int) -> dict[str, int]:
    """The defect types with fewer images than `labels`, and how many they have."""
    counts = {name: len(samples) for name, samples in category.defect_types.items()}
    return {name: count for name, count in counts.items() if count < labels}


def _draw(name: str, samples: tuple[Sample, ...], labels: int, seed: int) -> list[Sample]:
    type_seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    order = np.random.default_rng([seed, type_seed]).permutation(len(samples))
    return [samples[index] for index in order[:labels]]
