"""Samples, and what they make up: a category with all that it holds, a split with who is labelled."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from torch import Tensor

from flawtrace.pictures.tiles import Box

Layout: TypeAlias = Literal["mvtec", "plain", "pairs"]

TEST_SHARE = 5
"""One in so many normal images is kept for testing, where no folder says which."""


@dataclass(frozen=True)
class Sample:
    image: Path
    mask: Path | None = None
    defect_type: str | None = None
    """None says that the image is normal."""
    box: Box | None = None
    """The part of the image at its working size that is meant; None means all of it."""
    more_masks: tuple[Path, ...] = ()
    """Further masks of the same image, where each of its defects has one."""
    ignored: Path | None = None
    """A picture like a mask, of pixels that nobody vouches for: neither learnt from nor scored."""

    @property
    def name(self) -> str:
        """Of the file, and where in the image the part lies."""
        return f"{self.image.name} ({self.box.top}, {self.box.left})" if self.box else self.image.name

    def part(self, planes: Tensor) -> Tensor:
        """What is meant of planes (..., h, w) of the whole image at its working size."""
        return self.box.of(planes) if self.box else planes

    @property
    def anomalous(self) -> bool:
        return self.defect_type is not None

    @property
    def files(self) -> frozenset[Path]:
        """The image, and all that says something about its pixels."""
        return frozenset(file for file in (self.image, self.mask, self.ignored, *self.more_masks) if file)


@dataclass(frozen=True)
class Category:
    """One product: everything that its folder holds, nothing drawn yet."""

    root: Path
    layout: Layout
    normal: tuple[Sample, ...]
    """For training."""
    test_normal: tuple[Sample, ...]
    anomalous: tuple[Sample, ...]
    """Images of defects with their masks."""
    unmasked: tuple[Sample, ...] = ()
    """Images of defects without a mask."""
    test_anomalous: tuple[Sample, ...] = ()
    """Images of defects with their masks that a folder says are for testing."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All but those without a mask, those that only serve for testing first."""
        return self.test_normal + self.test_anomalous + self.anomalous + self.normal

    def for_testing(self, limit: int) -> tuple[Sample, ...]:
        """All images of defects, those that only serve for testing, and at most `limit` of the other normal
        ones, evenly spread.
        """
        defects = self.test_anomalous + self.anomalous + self.unmasked
        return self.test_normal + defects + evenly(self.normal, limit)

    def without(self, files: Set[Path]) -> "Category":
        """The same without the images that are among these files, or whose masks are."""

        def sound(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
            return tuple(sample for sample in samples if not files & sample.files)

        return replace(
            self,
            normal=sound(self.normal),
            test_normal=sound(self.test_normal),
            anomalous=sound(self.anomalous),
            unmasked=sound(self.unmasked),
            test_anomalous=sound(self.test_anomalous),
        )

    @property
    def defect_types(self) -> dict[str, tuple[Sample, ...]]:
        """The anomalous samples that may be labels by type, types and samples in natural order."""
        types: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.anomalous:
            types[str(sample.defect_type)].append(sample)
        return {name: tuple(types[name]) for name in sorted(types, key=natural)}


def vouched_for(normal: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Those without ignored pixels, if there are any: what is ignored may be a defect."""
    return tuple(sample for sample in normal if not sample.ignored) or normal


@dataclass(frozen=True)
class Split:
    normal: tuple[Sample, ...]
    labelled: tuple[Sample, ...]
    test: tuple[Sample, ...]
    unmasked: tuple[Sample, ...] = ()
    """Images for training that show a defect, nobody said where."""


def kept_back(images: Sequence[Path]) -> list[Path]:
    """One in `TEST_SHARE` of normal images, by their names alone, in their order."""
    by_hash = sorted(
        images, key=lambda path: hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).digest()
    )
    kept = set(by_hash[: len(images) // TEST_SHARE])
    return [path for path in images if path in kept]


def evenly(samples: tuple[Sample, ...], limit: int) -> tuple[Sample, ...]:
    """At most `limit` of the samples, evenly spread."""
    return samples[:: max(1, -(-len(samples) // limit))]


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which numbers count as numbers.

    >>> sorted(["10.png", "9.png", "a.png"], key=natural)
    ['9.png', '10.png', 'a.png']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    key = [(0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts]
    return (*key, (2, 0, name))
