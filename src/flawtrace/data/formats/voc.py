"""Pictures of classes, as in Pascal VOC: one number for each pixel, 255 for pixels to ignore."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from flawtrace.data.formats.annotated import Annotated, Defect, LabelFormatError, Pictures
from flawtrace.data.places import image_stem, images_in
from flawtrace.pictures.decoding import decode, decode_layers

IGNORED = 255
FOLDERS = ("SegmentationClass", "SegmentationObject", "masks", "labels")
NAMES = ("labelmap.txt", "classes.txt")


def recognised(source: Path) -> bool:
    return source.is_dir() and (source / FOLDERS[0]).is_dir()


def read(source: Path, pictures: Pictures) -> Iterator[Annotated]:
    folder = next((source / name for name in FOLDERS if (source / name).is_dir()), source)
    names = _names(source)
    for path in images_in(folder):
        classes = _classes(path)
        image, _ = pictures.checked(_beside(path, pictures), (classes.shape[0], classes.shape[1]))
        kinds = [int(kind) for kind in np.unique(classes) if kind not in (0, IGNORED)]
        defects = tuple(Defect(names.get(kind, f"class_{kind}"), classes == kind) for kind in kinds)
        ignored = classes == IGNORED
        yield Annotated(image, defects, ignored if ignored.any() else None)


def write(annotated: Sequence[Annotated], out: Path) -> None:
    """`SegmentationClass/NAME.png`, and the names in `labelmap.txt`; where types overlap, the last counts."""
    types = sorted({defect.defect_type for one in annotated for defect in one.defects})
    if len(types) >= IGNORED:
        raise LabelFormatError(out, f"{len(types)} types are more than a picture of classes can hold")
    folder = out / FOLDERS[0]
    folder.mkdir(parents=True, exist_ok=True)
    (out / NAMES[0]).write_text("".join(f"{number} {name}\n" for number, name in enumerate(types, start=1)))
    for one in annotated:
        classes = np.zeros(one.size, np.uint8)
        for defect in one.defects:
            classes[defect.mask] = types.index(defect.defect_type) + 1
        if one.ignored is not None:
            classes[one.ignored] = IGNORED
        Image.fromarray(classes).save(folder / f"{one.image.stem}.png")


def _beside(path: Path, pictures: Pictures) -> str:
    """The name of the image that a picture of classes is of: any but its own file."""
    stem = image_stem(path)
    for file in pictures.files:
        if file.stem == stem and file.resolve() != path.resolve():
            return file.relative_to(pictures.folder).as_posix()
    return stem


def _classes(path: Path) -> np.ndarray:
    layers = decode_layers(path)
    values = layers.indices if layers.indices is not None else decode(path)
    if values.ndim == 3:
        raise LabelFormatError(path, "its pixels are colours without a palette, not classes")
    return values.astype(np.int64)


def _names(source: Path) -> dict[int, str]:
    """`1 scratch` or `scratch:…` in each line; without numbers, the first line is class 0."""
    for path in (source / name for name in NAMES):
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if line.strip() and line[0] != "#"]
            numbered = [line.split(maxsplit=1) for line in lines]
            if all(len(parts) == 2 and parts[0].isdecimal() for parts in numbered):
                return {int(number): name.strip() for number, name in numbered}
            return {number: line.split(":")[0].strip() for number, line in enumerate(lines)}
    return {}
