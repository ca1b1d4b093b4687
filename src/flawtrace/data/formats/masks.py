"""Pictures of masks: beside their images, in folders of their own, or one for each defect.

A mask is told by its folder (`masks/`, `gt/`, `labels/`, …), by the end of its name (`_mask`, `_gt`, …), by a
folder or a number after its image's name (`000/001.png`, `000_1.png`), or, where two files have one name and
different endings, by what they look like.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

from flawtrace.data.formats import class_pictures
from flawtrace.data.formats.annotated import Entry, Unread
from flawtrace.data.formats.class_pictures import Scheme, scheme_of
from flawtrace.data.formats.errors import SwappedMaskError, UnclearMaskError
from flawtrace.data.formats.pictures import files_below
from flawtrace.data.places import DEFECTS, MASKS, NORMAL, VALIDATION, image_stem, is_image
from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.mask_files import looks_drawn

OF_IMAGES = "images"
ROLES = (
    NORMAL | DEFECTS | MASKS | VALIDATION | {"image", "images", "img", "imgs", "jpegimages", "train", "test"}
)
"""Names of folders that tell no type of defect."""


def recognised(source: Path) -> str | None:
    """Why a folder holds masks as pictures; None if it does not."""
    found = label_pictures(source)
    return f"has masks such as {min(found).relative_to(source)}" if found else None


def entries(source: Path) -> Iterator[Entry | Unread]:
    yield from entries_of(sorted(label_pictures(source)), source, ignore=False)


def entries_of(masks: list[Path], source: Path, ignore: bool) -> Iterator[Entry | Unread]:
    """One for each mask; those of one image are joined later."""
    scheme = scheme_of(source, masks, ignore)
    for path in masks:
        try:
            yield _entry(path, source, scheme)
        except FlawtraceError as error:
            yield Unread(tuple(_image_names(path, source)), error)


def label_pictures(source: Path) -> frozenset[Path]:
    """The pictures in a folder and below that are masks.

    Raises:
        SwappedMaskError, UnclearMaskError: names and contents disagree, or nothing tells.
    """
    pictures = [path for path in files_below(source) if is_image(path)] if source.is_dir() else []
    by_folder = {path for path in pictures if in_folder_of(path, source, MASKS)}
    return frozenset(by_folder) | _beside([path for path in pictures if path not in by_folder])


def in_folder_of(path: Path, source: Path, names: Collection[str]) -> bool:
    """Whether a file lies in a folder of one of these names, the source itself or below."""
    folders = (source.resolve().name, *path.relative_to(source).parts[:-1])
    return any(folder.lower() in names for folder in folders)


def _beside(pictures: list[Path]) -> frozenset[Path]:
    """Those that are masks of others of them."""
    stems = {(path.parent, path.stem) for path in pictures}
    masks: set[Path] = set()
    for path in pictures:
        ended = image_stem(path) != path.stem and (path.parent, image_stem(path)) in stems
        inside = (path.parent.parent, path.parent.name) in stems
        base = _numbered(path.stem)
        if ended or inside or (base and (path.parent, base) in stems and looks_drawn(path)):
            masks.add(path)
    same_name: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in pictures:
        if path not in masks:
            same_name[path.parent, path.stem].append(path)
    masks |= {_drawn_one(paths) for paths in same_name.values() if len(paths) > 1}
    _refuse_swapped(masks, [path for path in pictures if path not in masks])
    return frozenset(masks)


def _drawn_one(paths: list[Path]) -> Path:
    """Of two files of one name, the mask."""
    drawn = [path for path in paths if looks_drawn(path)]
    if len(paths) != 2 or len(drawn) != 1:
        raise UnclearMaskError(paths, "look alike" if len(paths) == 2 else "have one name")
    return drawn[0]


def _refuse_swapped(masks: set[Path], images: list[Path]) -> None:
    by_place = {(path.parent, path.stem): path for path in images}
    for mask in sorted(masks):
        image = by_place.get((mask.parent, image_stem(mask)))
        if image and image_stem(mask) != mask.stem and looks_drawn(image) and not looks_drawn(mask):
            raise SwappedMaskError(mask, image)


def _numbered(stem: str) -> str | None:
    """What comes before the number of a defect.

    >>> _numbered("000_1"), _numbered("000")
    ('000', None)
    """
    found = re.fullmatch(r"(.+)[_-][0-9]+", stem)
    return found[1] if found else None


def _entry(path: Path, source: Path, scheme: Scheme) -> Entry:
    size, shapes, notes = class_pictures.read(path, scheme)
    return Entry(tuple(_image_names(path, source)), path, shapes, size, notes=notes)


def _image_names(mask: Path, source: Path) -> Iterator[str]:
    """Paths that the image of a mask may have, the likeliest first."""
    relative = mask.relative_to(source)
    folders = [OF_IMAGES if part.lower() in MASKS else part for part in relative.parts[:-1]]
    folder = Path(*folders)
    if folders and mask.parent.name.lower() not in ROLES:
        yield folder.as_posix()
    for stem in (image_stem(mask), mask.stem, _numbered(image_stem(mask))):
        if stem:
            yield (folder / stem).as_posix()


def type_of_place(image: Path, folder: Path) -> str | None:
    """The defect type that an image's folder tells, below `folder`; None if it tells none."""
    parts = [part for part in image.relative_to(folder).parts[:-1] if part.lower() not in ROLES]
    return parts[-1] if parts else None
