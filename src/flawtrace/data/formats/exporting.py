"""From a product's folder to labels of another program."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flawtrace.data.folders import read_category
from flawtrace.data.formats.annotated import Annotated, Defect, Plane
from flawtrace.data.formats.errors import NestedFolderError, UnknownFormatError
from flawtrace.data.formats.filing import told
from flawtrace.data.formats.pictures import distinct
from flawtrace.data.formats.placing import place
from flawtrace.data.formats.reading import TURNED
from flawtrace.data.formats.recognition import WRITERS
from flawtrace.data.masks import mask_of
from flawtrace.data.outputs import refuse_foreign
from flawtrace.data.places import Named
from flawtrace.data.samples import Category, Sample, natural
from flawtrace.pictures.decoding import is_turned
from flawtrace.pictures.images import image_size
from flawtrace.pictures.mask_files import read_mask


@dataclass(frozen=True)
class Exported:
    """What came out of an export."""

    format: str
    out: Path
    images: int
    notes: tuple[str, ...]
    """What a person should know."""

    def to_json(self) -> dict[str, Any]:
        """Plain values only."""
        return {**asdict(self), "out": str(self.out)}


def export_folder(root: Path, out: Path, form: str, named: Named) -> Exported:
    """Write the labels of a product's folder, and copies of its images, to the folder `out`.

    Raises:
        UnknownFormatError: there is no such format.
        OccupiedError: a file is there with other content; nothing is written then.
    """
    if form not in WRITERS:
        raise UnknownFormatError(root, f"no format that is written is called {form}", WRITERS)
    if out.resolve().is_relative_to(root.resolve()):
        raise NestedFolderError(out, root)
    category, writer = read_category(root, named), WRITERS[form]
    names = _names(category)
    contents: dict[str, bytes | Path] = {writer.IMAGES + name: sample.image for sample, name in names.items()}
    contents |= dict(writer.files(_types(category), _annotated(names.items())))
    refuse_foreign(out, own={Path(name).parts[0] for name in contents})
    place(out, contents)
    return Exported(form, out, len(names), tuple(_notes(category)))


def _types(category: Category) -> list[str]:
    return sorted({str(sample.defect_type) for sample in category.samples if sample.anomalous}, key=natural)


def _names(category: Category) -> dict[Sample, str]:
    """What each image is called, where all lie in one folder."""
    stems = Counter(sample.image.stem.lower() for sample in category.samples)

    def name(image: Path) -> str:
        below = image.relative_to(category.root) if image.is_relative_to(category.root) else Path(image.name)
        return image.name if stems[image.stem.lower()] == 1 else distinct(below)

    return {sample: name(sample.image) for sample in category.samples}


def _annotated(named: Iterable[tuple[Sample, str]]) -> Iterator[Annotated]:
    """One at a time, since masks of all images together can fill the memory."""
    for sample, name in named:
        defects = (Defect(str(sample.defect_type), mask_of(sample).numpy()),) if sample.anomalous else ()
        yield Annotated(sample.image, name, image_size(sample.image), defects, _ignored(sample))


def _ignored(sample: Sample) -> Plane | None:
    if sample.ignored is None:
        return None
    found: Plane = read_mask(sample.ignored).numpy()
    return found if found.any() else None


def _notes(category: Category) -> Iterator[str]:
    if category.unmasked:
        yield told("a defect without a mask, left out", [sample.image for sample in category.unmasked])
    turned = [sample.image for sample in category.samples if is_turned(sample.image)]
    if turned:
        yield told(TURNED.replace("are taken as drawn", "are written as drawn"), turned)
