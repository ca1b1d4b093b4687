"""Images that are sorted by what their masks show: an empty mask says that an image is normal."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flawtrace.data.errors import UnlabelledError
from flawtrace.data.masks import mask_of
from flawtrace.data.pairing import Problem, paired
from flawtrace.data.places import NO_TYPE, NORMAL, Pairs, TypePlaces, images_in, visible
from flawtrace.data.samples import Category, Sample, kept_back, natural
from flawtrace.ground.errors import FlawtraceError


@dataclass(frozen=True)
class Sorted:
    """The samples of a folder, what is wrong with them, and the empty masks, which no sample keeps."""

    category: Category
    problems: tuple[Problem, ...]
    empty: tuple[Path, ...]


@dataclass(frozen=True)
class _Part:
    normal: list[Sample]
    anomalous: list[Sample]
    problems: list[Problem]
    empty: list[Path]


def in_pairs(root: Path, pairs: Iterable[Pairs]) -> Sorted:
    """The samples of the folder `root`; reads every mask.

    Where no folder is for testing, some of the normal images are kept back.
    """
    training, testing = _Part([], [], [], []), _Part([], [], [], [])
    for each in pairs:
        part = testing if each.for_testing else training
        for place in _types(each):
            _sort(place, part)
    kept = testing.normal
    if not kept and not testing.anomalous:
        names = set(kept_back([sample.image for sample in training.normal]))
        kept = [sample for sample in training.normal if sample.image in names]
    category = Category(
        root,
        "pairs",
        tuple(sample for sample in training.normal if sample not in set(kept)),
        tuple(kept),
        tuple(training.anomalous),
        test_anomalous=tuple(testing.anomalous),
    )
    problems = (*training.problems, *testing.problems)
    return Sorted(category, problems, (*training.empty, *testing.empty))


def _types(pairs: Pairs) -> Iterator[TypePlaces]:
    """Images that lie in the folder itself, then those of its sub-folders, which are types."""
    yield TypePlaces(NO_TYPE, pairs.images, pairs.masks, pairs.ignored)
    folders = [path for path in visible(pairs.images) if path.is_dir() and path != pairs.ignored]
    for name in sorted((path.name for path in folders if images_in(path)), key=natural):
        yield TypePlaces(name, pairs.images / name, pairs.masks / name, pairs.ignored / name)


def _sort(place: TypePlaces, part: _Part) -> None:
    """Add the images of one folder to those that are known."""
    found = paired(place)
    part.problems.extend(found.problems)
    for sample in found.samples:
        if _is_empty(sample):
            part.normal.append(Sample(sample.image, ignored=sample.ignored))
            part.empty.extend(sample.files - {sample.image})
        else:
            part.anomalous.append(sample)
    for sample in found.unmasked:
        if place.name.lower() in NORMAL:
            part.normal.append(Sample(sample.image, ignored=sample.ignored))
        else:
            part.problems.append(Problem(sample.image, UnlabelledError(sample.image, place.masks)))


def _is_empty(sample: Sample) -> bool:
    """What cannot be read is told later, as of any mask."""
    try:
        return sample.mask is not None and not mask_of(sample).any()
    except FlawtraceError:
        return False
