"""From labels of another program to a folder that training reads."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flawtrace.data.formats.annotated import Entry
from flawtrace.data.formats.errors import (
    LineWidthError,
    NameTakenError,
    NestedFolderError,
    NoLabelsError,
)
from flawtrace.data.formats.filing import Filed, filed, grouped, told
from flawtrace.data.formats.masks import in_folder_of
from flawtrace.data.formats.pictures import Pictures
from flawtrace.data.formats.placing import Contents, place
from flawtrace.data.formats.reading import Said, by_image, meant, says_something
from flawtrace.data.formats.recognition import READERS, label_pictures, settled
from flawtrace.data.outputs import refuse_foreign
from flawtrace.data.places import NORMAL, images_in, visible
from flawtrace.ground.errors import ArgumentError, FlawtraceError
from flawtrace.pictures.region import NAMES as REGIONS

LINE_WIDTH = 3.0
"""Pixels; labelling programs do not say how wide a line is."""
WIDEST = 1000.0
PLAIN = frozenset({"normal", "defects", "masks", "ignored", *REGIONS})
"""What a folder in the plain layout holds, to which more can be added."""

Counting = Callable[[int, int], None]


@dataclass(frozen=True)
class Manner:
    """How to take what labels leave open."""

    unlabelled_are_normal: bool = False
    """Take images that no label mentions as images of good parts."""
    skip_bad: bool = False
    """Leave out images whose labels cannot be used, instead of stopping."""
    line_width: float = LINE_WIDTH
    """Of lines and points, in pixels."""


@dataclass(frozen=True)
class Imported:
    """What came out of an import."""

    format: str
    why: str
    """Why it was taken for this format."""
    out: Path
    normal: int
    defects: dict[str, int]
    """Images by type, those without a mask included."""
    unmasked: int
    """Images of defects without a mask."""
    notes: tuple[str, ...]
    """What a person should know."""
    skipped: tuple[str, ...]
    """What was wrong with images that were left out."""
    kinds_of_skipped: tuple[str, ...]
    """Alike for problems that are alike."""

    def to_json(self) -> dict[str, Any]:
        """Plain values only."""
        return {**asdict(self), "out": str(self.out)}


def import_plain(
    source: Path,
    out: Path,
    *,
    images: Path | None,
    form: str | None,
    manner: Manner,
    progress: Counting | None,
) -> Imported:
    """Read the labels in `source`, find their images there or in `images`, write the plain layout to `out`.

    Raises:
        LabelError: what is wrong, with what would settle it; nothing is written then.
    """
    _refuse(source, out, images, manner)
    guess = settled(source, form)
    folder = images or (source if source.is_dir() else source.parent)
    pictures = Pictures(folder, without=label_pictures(guess.format, source))
    said = by_image(READERS[guess.format].entries(source), pictures)
    if not said.of and not said.problems:
        raise NoLabelsError(source, guess.format)
    labelled = {image: entries for image, entries in said.of.items() if says_something(entries)}
    sound = {image: entries for image, entries in labelled.items() if image not in said.bad}
    results = _filed(sound, pictures, manner.line_width, said, progress)
    if said.problems and not manner.skip_bad:
        raise _first(said.problems)
    rest, notes = _unlabelled(labelled, pictures, said, manner)
    contents = {name: content for one in results for name, content in one.contents.items()}
    contents |= {f"normal/{pictures.written_as(image)}": image for image in rest}
    _refuse_taken(out, contents)
    place(out, contents)
    types = Counter(one.defect_type for one in results if one.defect_type is not None)
    return Imported(
        guess.format,
        guess.why,
        out,
        normal=len(results) - types.total() + len(rest),
        defects=dict(sorted(types.items())),
        unmasked=sum(one.defect_type is not None and not one.masked for one in results),
        notes=(*grouped(results), *notes),
        skipped=tuple(map(str, said.problems)),
        kinds_of_skipped=tuple(type(problem).__name__ for problem in said.problems),
    )


def _refuse(source: Path, out: Path, images: Path | None, manner: Manner) -> None:
    """What cannot go well, before anything is read."""
    if not 1 <= manner.line_width <= WIDEST:
        raise LineWidthError(manner.line_width)
    if manner.skip_bad and manner.unlabelled_are_normal:
        reason = "an image whose labels cannot be used would count as a good part"
        raise ArgumentError("--skip-bad and --unlabelled-are-normal together", reason)
    for folder in (source, images):
        if folder is not None and folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
            raise NestedFolderError(out, folder)
    refuse_foreign(out, own=PLAIN)


def _filed(
    labelled: dict[Path, list[Entry]],
    pictures: Pictures,
    line_width: float,
    said: Said,
    progress: Counting | None,
) -> list[Filed]:
    """The images whose labels can be used; what is wrong with others joins what was `said`."""
    results = []
    for done, (image, entries) in enumerate(labelled.items(), start=1):
        try:
            results.append(filed(meant(image, entries, pictures, line_width)))
        except FlawtraceError as error:
            said.problems.append(error)
            said.bad.add(image)
        if progress:
            progress(done, len(labelled))
    return results


def _unlabelled(
    labelled: Collection[Path], pictures: Pictures, said: Said, manner: Manner
) -> tuple[list[Path], list[str]]:
    """Of images about which the labels say nothing, those that are normal; and notes about all of them.

    None whose labels cannot be used is among them, nor any where such labels may be of any image.
    """
    files = [file for file in pictures.files if file not in labelled and file not in said.bad]
    by_folder = [file for file in files if in_folder_of(file, pictures.folder, NORMAL)]
    others = [file for file in files if file not in set(by_folder)]
    notes = [told("left out, because its labels cannot be used", sorted(said.bad))] if said.bad else []
    if by_folder and said.unplaced:
        notes.append(told("without labels, left out, as those that cannot be used may be of it", by_folder))
        by_folder = []
    if by_folder:
        notes.append(told("without labels, normal by the name of its folder", by_folder))
    if others and manner.unlabelled_are_normal:
        notes.append(told("without labels, taken as normal", others))
    elif others:
        notes.append(
            told("without labels, left out (--unlabelled-are-normal takes it as a good part)", others)
        )
    return by_folder + (others if manner.unlabelled_are_normal else []), notes


def _refuse_taken(out: Path, contents: Contents) -> None:
    """An image that is there as normal must not come in as a defect as well, nor the other way round."""
    folders = [out / "normal", *(path for path in visible(out / "defects") if path.is_dir())]
    there = {path.name: path for folder in folders for path in images_in(folder)}
    for name in contents:
        known = there.get(Path(name).name)
        if name.startswith(("normal/", "defects/")) and known and known != out / name:
            raise NameTakenError(known, out / name)


def _first(problems: Sequence[FlawtraceError]) -> FlawtraceError:
    error, more = problems[0], len(problems) - 1
    others = f"{more} more of {'this kind' if more == 1 else 'such'}: " if more else ""
    error.args = (f"{error}\n{others}--skip-bad leaves such images out and lists them.",)
    return error
