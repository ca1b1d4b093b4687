"""Folders to samples: which images are normal, which show what defect, and where its mask is."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flawtrace.data.errors import (
    AmbiguousNameError,
    EmptyMaskError,
    MaskSizeError,
    MissingFolderError,
    MissingMaskError,
    NoNormalImagesError,
    StrayMaskError,
    UnknownLayoutError,
)
from flawtrace.data.samples import Category, Layout, Sample, natural
from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.images import image_size, read_mask

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
TEST_SHARE = 5
"""One in so many normal images of the plain layout is kept for testing."""
LAYOUTS = """\
  MVTec                               plain
    train/good/001.png                  normal/001.png
    test/good/002.png                   defects/003.png       or defects/scratch/003.png
    test/scratch/003.png                masks/003.png         or masks/scratch/003.png
    ground_truth/scratch/003_mask.png"""


@dataclass(frozen=True)
class Survey:
    """What the names of the files tell, before any file is opened."""

    category: Category
    problems: tuple[FlawtraceError, ...]
    ignored: tuple[Path, ...]
    """Files that are no image of the layout."""


def read_category(root: Path) -> Category:
    """The samples of a folder in MVTec's or the plain layout.

    Reads the header of each image and each mask; `inspect` also decodes the images.

    Raises:
        FlawtraceError: the first problem by name; its message says how many more there are.
    """
    found = survey(root)
    category = found.category
    problems = [*found.problems, *filter(None, map(sample_problem, category.samples))]
    if problems:
        raise _first(problems, root)
    return category


def survey(root: Path) -> Survey:
    """Sort the files of `root` into samples and list what does not fit.

    Raises:
        MissingFolderError: there is no such folder.
        UnknownLayoutError: it has neither `train/good` nor `normal`.
    """
    layout = _layout(root)
    normal, test_normal = _normal_images(root, layout)
    pairings = [_pair(root, layout, name) for name in _defect_types(root, layout)]
    anomalous = tuple(sample for samples, _ in pairings for sample in samples)
    problems = [problem for _, found in pairings for problem in found]
    if not normal:
        problems.insert(0, NoNormalImagesError(root / normal_folder(layout)))
    category = Category(root, layout, _normal(normal), _normal(test_normal), anomalous)
    return Survey(category, tuple(problems), _ignored(category))


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
    mask = read_mask(sample.mask)
    found = (mask.shape[0], mask.shape[1])
    if found != size:
        return MaskSizeError(sample.mask, found, sample.image, size)
    if not mask.any():
        return EmptyMaskError(sample.mask, sample.image)
    return None


def normal_folder(layout: Layout) -> str:
    return "train/good" if layout == "mvtec" else "normal"


def _defect_folder(layout: Layout) -> str:
    return "test/<type>" if layout == "mvtec" else "defects"


def _first(problems: list[FlawtraceError], root: Path) -> FlawtraceError:
    error, more = problems[0], len(problems) - 1
    if more:
        noun = "problem" if more == 1 else "problems"
        error.args = (f"{error}\n{more} more {noun}: `flawtrace inspect {root}` lists all.",)
    return error


def _layout(root: Path) -> Layout:
    if not root.is_dir():
        raise MissingFolderError(root)
    if (root / "train/good").is_dir():
        return "mvtec"
    if (root / "normal").is_dir():
        return "plain"
    raise UnknownLayoutError(root, _listing(root), LAYOUTS)


def _listing(root: Path, limit: int = 8) -> list[str]:
    names = [f"{path.name}/" if path.is_dir() else path.name for path in visible(root)]
    more = [f"{len(names) - limit} more"] if len(names) > limit else []
    return names[:limit] + more


def visible(folder: Path) -> list[Path]:
    """Files and folders in natural order, hidden ones left out; none if there is no such folder."""
    entries = folder.iterdir() if folder.is_dir() else iter(())
    return sorted((path for path in entries if path.name[0] != "."), key=lambda path: natural(path.name))


def images_in(folder: Path) -> list[Path]:
    """Image files in natural order, hidden ones left out."""
    return [path for path in visible(folder) if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether it is a file of a type that is read, by its name."""
    return path.suffix.lower() in EXTENSIONS and path.is_file()


