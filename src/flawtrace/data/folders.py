"""Folders to samples: which images are normal, which show what defect, and where its mask is."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from flawtrace.data.errors import (
    SKIP_BAD,
    EmptyMaskError,
    InvertedMasksError,
    MaskSizeError,
    MisplacedMasksError,
    NoNormalImagesError,
)
from flawtrace.data.masks import mask_of
from flawtrace.data.paired import Sorted, in_pairs
from flawtrace.data.pairing import Problem, paired
from flawtrace.data.places import Named, Places, below, beside, by_image, images_in, places
from flawtrace.data.samples import Category, Sample, kept_back, natural
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.wording import counted
from flawtrace.pictures.decoding import decode
from flawtrace.pictures.errors import ImageError
from flawtrace.pictures.images import image_size
from flawtrace.pictures.region import NAMES as REGIONS

WIDE = 0.5
"""Share of an image from which on its mask may be inverted."""


@dataclass(frozen=True)
class Survey:
    """What the names of the files tell, and masks where they alone tell what is normal."""

    category: Category
    problems: tuple[Problem, ...]
    ignored: tuple[Path, ...]
    """Files that are no image of the layout, and broken links."""
    places: Places


@dataclass(frozen=True)
class Reading:
    """What of a folder can be worked with, and what cannot."""

    category: Category
    left_out: tuple[Path, ...]
    """Files that cannot be read or used."""
    unused: tuple[Path, ...]
    """Files that are no image of the layout, and broken links; hidden ones left out."""
    wide: tuple[Path, ...] = ()
    """Masks that cover most of their images."""


def read_category(root: Path, named: Named = Named()) -> Category:  # noqa: B008 (it is frozen)
    """The samples of a folder in one of the layouts; folders can be `named` instead of being found.

    Reads the header of each image and each mask; `inspect` also decodes the images.

    Raises:
        FlawtraceError: the first problem by name; its message says how many more there are.
    """
    found = survey(root, named)
    if problems := [*found.problems, *_checked(found.category, thorough=False)[0]]:
        raise _first(problems, root)
    return found.category


def read_folder(
    root: Path,
    named: Named = Named(),  # noqa: B008
    *,
    skip_bad: bool = False,
    for_testing: bool = False,
) -> Reading:
    """The same, and what is not used; with `skip_bad` files that cannot be read or used are left out.

    To tell these, it decodes every image. What is only `for_testing` need not have normal images.

    Raises:
        FlawtraceError: as `read_category`; with `skip_bad`, what concerns the folder as a whole.
    """
    found = survey(root, named)
    of_samples, wide = _checked(found.category, thorough=skip_bad)
    problems = [*found.problems, *of_samples]
    if for_testing:
        problems = [problem for problem in problems if not isinstance(problem.error, NoNormalImagesError)]
    bad = {problem.file for problem in problems if problem.file} if skip_bad else set()
    category = usable(found.category, bad)
    if bad and not category.normal and not for_testing:
        problems.insert(0, Problem(None, NoNormalImagesError(found.places.normal)))
    if serious := [problem for problem in problems if problem.file not in bad]:
        error = _first(serious, root)
        raise with_hint(error) if all(problem.file for problem in serious) else error
    unused = (path for path in found.ignored if path not in bad)
    shown = (path for path in unused if not any(part[0] == "." for part in below(root, path).parts))
    return Reading(category, tuple(sorted(bad)), tuple(shown), wide)


def with_hint(error: FlawtraceError) -> FlawtraceError:
    """The same error, with the flag that leaves out the file it is about."""
    error.args = (f"{error}\n{SKIP_BAD}",)
    return error


def usable(category: Category, bad: Set[Path]) -> Category:
    """Without files that are `bad`, and without images whose mask one cannot be sure of."""
    if not bad:
        return category
    unsure = {sample.image for sample in category.anomalous + category.test_anomalous if not sample.mask}
    return category.without(bad | unsure)


def survey(root: Path, named: Named = Named()) -> Survey:  # noqa: B008 (it is frozen)
    """Sort the files of `root` into samples and list what does not fit.

    Raises:
        MissingFolderError: there is no such folder.
        UnclearFoldersError, UnknownLayoutError: nothing tells which images are normal, or which are not.
    """
    where = places(root, named)
    found = in_pairs(root, where.pairs) if where.pairs else _by_folder(root, where)
    problems = found.problems
    if not found.category.normal:
        problems = (Problem(None, NoNormalImagesError(where.normal)), *problems)
    return Survey(found.category, problems, _ignored(found.category, found.empty), where)


def _by_folder(root: Path, where: Places) -> Sorted:
    normal, test_normal, misplaced = _normal_images(where)
    pairings = [paired(place) for place in where.types]
    category = Category(
        root,
        where.layout,
        _normal(normal, where.ignored_normal),
        _normal(test_normal, where.ignored_normal),
        tuple(sample for pairing in pairings for sample in pairing.samples),
        tuple(sample for pairing in pairings for sample in pairing.unmasked),
    )
    problems = [Problem(None, MisplacedMasksError(misplaced))] if misplaced else []
    problems += [problem for pairing in pairings for problem in pairing.problems]
    return Sorted(category, tuple(problems), ())


def _checked(category: Category, thorough: bool) -> tuple[list[Problem], tuple[Path, ...]]:
    """What headers and masks tell, or all pixels, if it is to be `thorough`: problems, and wide masks."""
    problems: list[Problem] = []
    shares: dict[Path, float] = {}
    for sample in (*category.samples, *(category.unmasked if thorough else ())):
        try:
            if thorough:
                decode(sample.image)
            error, share = mask_facts(sample, image_size(sample.image))
        except ImageError as found:
            error, share = found, 0.0
        if error:
            problems.append(Problem(sample.image, error))
        elif sample.mask:
            shares[sample.mask] = share
    if inverted := inverted_masks(shares):
        problems.append(Problem(None, inverted))
    return problems, tuple(mask for mask, share in shares.items() if share > WIDE)


def inverted_masks(shares: Mapping[Path, float]) -> InvertedMasksError | None:
    """What is wrong where all masks, of which there are several, cover most of their images."""
    wide = [mask for mask, share in shares.items() if share > WIDE]
    return InvertedMasksError(wide) if len(wide) == len(shares) > 1 else None


def mask_facts(sample: Sample, size: tuple[int, int]) -> tuple[FlawtraceError | None, float]:
    """What is wrong with the masks of an image of `size` (height, width), and the share that is defective."""
    try:
        if sample.ignored and (found := image_size(sample.ignored)) != size:
            return MaskSizeError(sample.ignored, found, sample.image, size), 0.0
        if sample.mask is None:
            return None, 0.0
        mask = mask_of(sample)
    except FlawtraceError as error:
        return error, 0.0
    found = (mask.shape[0], mask.shape[1])
    if found != size:
        return MaskSizeError(sample.mask, found, sample.image, size), 0.0
    if not mask.any():
        return EmptyMaskError(sample.mask, sample.image), 0.0
    return None, float(mask.float().mean())


def _first(problems: Sequence[Problem], root: Path) -> FlawtraceError:
    error, more = problems[0].error, len(problems) - 1
    if more:
        error.args = (f"{error}\n{counted(more, 'more problem')}: `flawtrace inspect {root}` lists all.",)
    return error


def _normal(images: Iterable[Path], ignored: Path) -> tuple[Sample, ...]:
    """Normal images, with what nobody vouches for of them."""
    doubtful = by_image(ignored)
    return tuple(Sample(image, ignored=doubtful.get(image.stem)) for image in images)


def _normal_images(where: Places) -> tuple[list[Path], list[Path], list[Path]]:
    """For training and for testing, and masks that lie among them."""
    images, misplaced = beside(images_in(where.normal))
    if where.layout == "mvtec":
        return images, [image for folder in where.test_normal for image in images_in(folder)], misplaced
    kept = kept_back(images)
    return [path for path in images if path not in set(kept)], kept, misplaced


def _ignored(category: Category, empty: Iterable[Path]) -> tuple[Path, ...]:
    samples = (*category.samples, *category.unmasked)
    used = {category.root / name for name in REGIONS}.union(empty, *(sample.files for sample in samples))
    files = (path for path in category.root.rglob("*") if path not in used)
    left = (path for path in files if path.is_file() or (path.is_symlink() and not path.exists()))
    return tuple(sorted(left, key=lambda path: natural(str(path))))
