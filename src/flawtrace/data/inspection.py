"""What a folder holds and what is wrong with it, said before anything is trained."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from flawtrace.data import formats
from flawtrace.data.advice import WHOLE, warnings_about
from flawtrace.data.errors import DataError
from flawtrace.data.facts import SampleFacts, facts_of
from flawtrace.data.folders import Survey, survey
from flawtrace.data.places import Named
from flawtrace.data.samples import Category, Layout, natural
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
    seen: str = ""
    """Which folders hold what, in words."""
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
            "seen": self.seen,
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


def inspect(
    root: Path,
    progress: Callable[[int, int], None] | None = None,
    named: Named = Named(),  # noqa: B008 (it is frozen)
) -> Inspection:
    """Decode every image of `root` and report all that was found; bad content is reported, never raised.

    `progress` is told how many of how many images are done.
    """
    try:
        found = survey(root, named)
    except DataError as error:
        return Inspection(root, problems=(f"{error}{_labels_hint(root)}",))
    category = found.category
    samples = category.normal + category.test_normal + category.anomalous + category.unmasked
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
        seen=_in_words(found),
        normal=len(category.normal),
        test_normal=len(category.test_normal),
        defects=_counts(category),
        sizes=sizes,
        kinds=Counter(fact.kind for fact in facts if fact.kind),
        pose=_pose([fact for fact in facts if fact.traits and fact.sample in set(category.normal)]),
        ignored=tuple(str(path.relative_to(root)) for path in found.ignored),
        problems=tuple(problems),
        warnings=(*warnings_about(category, facts, sizes), *_labels_beside(category)),
    )


def _labels_hint(root: Path) -> str:
    """How to read labels of another program, if a folder holds some."""
    found = formats.recognise(root) if root.is_dir() else None
    return f"\nIt looks like labels of {found}: `flawtrace labels import {root} -o PARTS`." if found else ""


def _labels_beside(category: Category) -> list[str]:
    """Files of another program that may say where the defects are of which no mask is there."""
    found = formats.recognise(category.root) if category.unmasked else None
    if found not in formats.OF_FILES:
        return []
    return [
        f"{len(category.unmasked)} images of defects have no mask, but labels of {found} are there: "
        f"`flawtrace labels import {category.root} -o PARTS` makes masks of them."
    ]


def _pose(normal: Sequence[SampleFacts]) -> str | None:
    """From at most `MEASURED` of the normal images."""
    if len(normal) < FEWEST:
        return None
    some = normal[:: -(-len(normal) // MEASURED)]
    images = [fit(read_image(fact.sample.image), WHOLE, WHOLE) for fact in some]
    return in_words(measure(torch.stack(images)).seen)


def _counts(category: Category) -> dict[str, TypeCount]:
    """Of each defect type, those without a mask included."""
    every = Counter(str(sample.defect_type) for sample in (*category.anomalous, *category.unmasked))
    masked = Counter(str(sample.defect_type) for sample in category.anomalous if sample.mask)
    return {name: TypeCount(every[name], masked[name]) for name in sorted(every, key=natural)}


def _in_words(found: Survey) -> str:
    """What is taken for what."""
    where, root = found.places, found.category.root

    def named(folder: Path) -> str:
        relative = folder.relative_to(root) if folder.is_relative_to(root) else folder
        return f"{relative}/" if str(relative) != "." else "the folder itself"

    said = [f"normal images in {named(where.normal)}"]
    said += [f"{', '.join(map(named, where.test_normal))} for testing"] if where.test_normal else []
    if found.category.anomalous or found.category.unmasked:
        said.append(f"images of defects in {named(where.defects)}")
    if where.masks and found.category.anomalous:
        said.append(f"masks in {named(where.masks)}")
    return "; ".join(said)
