"""Which mask is of which image, told by their names."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flawtrace.data.errors import AmbiguousNameError, StrayMaskError
from flawtrace.data.places import TypePlaces, beside, by_image, image_stem, images_in, visible
from flawtrace.data.samples import Sample
from flawtrace.ground.errors import FlawtraceError


@dataclass(frozen=True)
class Problem:
    """What is wrong, and with which file."""

    file: Path | None
    """None says that leaving out files does not help."""
    error: FlawtraceError

    def __str__(self) -> str:
        return str(self.error)


@dataclass(frozen=True)
class Pairing:
    """The samples of a type, and what keeps its images and masks from pairing by name."""

    samples: list[Sample]
    unmasked: list[Sample]
    problems: list[Problem]


def paired(place: TypePlaces) -> Pairing:
    """What lies in the folders of a type."""
    if place.images == place.masks or not place.masks.is_dir():
        images, masks = beside(images_in(place.images))
    else:
        images = images_in(place.images)
        masks = _masks_in(place.masks, {image.stem for image in images})
    candidates, claims = _candidates(images, masks)
    ignored = by_image(place.ignored)
    found = Pairing([], [], [])
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
                found.problems.append(Problem(image, AmbiguousNameError(masks, "mask", image)))
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


def _image_problems(mask: Path, images: list[Path], folder: Path) -> list[Problem]:
    if not images:
        return [Problem(mask, StrayMaskError(mask, folder / f"{image_stem(mask)}.png"))]
    return [Problem(mask, AmbiguousNameError(images, "image", mask))] if len(images) > 1 else []
