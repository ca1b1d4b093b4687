"""Folders to samples: which images are normal, which show what defect, and where its mask is."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flawtrace.data.errors import (
    AmbiguousNameError,
    EmptyMaskError,
    MaskSizeError,
    MisplacedMasksError,
    NoNormalImagesError,
    StrayMaskError,
    UnlikeMasksError,
)
from flawtrace.data.masks import mask_of
from flawtrace.data.places import Named, Places, TypePlaces, image_stem, images_in, places, visible
from flawtrace.data.samples import Category, Sample, natural
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.wording import counted
from flawtrace.pictures.images import image_size
from flawtrace.pictures.region import NAMES as REGIONS

TEST_SHARE = 5
"""One in so many normal images of the plain layout is kept for testing."""


@dataclass(frozen=True)
class Survey:
    """What the names of the files tell, before any file is opened."""

    category: Category
    problems: tuple[FlawtraceError, ...]
    ignored: tuple[Path, ...]
    """Files that are no image of the layout."""
    places: Places


def read_category(root: Path, named: Named = Named()) -> Category:  # noqa: B008 (it is frozen)
    """The samples of a folder in MVTec's or the plain layout; folders can be `named` instead of being found.

    Reads the header of each image and each mask; `inspect` also decodes the images.

    Raises:
        FlawtraceError: the first problem by name; its message says how many more there are.
    """
    found = survey(root, named)
    category = found.category
    problems = [*found.problems, *filter(None, map(sample_problem, category.samples))]
    if problems:
        raise _first(problems, root)
    return category


def survey(root: Path, named: Named = Named()) -> Survey:  # noqa: B008 (it is frozen)
    """Sort the files of `root` into samples and list what does not fit.

    Raises:
        MissingFolderError: there is no such folder.
        UnclearFoldersError, UnknownLayoutError: nothing tells which images are normal, or which are not.
    """
    where = places(root, named)
    normal, test_normal = _normal_images(where)
    pairings = [_pair(place) for place in where.types]
    samples = tuple(sample for pairing in pairings for sample in pairing.samples)
    unmasked = tuple(sample for pairing in pairings for sample in pairing.unmasked)
    problems = [*_misplaced(normal), *(problem for pairing in pairings for problem in pairing.problems)]
    if not normal:
        problems.insert(0, NoNormalImagesError(where.normal))
    category = Category(root, where.layout, _normal(normal), _normal(test_normal), samples, unmasked)
    return Survey(category, tuple(problems), _ignored(category), where)


def sample_problem(sample: Sample) -> FlawtraceError | None:
    """What is wrong with the content of a sample, as far as headers and masks tell."""
    try:
        size = image_size(sample.image)
        return mask_problem(sample, size)
    except FlawtraceError as error:
        return error


def mask_problem(sample: Sample, size: tuple[int, int]) -> FlawtraceError | None:
    """What is wrong with the mask of an image of `size` (height, width), if it has one."""
    if sample.mask is None:
        return None
    try:
        mask = mask_of(sample)
    except UnlikeMasksError as error:
        return error
    found = (mask.shape[0], mask.shape[1])
    if found != size:
        return MaskSizeError(sample.mask, found, sample.image, size)
    if not mask.any():
        return EmptyMaskError(sample.mask, sample.image)
    return None


def _first(problems: list[FlawtraceError], root: Path) -> FlawtraceError:
    error, more = problems[0], len(problems) - 1
    if more:
        error.args = (f"{error}\n{counted(more, 'more problem')}: `flawtrace inspect {root}` lists all.",)
    return error


def _normal(images: Iterable[Path]) -> tuple[Sample, ...]:
    return tuple(Sample(image) for image in images)


def _normal_images(where: Places) -> tuple[list[Path], list[Path]]:
    """For training and for testing."""
    images = [path for path in images_in(where.normal) if path.name not in REGIONS]
    if where.layout == "mvtec":
        return images, [image for folder in where.test_normal for image in images_in(folder)]
    by_hash = sorted(
        images, key=lambda path: hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).digest()
    )
    kept_back = set(by_hash[: len(images) // TEST_SHARE])
    return [path for path in images if path not in kept_back], sorted(kept_back, key=images.index)


def _by_chance(image: Path) -> bytes:
    return hashlib.sha256(image.name.encode("utf-8", "surrogateescape")).digest()


def _misplaced(normal: list[Path]) -> list[FlawtraceError]:
    """Masks among the normal images."""
    stems = {path.stem for path in normal}
    masks = [path for path in normal if image_stem(path) != path.stem and image_stem(path) in stems]
    return [MisplacedMasksError(masks)] if masks else []


@dataclass(frozen=True)
class _Pairing:
    """The samples of a type, and what keeps its images and masks from pairing by name."""

    samples: list[Sample]
    unmasked: list[Sample]
    problems: list[FlawtraceError]


def _pair(place: TypePlaces) -> _Pairing:
    images = images_in(place.images)
    candidates, claims = _candidates(images, _masks_in(place.masks, {image.stem for image in images}))
    ignored = {image_stem(path): path for path in images_in(place.ignored)}
    found = _Pairing([], [], [])
    for image in images:
        masks = candidates[image]
        sample = Sample(image, None, place.name, ignored=ignored.get(image.stem))
        if not masks:
            found.unmasked.append(sample)
        elif _settled(image, masks) and all(len(claims[mask]) == 1 for mask in masks):
            found.samples.append(replace(sample, mask=masks[0], more_masks=tuple(masks[1:])))
        else:
            found.samples.append(sample)
            if not _settled(image, masks):
                found.problems.append(AmbiguousNameError(masks, "mask", image))
    for mask, claimants in claims.items():
        found.problems.extend(_image_problems(mask, claimants, place.images))
    return found


def _masks_in(folder: Path, stems: set[str]) -> list[Path]:
    """Also those in folders that are named as an image is, with one mask for each of its defects."""
    inside = [path for path in visible(folder) if path.is_dir() and path.name in stems]
    return images_in(folder) + [mask for each in inside for mask in images_in(each)]


def _candidates(
    images: list[Path], masks: list[Path]
) -> tuple[dict[Path, list[Path]], dict[Path, list[Path]]]:
    """The masks that fit each image by name, and the images that fit each mask."""
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for image in images:
        by_stem[image.stem].append(image)
    candidates: dict[Path, list[Path]] = {image: [] for image in images}
    claims: dict[Path, list[Path]] = {}
    for mask in masks:
        claims[mask] = _fitting(mask, by_stem)
        for image in claims[mask]:
            candidates[image].append(mask)
    return candidates, claims


def _fitting(mask: Path, by_stem: Mapping[str, list[Path]]) -> list[Path]:
    """The images that a mask may be of: of its own name, with or without what is usual behind it; else of its
    name without a number, or of its folder's.
    """
    own = [image for stem in dict.fromkeys((image_stem(mask), mask.stem)) for image in by_stem.get(stem, [])]
    if own:
        return own
    numbered = re.fullmatch(r"(.+)[_-][0-9]+", image_stem(mask))
    return by_stem.get(numbered[1] if numbered else mask.parent.name, []) or by_stem.get(mask.parent.name, [])


def _settled(image: Path, masks: list[Path]) -> bool:
    """Whether these are one mask, or one for each defect of the image."""
    several = [mask for mask in masks if image_stem(mask) != image.stem]
    return len(masks) == 1 or len(several) == len(masks)


def _image_problems(mask: Path, images: list[Path], folder: Path) -> list[FlawtraceError]:
    if not images:
        return [StrayMaskError(mask, folder / f"{image_stem(mask)}.png")]
    return [AmbiguousNameError(images, "image", mask)] if len(images) > 1 else []


def _ignored(category: Category) -> tuple[Path, ...]:
    used = {category.root / name for name in REGIONS} | {
        path
        for sample in (*category.samples, *category.unmasked)
        for path in (sample.image, sample.mask, sample.ignored, *sample.more_masks)
    }
    files = (path for path in category.root.rglob("*") if path.is_file() and path not in used)
    return tuple(sorted(files, key=lambda path: natural(str(path))))
