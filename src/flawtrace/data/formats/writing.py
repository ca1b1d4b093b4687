"""From annotated images to a folder that training reads, and back."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flawtrace.data.errors import DataError
from flawtrace.data.formats.annotated import Annotated, Defect, Plane
from flawtrace.data.masks import mask_of
from flawtrace.data.samples import Category, Sample
from flawtrace.ground.files import content_of
from flawtrace.pictures.images import image_size, write_mask

INVERTED = 0.5
"""Share of an image, from which on a defect is suspected to be its background."""


class OccupiedError(DataError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is there already, with other content.\n"
            "Expected a new folder, or one with the same files.\n"
            "Choose another folder with -o, or remove the file."
        )


@dataclass(frozen=True)
class Imported:
    """What came out of an import."""

    format: str
    out: Path
    normal: int
    defects: dict[str, int]
    """Images of each type."""
    notes: tuple[str, ...]
    """What a person should know."""


def write_plain(form: str, annotated: Sequence[Annotated], out: Path) -> Imported:
    """Write the images, masks and ignored pixels in the plain layout: `normal`, `defects/TYPE`, `masks/TYPE`.

    An image without a defect is normal; one with several types goes to that of the largest area, and its mask
    has all of them. Images are copied as they are.

    Raises:
        OccupiedError: a file would be replaced by another one.
    """
    counts: dict[str, int] = {}
    notes: list[str] = []
    names = _distinct([one.image for one in annotated])
    for one, name in zip(annotated, names, strict=True):
        kind = _type_of(one)
        if kind is None:
            _copy(one.image, out / "normal" / name)
        else:
            counts[kind] = counts.get(kind, 0) + 1
            _copy(one.image, out / "defects" / kind / name)
            _save(_union(one), out / "masks" / kind / Path(name).with_suffix(".png").name)
        if one.ignored is not None:
            _save(one.ignored, out / "ignored" / (kind or "normal") / Path(name).with_suffix(".png").name)
        notes += _notes(one)
    normal = len(annotated) - sum(counts.values())
    return Imported(form, out, normal, dict(sorted(counts.items())), tuple(notes))


def copied(category: Category, out: Path) -> Iterator[Annotated]:
    """The samples of a category, their images copied to `out`/images under names that are all different.

    Those without a mask are left out.

    Raises:
        OccupiedError: an image would replace another one.
    """
    samples = (*category.normal, *category.test_normal, *category.anomalous)
    names = _distinct([sample.image for sample in samples])
    for sample, name in zip(samples, names, strict=True):
        image = out / "images" / name
        _copy(sample.image, image)
        yield Annotated(image, tuple(_defects(sample)), _ignored(sample))


def _defects(sample: Sample) -> Iterable[Defect]:
    if sample.anomalous and sample.mask is not None:
        yield Defect(str(sample.defect_type), mask_of(sample).numpy())


def _ignored(sample: Sample) -> Plane | None:
    if sample.ignored is None:
        return None
    found: Plane = mask_of(Sample(sample.image, sample.ignored)).numpy()
    return found


def _type_of(one: Annotated) -> str | None:
    areas: dict[str, int] = {}
    for defect in one.defects:
        areas[defect.defect_type] = areas.get(defect.defect_type, 0) + int(defect.mask.sum())
    kind = max(areas, key=lambda name: areas[name]) if any(areas.values()) else None
    return None if kind is None else "".join("_" if letter in '/\\:*?"<>|' else letter for letter in kind)


def _union(one: Annotated) -> Plane:
    mask = np.zeros(image_size(one.image), dtype=bool)
    for defect in one.defects:
        mask |= defect.mask
    return mask


def _notes(one: Annotated) -> Iterator[str]:
    if one.defects and _type_of(one) is None:
        yield f"{one.image.name}: its shapes cover no pixel; it is taken as normal"
    kinds = {defect.defect_type for defect in one.defects}
    if len(kinds) > 1:
        yield f"{one.image.name}: shows {', '.join(sorted(kinds))}; it is filed under {_type_of(one)}"
    if one.defects and _union(one).mean() > INVERTED:
        yield f"{one.image.name}: more than half of it is marked; is the mask inverted?"


def _distinct(images: Sequence[Path]) -> list[str]:
    """Names of files, with that of the folder before them where two are the same."""
    stems = [image.stem for image in images]
    names = [
        image.name if stems.count(image.stem) == 1 else f"{image.parent.name}_{image.name}"
        for image in images
    ]
    taken: set[str] = set()
    for index, name in enumerate(names):
        number = 2
        while Path(names[index]).stem in taken:
            names[index] = f"{Path(name).stem}-{number}{Path(name).suffix}"
            number += 1
        taken.add(Path(names[index]).stem)
    return names


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        if content_of(target) != content_of(source):
            raise OccupiedError(target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _save(mask: Plane, target: Path) -> None:
    if target.exists() and not np.array_equal(mask_of(Sample(target, target)).numpy(), mask):
        raise OccupiedError(target)
    write_mask(target, torch.from_numpy(mask))
