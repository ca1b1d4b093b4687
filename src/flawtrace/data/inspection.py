"""What a folder holds and what is wrong with it, said before anything is trained."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from flawtrace.data import formats
from flawtrace.data.advice import WHOLE, warnings_about
from flawtrace.data.errors import DataError, NoNormalImagesError
from flawtrace.data.facts import SampleFacts, facts_of
from flawtrace.data.folders import Survey, inverted_masks, survey, usable
from flawtrace.data.masks import mask_of
from flawtrace.data.pairing import Problem
from flawtrace.data.places import Named, Pairs, below, kind_of
from flawtrace.data.samples import Category, Layout, natural
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.groups import Polygons
from flawtrace.ground.shapes import Mask
from flawtrace.pictures.images import fit, read_image
from flawtrace.pictures.region import inside, read_region, refuse_other_shape, region_file
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
    """Files that are not used."""
    kinds_of_ignored: tuple[str, ...] = ()
    """Of each, such as ".txt file"."""
    problems: tuple[str, ...] = ()
    """Each keeps training from starting."""
    kinds_of_problems: tuple[str, ...] = ()
    """Alike for problems that are alike."""
    left_out: tuple[str, ...] = ()
    """Files that cannot be used, if such files were to be left out."""
    can_skip: bool = False
    """Whether leaving out files would solve all problems."""
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
            "left_out": list(self.left_out),
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


def inspect(
    root: Path,
    progress: Callable[[int, int], None] | None = None,
    named: Named = Named(),  # noqa: B008 (it is frozen)
    *,
    skip_bad: bool = False,
) -> Inspection:
    """Decode every image of `root` and report all that was found; bad content is reported, never raised.

    `progress` is told how many of how many images are done. With `skip_bad`, files that cannot be used are
    left out, as training does it with that flag.
    """
    try:
        found = survey(root, named)
    except DataError as error:
        text, kind = f"{error}{_labels_hint(root)}", type(error).__name__
        return Inspection(root, problems=(text,), kinds_of_problems=(kind,))
    category = found.category
    normal = category.normal + category.test_normal
    samples = normal + category.anomalous + category.test_anomalous + category.unmasked
    region, facts = _readable_region(root), []
    for done, sample in enumerate(samples, start=1):
        facts.append(facts_of(sample, region))
        if progress is not None:
            progress(done, len(samples))
    return _inspection(root, found, facts, skip_bad)


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


def _inspection(root: Path, found: Survey, facts: list[SampleFacts], skip_bad: bool) -> Inspection:
    problems = [*found.problems, *(Problem(f.sample.image, f.problem) for f in facts if f.problem)]
    bad = {problem.file for problem in problems if problem.file} if skip_bad else set()
    problems = [problem for problem in problems if problem.file not in bad]
    category = usable(found.category, bad)
    if bad and found.category.normal and not category.normal:
        problems.append(Problem(None, NoNormalImagesError(found.places.normal)))
    shares = {f.sample.mask: f.mask_share for f in facts if f.sample.mask and not f.problem}
    if inverted := inverted_masks(shares):
        problems.append(Problem(None, inverted))
    of_region, hidden = _about_region(root, facts)
    problems += of_region
    kept = {*category.samples, *category.unmasked}
    facts = [fact for fact in facts if fact.sample in kept]
    sizes = Counter(fact.size for fact in facts if fact.size is not None)
    ignored = [path for path in found.ignored if path not in bad]
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
        ignored=tuple(str(path.relative_to(root)) for path in ignored),
        kinds_of_ignored=tuple(map(kind_of, ignored)),
        problems=tuple(map(str, problems)),
        kinds_of_problems=tuple(type(problem.error).__name__ for problem in problems),
        left_out=tuple(sorted(str(below(root, path)) for path in bad)),
        can_skip=all(problem.file for problem in problems),
        warnings=(*warnings_about(category, facts, sizes), *hidden, *_labels_beside(category)),
    )


def _about_region(root: Path, facts: Sequence[SampleFacts]) -> tuple[list[Problem], list[str]]:
    """What keeps the region of interest from being used, and a warning about defects that it hides."""
    if (path := region_file(root)) is None:
        return [], []
    try:
        region = read_region(path)
        refuse_other_shape(path, {fact.sample.image: fact.size for fact in facts if fact.size})
    except FlawtraceError as error:
        return [Problem(None, error)], []
    marked = [fact.sample for fact in facts if fact.mask_share]
    unseen = [sample.mask for sample in marked if not _shows(mask_of(sample), region)]
    hidden = [str(below(root, mask)) for mask in unseen if mask]
    more = f" and {len(hidden) - 1} more" if hidden[1:] else ""
    text = "The region of interest hides the whole defect in {}: it can be no label, and no test finds it."
    return [], [text.format(hidden[0] + more)] if hidden else []


def _readable_region(root: Path) -> Polygons | None:
    """The region of interest; None also where it cannot be read, which is told elsewhere."""
    path = region_file(root)
    with suppress(FlawtraceError):
        return read_region(path) if path else None
    return None


def _shows(mask: Mask, region: Polygons) -> bool:
    return bool((mask & inside(region, *mask.shape)).any())


def _labels_hint(root: Path) -> str:
    """How to read labels of another program, if a folder holds some."""
    found = formats.recognise(root) if root.is_dir() else None
    seen = {"masks": "images with masks", "voc": "masks of classes as in Pascal VOC"}
    looks = seen.get(found, f"labels in the format {found}") if found else ""
    return f"\nIt looks like {looks}: `flawtrace labels import {root} -o PARTS`." if found else ""


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
    anomalous = category.anomalous + category.test_anomalous
    every = Counter(str(sample.defect_type) for sample in (*anomalous, *category.unmasked))
    masked = Counter(str(sample.defect_type) for sample in anomalous if sample.mask)
    return {name: TypeCount(every[name], masked[name]) for name in sorted(every, key=natural)}


def _in_words(found: Survey) -> str:
    """What is taken for what."""
    where, root = found.places, found.category.root
    region = [f"region of interest in {path.name}"] if (path := region_file(root)) else []

    def named(folder: Path) -> str:
        relative = below(root, folder)
        return f"{relative}/" if str(relative) != "." else "the folder itself"

    if where.pairs:
        pairs = [_pair_in_words(pair, named) for pair in where.pairs]
        return "; ".join([*pairs, "black masks are of normal ones", *region])
    said = [f"normal images in {named(where.normal)}"]
    said += [f"{', '.join(map(named, where.test_normal))} for testing"] if where.test_normal else []
    if found.category.anomalous or found.category.unmasked:
        said.append(f"images of defects in {named(where.defects)}")
    if where.masks and found.category.anomalous:
        said.append(f"masks in {named(where.masks)}")
    return "; ".join([*said, *region])


def _pair_in_words(pair: Pairs, named: Callable[[Path], str]) -> str:
    together = pair.images == pair.masks
    there = f"{named(pair.images)} with their masks" if together else named(pair.images)
    masks = "" if together else f", masks in {named(pair.masks)}"
    return f"images {'for testing ' if pair.for_testing else ''}in {there}{masks}"
