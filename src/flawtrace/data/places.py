"""Which folder holds what: told by names that mean the same in every plant, or by whoever names them."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flawtrace.data.errors import (
    LabelsBesideError,
    MissingFolderError,
    UnclearFoldersError,
    UnknownLayoutError,
    UnreadableFolderError,
)
from flawtrace.data.samples import Layout, natural
from flawtrace.pictures.errors import ImageError
from flawtrace.pictures.mask_files import looks_drawn
from flawtrace.pictures.region import NAMES as REGIONS

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
NORMAL = frozenset({"normal", "good", "ok", "free"})
DEFECTS = frozenset(
    {"defects", "defect", "bad", "ng", "nok", "abnormal", "anomaly", "anomalous", "defective"}
)
MASKS = frozenset({"masks", "mask", "gt", "ground_truth", "label", "labels"})
IGNORED = frozenset({"ignored"})
VALIDATION = frozenset({"validation", "val", "valid"})
TRAINING = frozenset({"train", "training"})
PARTS = TRAINING | VALIDATION | {"test", "testing"}
IMAGES = frozenset({"images", "image", "imgs", "img"})
"""Names of folders, in any case."""
MASK_SUFFIXES = ("_mask", "_gt", "_seg", "_label", "-mask")
"""What may follow an image's name in that of its mask, in any case."""
NO_TYPE = "defect"
"""The defect type of images that are not sorted by type."""
DEPTH = 3
"""How many folders down products are looked for."""
LAYOUTS = """\
  MVTec                               plain
    train/good/001.png                  normal/001.png
    test/good/002.png                   defects/003.png       or defects/scratch/003.png
    test/scratch/003.png                masks/003.png         or masks/scratch/003.png
    ground_truth/scratch/003_mask.png

  images with their masks, black ones of normal images; with or without train, val and test
    train/images/001.png                train/001.jpg
    train/masks/001.png                 train/001.png         or train/001_mask.png

normal may also be called good, ok or free; defects bad, ng, abnormal or anomaly; masks gt or labels."""


@dataclass(frozen=True)
class Named:
    """Folders that somebody names, where their own names do not tell; relative to the product's folder."""

    normal: Path | None = None
    defects: Path | None = None
    masks: Path | None = None


@dataclass(frozen=True)
class TypePlaces:
    """Where one defect type lies."""

    name: str
    images: Path
    masks: Path
    ignored: Path


@dataclass(frozen=True)
class Pairs:
    """Where images lie that all have a mask, an empty one if they are normal; masks may lie beside them."""

    images: Path
    masks: Path
    ignored: Path
    for_testing: bool = False


@dataclass(frozen=True)
class Places:
    """Where everything of a product lies."""

    layout: Layout
    normal: Path
    test_normal: tuple[Path, ...]
    """Folders of normal images for testing; in the plain layout, some of the others are kept back."""
    types: tuple[TypePlaces, ...]
    """In natural order; also those of which only masks are there."""
    defects: Path
    """Where images of defects are expected."""
    masks: Path | None
    ignored_normal: Path
    pairs: tuple[Pairs, ...] = ()
    """Where images are not sorted by what they show."""


def places(root: Path, named: Named) -> Places:
    """Where the images and masks of `root` lie.

    Raises:
        MissingFolderError: there is no such folder, or none that was named.
        UnclearFoldersError: names can be read in several ways; the message says what would settle it.
        UnknownLayoutError: nothing tells which images are normal.
    """
    if not root.is_dir():
        raise MissingFolderError(root)
    for folder in (named.normal, named.defects, named.masks):
        if folder is not None and not (root / folder).is_dir():
            raise MissingFolderError(root / folder)
    if named != Named():
        return _plain(root, named)
    train, test = _one(root, {"train"}, "normal"), _one(root, {"test"}, "defects")
    good = _one(train, NORMAL, "normal") if train else None
    if good or (test and not train and _one(test, NORMAL, "normal")):
        return _mvtec(root, good or root / "train/good")
    is_sorted = any(path.is_dir() and path.name.lower() in NORMAL | DEFECTS for path in visible(root))
    if not is_sorted and (pairs := tuple(_pairs(root))):
        return _paired(root, pairs)
    return _plain(root, named)


def holds_product(folder: Path) -> bool:
    """Whether the folder itself holds the images of a product, by the names in it."""
    train = _one(folder, {"train"}, "normal")
    names = {path.name.lower() for part in (folder, train) if part for path in visible(part) if path.is_dir()}
    return bool(NORMAL & names) or any(True for _ in _pairs(folder))


