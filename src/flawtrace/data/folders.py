"""Folders to samples: which images are normal, which show what defect, and where its mask is."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from flawtrace.data.errors import (
    SKIP_BAD,
    EmptyMaskError,
    MaskSizeError,
    MisplacedMasksError,
    NoNormalImagesError,
    UnlikeMasksError,
)
from flawtrace.data.masks import mask_of
from flawtrace.data.paired import Sorted, in_pairs
from flawtrace.data.pairing import Problem, paired
from flawtrace.data.places import Named, Places, beside, images_in, places
from flawtrace.data.samples import Category, Sample, kept_back, natural
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.wording import counted
from flawtrace.pictures.decoding import decode
from flawtrace.pictures.errors import ImageError
from flawtrace.pictures.images import image_size
from flawtrace.pictures.region import NAMES as REGIONS


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
    """Files that are no image of the layout, and broken links."""


def read_category(root: Path, named: Named = Named()) -> Category:  # noqa: B008 (it is frozen)
    """The samples of a folder in one of the layouts; folders can be `named` instead of being found.

    Reads the header of each image and each mask; `inspect` also decodes the images.

    Raises:
        FlawtraceError: the first problem by name; its message says how many more there are.
    """
    found = survey(root, named)
    if problems := [*found.problems, *_sample_problems(found.category, thorough=False)]:
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
    problems = [*found.problems, *_sample_problems(found.category, thorough=skip_bad)]
    if for_testing:
        problems = [problem for problem in problems if not isinstance(problem.error, NoNormalImagesError)]
    bad = {problem.file for problem in problems if problem.file} if skip_bad else set()
    category = usable(found.category, bad)
    if bad and not category.normal and not for_testing:
        problems.insert(0, Problem(None, NoNormalImagesError(found.places.normal)))
    if serious := [problem for problem in problems if problem.file not in bad]:
        error = _first(serious, root)
        raise with_hint(error) if all(problem.file for problem in serious) else error
    return Reading(category, tuple(sorted(bad)), found.ignored)


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
        _normal(normal),
        _normal(test_normal),
        tuple(sample for pairing in pairings for sample in pairing.samples),
        tuple(sample for pairing in pairings for sample in pairing.unmasked),
    )
    problems = [Problem(None, MisplacedMasksError(misplaced))] if misplaced else []
    problems += [problem for pairing in pairings for problem in pairing.problems]
    return Sorted(category, tuple(problems), ())


def _sample_problems(category: Category, thorough: bool) -> Iterator[Problem]:
    """Of headers and masks; of all pixels, if it is to be `thorough`."""
    for sample in (*category.samples, *(category.unmasked if thorough else ())):
        try:
            if thorough:
                decode(sample.image)
            error = sample_problem(sample)
        except ImageError as found:
            error = found
        if error:
            yield Problem(sample.image, error)


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


def _first(problems: Sequence[Problem], root: Path) -> FlawtraceError:
    error, more = problems[0].error, len(problems) - 1
    if more:
        error.args = (f"{error}\n{counted(more, 'more problem')}: `flawtrace inspect {root}` lists all.",)
    return error


def _normal(images: Iterable[Path]) -> tuple[Sample, ...]:
    return tuple(Sample(image) for image in images)


def _normal_images(where: Places) -> tuple[list[Path], list[Path], list[Path]]:
    """For training and for testing, and masks that lie among them."""
    images, misplaced = beside([path for path in images_in(where.normal) if path.name not in REGIONS])
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