def _subfolders(folder: Path) -> set[str]:
    return {path.name for path in visible(folder) if path.is_dir()}


def _normal(images: Iterable[Path]) -> tuple[Sample, ...]:
    return tuple(Sample(image) for image in images)


def _normal_images(root: Path, layout: Layout) -> tuple[list[Path], list[Path]]:
    """For training and for testing."""
    if layout == "mvtec":
        return images_in(root / "train/good"), images_in(root / "test/good")
    images = images_in(root / "normal")
    by_hash = sorted(images, key=lambda path: hashlib.sha256(path.name.encode()).digest())
    kept_back = set(by_hash[: len(images) // TEST_SHARE])
    return [path for path in images if path not in kept_back], sorted(kept_back, key=images.index)


def _defect_types(root: Path, layout: Layout) -> list[str]:
    """In natural order; also those of which only masks are there."""
    if layout == "mvtec":
        types = (_subfolders(root / "test") | _subfolders(root / "ground_truth")) - {"good"}
    else:
        types = _subfolders(root / "defects") | _subfolders(root / "masks")
        types |= {"defect"} if images_in(root / "defects") or images_in(root / "masks") else set()
    return sorted(types, key=natural)


def _folders(root: Path, layout: Layout, defect_type: str) -> list[tuple[Path, Path]]:
    """Where a type's images and their masks lie."""
    if layout == "mvtec":
        return [(root / "test" / defect_type, root / "ground_truth" / defect_type)]
    direct = [(root / "defects", root / "masks")] if defect_type == "defect" else []
    return [*direct, (root / "defects" / defect_type, root / "masks" / defect_type)]


def _pair(root: Path, layout: Layout, defect_type: str) -> tuple[list[Sample], list[FlawtraceError]]:
    """The samples of a type and what keeps its images and masks from pairing by name."""
    samples, problems = [], []
    for folder, mask_folder in _folders(root, layout, defect_type):
        images = images_in(folder)
        candidates, claims = _candidates(images, images_in(mask_folder))
        for image in images:
            masks = candidates[image]
            unique = len(masks) == 1 and len(claims[masks[0]]) == 1
            samples.append(Sample(image, masks[0] if unique else None, defect_type))
            problems += _mask_problems(image, masks, mask_folder, root / normal_folder(layout))
        for mask, claimants in claims.items():
            problems += _image_problems(mask, claimants, folder)
    return samples, problems


def _candidates(
    images: list[Path], masks: list[Path]
) -> tuple[dict[Path, list[Path]], dict[Path, list[Path]]]:
    """The masks that fit each image by name, and the images that fit each mask."""
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for mask in masks:
        by_stem[mask.stem].append(mask)
    candidates = {image: by_stem[f"{image.stem}_mask"] + by_stem[image.stem] for image in images}
    claims: dict[Path, list[Path]] = {mask: [] for mask in masks}
    for image, fitting in candidates.items():
        for mask in fitting:
            claims[mask].append(image)
    return candidates, claims


def _mask_problems(image: Path, masks: list[Path], folder: Path, normal: Path) -> list[FlawtraceError]:
    if not masks:
        return [MissingMaskError(image, folder / f"{image.stem}_mask.png", normal)]
    return [AmbiguousNameError(masks, "mask", image)] if len(masks) > 1 else []


def _image_problems(mask: Path, images: list[Path], folder: Path) -> list[FlawtraceError]:
    if not images:
        return [StrayMaskError(mask, folder / f"{mask.stem.removesuffix('_mask')}.png")]
    return [AmbiguousNameError(images, "image", mask)] if len(images) > 1 else []


def _ignored(category: Category) -> tuple[Path, ...]:
    used = {sample.image for sample in category.samples} | {sample.mask for sample in category.samples}
    files = (path for path in category.root.rglob("*") if path.is_file() and path not in used)
    return tuple(sorted(files, key=lambda path: natural(str(path))))