def products_in(root: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Folders with the images of a product: the root itself, or those at most so many levels below it."""
    if holds_product(root):
        yield root
    elif depth:
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != "."):
            yield from products_in(folder, depth - 1)


def visible(folder: Path) -> list[Path]:
    """Files and folders in natural order, hidden ones left out; none if there is no such folder.

    Raises:
        UnreadableFolderError: nobody may look into it.
    """
    if not folder.is_dir():
        return []
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UnreadableFolderError(folder)
    entries = (path for path in folder.iterdir() if path.name[0] != ".")
    return sorted(entries, key=lambda path: natural(path.name))


def files_below(folder: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """The visible files of a folder and of all folders in it, each of these once, however links lead to it.

    Folders in `without` (resolved) are not looked into. Of one that nobody may look into comes its own path.

    Raises:
        UnreadableFolderError: nobody may look into the folder itself.
    """
    seen = {folder.resolve(), *without}
    waiting = visible(folder)[::-1]
    while waiting:
        path = waiting.pop()
        if not path.is_dir():
            yield path
        elif (place := path.resolve()) not in seen:
            seen.add(place)
            try:
                waiting += visible(path)[::-1]
            except UnreadableFolderError:
                yield path


def below(root: Path, path: Path) -> Path:
    """The path as it is below `root`; as it is where it lies elsewhere."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def is_image(path: Path) -> bool:
    """Whether it is a file of a type that is read, by its name."""
    return path.suffix.lower() in EXTENSIONS and path.is_file()


def kinds(files: Iterable[Path]) -> dict[str, int]:
    """How many files there are of each kind, in words.

    >>> kinds([Path("a.TXT"), Path("b.txt"), Path("README")])
    {'.txt file': 2, 'other file': 1}
    """
    return dict(Counter(kind_of(file) for file in files))


def kind_of(file: Path) -> str:
    """By its name; of a link, whether it leads anywhere."""
    if file.is_symlink() and not file.exists():
        return "broken link"
    return f"{file.suffix.lower() or 'other'} file"


def images_in(folder: Path) -> list[Path]:
    """Image files in natural order; hidden ones and a region of interest are left out."""
    return [path for path in visible(folder) if is_image(path) and path.name not in REGIONS]


def by_image(folder: Path) -> dict[str, Path]:
    """Pictures like masks, by the name of the image that each is of."""
    return {image_stem(path): path for path in images_in(folder)}


def image_stem(mask: Path) -> str:
    """The name of the image that a mask is of, by its own.

    >>> image_stem(Path("003_MASK.png")), image_stem(Path("003.png"))
    ('003', '003')
    """
    stem = mask.stem
    for suffix in MASK_SUFFIXES:
        if stem.lower().endswith(suffix):
            return stem[: -len(suffix)]
    return stem


def beside(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Images and masks that lie in one folder: `a.jpg` with `a_mask.png`, `a.png` or `a_1.png`.

    Where names alone do not tell, a mask is what was drawn, of two files the one that was.
    """
    same: dict[str, list[Path]] = {}
    for path in files:
        same.setdefault(path.stem, []).append(path)
    masks = {path for path in files if image_stem(path) != path.stem and image_stem(path) in same}
    for some in same.values():
        drawn = [path for path in some if len(some) > 1 and _looks_drawn(path)]
        masks |= set(drawn) if len(drawn) < len(some) else set()
    for path in files:
        first = same.get(re.sub(r"[_-][0-9]+$", "", path.stem), [path])[0]
        if first.stem != path.stem and _looks_drawn(path) and not _looks_drawn(first):
            masks.add(path)
    return [path for path in files if path not in masks], [path for path in files if path in masks]


def _looks_drawn(path: Path) -> bool:
    """A file that cannot be read is reported when it is read as an image."""
    try:
        return looks_drawn(path)
    except ImageError:
        return False


def _pairs(root: Path) -> Iterator[Pairs]:
    """Images with masks in folders called so, or side by side; sorted into parts above or below, or not."""
    images, masks = _one(root, IMAGES, "images"), _one(root, MASKS, "masks")
    parts = [path for path in visible(root) if path.is_dir() and path.name.lower() in PARTS]
    if images and masks and not parts:
        if not _holds_images(masks):
            return
        inside = [path for path in visible(images) if path.is_dir() and path.name.lower() in PARTS]
        for part in inside or [images]:
            below_images, testing = part.relative_to(images), bool(inside) and _for_testing(part)
            yield Pairs(part, masks / below_images, root / "ignored" / below_images, testing)
    for part in parts or [root]:
        images, masks = _one(part, IMAGES, "images"), _one(part, MASKS, "masks")
        if images and masks and _holds_images(masks) and parts:
            yield Pairs(images, masks, part / "ignored", _for_testing(part))
        elif beside(images_in(part))[1]:
            yield Pairs(part, part, part / "ignored", bool(parts) and _for_testing(part))


def _for_testing(part: Path) -> bool:
    return part.name.lower() not in TRAINING


def _holds_images(folder: Path) -> bool:
    return any(is_image(file) for file in folder.rglob("*"))


def _paired(root: Path, pairs: tuple[Pairs, ...]) -> Places:
    training = next((part for part in pairs if not part.for_testing), pairs[0])
    return Places(
        "pairs",
        training.images,
        (),
        (),
        training.images,
        training.masks,
        root / "ignored",
        pairs,
    )


def _mvtec(root: Path, good: Path) -> Places:
    test = _one(root, {"test"}, "defects") or root / "test"
    masks = _one(root, MASKS, "masks") or root / "ground_truth"
    ignored = _one(root, IGNORED, "ignored") or root / "ignored"
    validation = _one(root, VALIDATION, "normal")
    kept = [_one(folder, NORMAL, "normal") for folder in (validation, test) if folder]
    types = _types((test, masks), without=NORMAL)
    return Places(
        "mvtec",
        good,
        tuple(folder for folder in kept if folder),
        tuple(TypePlaces(name, test / name, masks / name, ignored / name) for name in types),
        test,
        masks,
        ignored / good.name,
    )


def _plain(root: Path, named: Named) -> Places:
    defects = root / named.defects if named.defects else _one(root, DEFECTS, "defects")
    normal = root / named.normal if named.normal else _one(root, NORMAL, "normal")
    if normal is None:
        normal = root / "normal" if defects else _flat(root)
    masks = root / named.masks if named.masks else _one(root, MASKS, "masks")
    ignored = _one(root, IGNORED, "ignored") or root / "ignored"
    known = {folder.resolve() for folder in (normal, defects, masks, ignored) if folder}
    if defects is None and normal != root:
        _refuse_unknown(root, normal, known)
    return Places(
        "plain",
        normal,
        (),
        tuple(_plain_types(defects or root / "defects", masks or root / "masks", ignored, known)),
        defects or root / "defects",
        masks,
        ignored / normal.name,
    )


def _plain_types(defects: Path, masks: Path, ignored: Path, known: Collection[Path]) -> Iterator[TypePlaces]:
    """Images that lie in the folder itself, then those of its sub-folders."""
    if images_in(defects) or images_in(masks):
        yield TypePlaces(NO_TYPE, defects, masks, ignored)
    for name in _types((defects, masks), without=()):
        if (defects / name).resolve() not in known:
            yield TypePlaces(name, defects / name, masks / name, ignored / name)


def _types(folders: Collection[Path], without: Collection[str]) -> list[str]:
    names = {path.name for folder in folders for path in visible(folder) if path.is_dir()}
    return sorted((name for name in names if name.lower() not in without), key=natural)


def _flat(root: Path) -> Path:
    """The folder itself, where it holds nothing but images of good parts."""
    images = images_in(root)
    masks = [path for path in images if image_stem(path) != path.stem]
    if not images or masks or any(path.is_dir() for path in visible(root)):
        raise UnknownLayoutError(root, _listing(root), LAYOUTS, _like_normal(root))
    if labels := _labels_beside(root, images):
        raise LabelsBesideError(root, labels)
    return root


def _like_normal(root: Path) -> str | None:
    """The only folder with a word for normal in its name, such as MT_Free."""
    folders = [path.name for path in visible(root) if path.is_dir()]
    found = [name for name in folders if NORMAL & set(re.split(r"[^a-z]+", name.lower()))]
    return found[0] if len(found) == 1 else None


def _labels_beside(root: Path, images: list[Path]) -> Path | None:
    """A file that may say which of the images show a defect."""
    stems = {path.stem for path in images}
    for path in visible(root):
        suffix = path.suffix.lower()
        if path.name in REGIONS:
            continue
        if suffix in (".json", ".xml") or (suffix == ".txt" and path.stem in stems):
            return path
    return None


def _refuse_unknown(root: Path, normal: Path, known: Collection[Path]) -> None:
    """Folders of images whose names say nothing must not be left out without a word."""
    others = [path for path in visible(root) if path.is_dir() and path.resolve() not in known]
    with_images = [path.name for path in others if _holds_images(path)]
    if with_images:
        raise UnclearFoldersError(root, with_images, "defects", normal.name)


def _one(folder: Path, names: Collection[str], role: str) -> Path | None:
    """The sub-folder with one of these names, in any case."""
    found = [path for path in visible(folder) if path.is_dir() and path.name.lower() in names]
    if len(found) > 1:
        raise UnclearFoldersError(folder, [path.name for path in found], role)
    return found[0] if found else None


def _listing(root: Path, limit: int = 8) -> list[str]:
    names = [f"{path.name}/" if path.is_dir() else path.name for path in visible(root)]
    more = [f"{len(names) - limit} more"] if len(names) > limit else []
    return names[:limit] + more
