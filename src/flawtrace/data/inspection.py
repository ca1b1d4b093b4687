"""What a folder holds and what is wrong with it, said before anything is trained."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from flawtrace.data.advice import WHOLE, warnings_about
from flawtrace.data.errors import DataError
from flawtrace.data.facts import SampleFacts, facts_of
from flawtrace.data.folders import Survey, survey
from flawtrace.data.samples import Layout, Sample
from flawtrace.pictures.images import fit, read_image
from flawtrace.pictures.variation import FEWEST, MEASURED, in_words, measure

MANY_SIZES = 8


@dataclass(frozen=True)
class TypeCount:
    images: int
    labelled: int


@dataclass(frozen=True)
class Inspection:
    root: Path
    layout: Layout | None = None
    """None if neither layout was recognised."""
    normal: int = 0
    test_normal: int = 0
    defects: dict[str, TypeCount] = field(default_factory=dict)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How many images have which (height, width)."""
    kinds: Counter[str] = field(default_factory=Counter)
    """How many images are, say, "8-bit grey"."""
    pose: str | None = None
    """How the parts lie, as normal images show it; None if there are too few."""
    ignored: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """Each keeps training from starting."""
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain values only."""
        return {
            "root": str(self.root),
            "layout": self.layout,
            "ok": self.ok,
            "normal": self.normal,
            "test_normal": self.test_normal,
            "defects": {name: vars(count) for name, count in self.defects.items()},
            "sizes": size_summary(self.sizes),
            "kinds": dict(self.kinds),
            "pose": self.pose,
            "ignored": list(self.ignored),
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


def inspect(root: Path, progress: Callable[[int, int], None] | None = None) -> Inspection:
    """Decode every image of `root` and report all that was found; bad content is reported, never raised.

    `progress` is told how many of how many images are done.
    """
    try:
        found = survey(root)
    except DataError as error:
        return Inspection(root, problems=(str(error),))
    samples = found.category.normal + found.category.test_normal + found.category.anomalous
    facts = []
    for done, sample in enumerate(samples, start=1):
        facts.append(facts_of(sample))
        if progress is not None:
            progress(done, len(samples))
    return _inspection(root, found, facts)


def size_summary(sizes: Counter[tuple[int, int]]) -> dict[str, Any]:
    """Counts by "width x height"; of many sizes only the least, median and greatest sides.

    >>> size_summary(Counter({(480, 640): 3}))
    {'640 x 480': 3}
    """
    if len(sizes) <= MANY_SIZES:
        return {f"{width} x {height}": count for (height, width), count in sorted(sizes.items())}
    heights, widths = (sorted(size[axis] for size in sizes.elements()) for axis in (0, 1))
    return {
        "min": f"{widths[0]} x {heights[0]}",
        "median": f"{median(widths):g} x {median(heights):g}",
        "max": f"{widths[-1]} x {heights[-1]}",
    }


def _inspection(root: Path, found: Survey, facts: list[SampleFacts]) -> Inspection:
    category = found.category
    problems = [str(problem) for problem in found.problems]
    problems += [problem for fact in facts for problem in fact.problems]
    sizes = Counter(fact.size for fact in facts if fact.size is not None)
    return Inspection(
        root=root,
        layout=category.layout,
        normal=len(category.normal),
        test_normal=len(category.test_normal),
        defects={name: _count(samples) for name, samples in category.defect_types.items()},
        sizes=sizes,
        kinds=Counter(fact.kind for fact in facts if fact.kind),
        pose=_pose([fact for fact in facts if fact.traits and fact.sample in set(category.normal)]),
        ignored=tuple(str(path.relative_to(root)) for path in found.ignored),
        problems=tuple(problems),
        warnings=tuple(warnings_about(category, facts, sizes)),
    )


def _pose(normal: Sequence[SampleFacts]) -> str | None:
    """From at most `MEASURED` of the normal images."""
    if len(normal) < FEWEST:
        return None
    some = normal[:: -(-len(normal) // MEASURED)]
    images = [fit(read_image(fact.sample.image), WHOLE, WHOLE) for fact in some]
    return in_words(measure(torch.stack(images)).seen)


def _count(samples: Iterable[Sample]) -> TypeCount:
    masks = [sample.mask for sample in samples]
    return TypeCount(images=len(masks), labelled=len(masks) - masks.count(None))
