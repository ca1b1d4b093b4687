"""What a folder holds and what is wrong with it, said before anything is trained."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import fmean, median, pvariance
from typing import Any

from flawtrace.data.errors import DataError, NoDefectImagesError, TooFewLabelsError
from flawtrace.data.folders import Category, Layout, Sample, Survey, draw_available, mask_problem, survey
from flawtrace.ground.config import Config
from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.decoding import Pixels, decode
from flawtrace.pictures.images import as_image, digest, full_range, read_mask
from flawtrace.pictures.traits import Traits, blank, traits

FEW_NORMAL = 20
LABELS = Config().labels
"""Labelled images of each type, unless training is told otherwise."""
MANY_SIZES = 8
TINY = 16
"""Pixels; a defect of fewer is a single square of the predictor."""
WHOLE = Config().image_side
"""Pixels along the square that both presets make of an image."""
SMALL_RANGE = 0.25
"""Of the 16 bits; a camera of 12 bits reaches 0.06."""
ENOUGH = 10
"""Normal images of each kind, from which on their means are compared."""
SHIFT, CERTAIN = 0.5, 4.0
"""A trait has shifted if means differ by so many deviations of one image, and so many of their difference."""


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
            "ignored": list(self.ignored),
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class _Facts:
    """What decoding one sample told."""

    sample: Sample
    problems: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    kind: str = ""
    brightest: float = 0.0
    """As a share of the full range."""
    blank: bool = False
    """Of one plain colour."""
    digest: str = ""
    mask_share: float = 0.0
    traits: Traits = field(default_factory=dict)
    """Of a normal image."""


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
        facts.append(_facts(sample))
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


def _inspection(root: Path, found: Survey, facts: list[_Facts]) -> Inspection:
    category = found.category
    problems = [str(problem) for problem in found.problems]
    problems += [problem for fact in facts for problem in fact.problems]
    problems += _too_few_defects(category)
    sizes = Counter(fact.size for fact in facts if fact.size is not None)
    return Inspection(
        root=root,
        layout=category.layout,
        normal=len(category.normal),
        test_normal=len(category.test_normal),
        defects={name: _count(samples) for name, samples in category.defect_types.items()},
        sizes=sizes,
        kinds=Counter(fact.kind for fact in facts if fact.kind),
        ignored=tuple(str(path.relative_to(root)) for path in found.ignored),
        problems=tuple(problems),
        warnings=tuple(_warnings(category, facts, sizes)),
    )


def _too_few_defects(category: Category) -> list[str]:
    """What training would stop at."""
    try:
        labelled = draw_available(category, LABELS, seed=0).labelled
    except NoDefectImagesError as error:
        return [str(error)]
    return [str(TooFewLabelsError(1))] if len(labelled) == 1 else []


def _count(samples: Iterable[Sample]) -> TypeCount:
    masks = [sample.mask for sample in samples]
    return TypeCount(images=len(masks), labelled=len(masks) - masks.count(None))


def _facts(sample: Sample) -> _Facts:
    try:
        pixels = decode(sample.image)
    except FlawtraceError as error:
        return _Facts(sample, problems=(str(error),))
    size = (pixels.shape[0], pixels.shape[1])
    problem, share = _mask_facts(sample, size)
    image = as_image(pixels)
    return _Facts(
        sample,
        problems=(problem,) if problem else (),
        size=size,
        kind=kind(pixels),
        brightest=float(pixels.max()) / full_range(pixels),
        blank=blank(image),
        digest=digest(image),
        mask_share=share,
        traits={} if sample.anomalous else traits(image),
    )


def kind(pixels: Pixels) -> str:
    """Depth and colour.

    >>> import numpy as np
    >>> kind(np.zeros((16, 16, 3), np.uint16))
    '16-bit colour'
    """
    depth = {"b": "1-bit", "f": "float"}.get(pixels.dtype.kind, f"{pixels.dtype.itemsize * 8}-bit")
    return f"{depth} {'grey' if pixels.ndim == 2 else 'colour'}"


def _mask_facts(sample: Sample, size: tuple[int, int]) -> tuple[str, float]:
    """The problem of the mask, and the share of the image that it covers."""
    if sample.mask is None:
        return "", 0.0
    try:
        problem = mask_problem(sample, size)
        share = float(read_mask(sample.mask).float().mean())
    except FlawtraceError as error:
        return str(error), 0.0
    return (str(problem), 0.0) if problem else ("", share)


def _warnings(category: Category, facts: list[_Facts], sizes: Counter[tuple[int, int]]) -> Iterator[str]:
    yield from _few(category)
    yield from _shifted(category, facts)
    yield from _repeated(category, facts)
    if len(sizes) > 1:
        yield f"The images have {len(sizes)} sizes; all are resized to the same square."
    deep = [fact.brightest for fact in facts if fact.kind.startswith("16-bit")]
    if deep and max(deep) < SMALL_RANGE:
        yield (
            f"The 16-bit images use only values up to {max(deep):.0%} of the full range, as those of "
            "a 12-bit camera do; they look almost black. Multiply all of them by the same number."
        )
    if plain := [fact.sample.image for fact in facts if fact.blank]:
        yield f"Images of one plain colour, which show nothing: {_names(category, plain)}."
    yield from _tiny(category, facts)
    if wide := [fact.sample.mask for fact in facts if fact.mask_share > 0.5]:
        yield f"Masks that cover more than half of their image (inverted?): {_names(category, wide)}."


def _few(category: Category) -> Iterator[str]:
    if 0 < len(category.normal) < FEW_NORMAL:
        yield f"Only {len(category.normal)} normal images to train from; some tens are better."
    if not category.test_normal:
        yield "No normal image to test with: false alarms on good products cannot be measured."
    for name, samples in category.defect_types.items():
        if len(samples) < LABELS:
            images = f"{len(samples)} image{'s'[: len(samples) != 1]}"
            yield f"Only {images} of defect type {name}; {LABELS} or more are better."
        if len(samples) <= LABELS:
            yield (
                f"All images of defect type {name} would be labels, and none is left to evaluate on. "
                "Add some, or train with fewer --labels."
            )


def _shifted(category: Category, facts: list[_Facts]) -> Iterator[str]:
    """Normal test images that were taken otherwise than those of training."""
    training, test = (
        [fact.traits for fact in facts if fact.traits and fact.sample in chosen]
        for chosen in (set(category.normal), set(category.test_normal))
    )
    if min(len(training), len(test)) < ENOUGH:
        return
    columns = {name: ([row[name] for row in training], [row[name] for row in test]) for name in training[0]}
    moved = [
        f"{name} ({fmean(there):.3g}, in training {fmean(here):.3g})"
        for name, (here, there) in columns.items()
        if has_shifted(here, there)
    ]
    if moved:
        yield (
            f"The normal test images are not like those of training in {', '.join(moved)}: a rate of "
            "false alarms that training announces may not hold for them."
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


def _tiny(category: Category, facts: list[_Facts]) -> Iterator[str]:
    """Defects that a detector of whole images would hardly see."""
    small = [
        fact for fact in facts if 0 < fact.mask_share * WHOLE**2 < TINY and min(fact.size or (0,)) > WHOLE
    ]
    if small:
        yield (
            f"Defects of less than {TINY} pixels once the whole image has {WHOLE} x {WHOLE}: "
            f"{_names(category, [fact.sample.mask for fact in small])}. "
            f"See them larger with --tile-side, such as {_tile_side(small)}."
        )


def _tile_side(small: list[_Facts]) -> int:
    """At which the smallest of the defects has enough pixels, if that takes no more than the image's own."""
    least = min(fact.mask_share * size[0] * size[1] for fact in small if (size := fact.size))
    return max(WHOLE, int(WHOLE * (least / TINY) ** 0.5) // 32 * 32)


def _repeated(category: Category, facts: list[_Facts]) -> Iterator[str]:
    """Pictures that stand in two places which must not share any."""
    roles = dict.fromkeys(category.normal, "training")
    roles |= dict.fromkeys(category.test_normal, "the normal test images")
    places: dict[str, dict[str, Path]] = defaultdict(dict)
    for fact in facts:
        if fact.digest:
            place = roles.get(fact.sample, "the images of defects")
            places[fact.digest].setdefault(place, fact.sample.image)
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for found in places.values():
        if len(found) > 1:
            groups[tuple(found)].append(next(iter(found.values())))
    for shared, images in groups.items():
        yield f"The same picture is in {' and in '.join(shared)}: {_names(category, images)}."


def _names(category: Category, paths: Iterable[Path | None], limit: int = 3) -> str:
    names = [str(path.relative_to(category.root)) for path in paths if path is not None]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
