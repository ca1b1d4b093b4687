"""YOLO segmentation: a text file for each image, a line for each polygon, in shares of the image."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from flawtrace.data.formats.annotated import Annotated, Defect, LabelFormatError, NoPictureError, Pictures
from flawtrace.data.formats.outlines import box, filled, polygons_of

NAMES = "classes.txt"


def recognised(source: Path) -> bool:
    return source.is_dir() and any(_is_labels(path) for path in source.rglob("*.txt"))


def read(source: Path, pictures: Pictures) -> Iterator[Annotated]:
    names = _names(source)
    for path in sorted(source.rglob("*.txt")):
        if path.name == NAMES or not _is_labels(path, empty=True):
            continue
        try:
            image, size = pictures.checked(path.stem, None)
        except NoPictureError:
            if path.read_text().strip():
                raise
            continue
        try:
            defects = tuple(
                _defect(line, names, size) for line in path.read_text().splitlines() if line.strip()
            )
        except (ValueError, IndexError) as error:
            raise LabelFormatError(path, str(error)) from error
        yield Annotated(image, defects)


def write(annotated: Sequence[Annotated], out: Path) -> None:
    """Polygons; a hole is joined to the outline by a slit. `classes.txt` has the names."""
    types = sorted({defect.defect_type for one in annotated for defect in one.defects})
    (out / NAMES).write_text("".join(f"{name}\n" for name in types))
    for one in annotated:
        height, width = one.size
        lines = [
            " ".join(
                [
                    str(types.index(defect.defect_type)),
                    *(f"{v:.8f}" for v in (polygon / (width, height)).ravel()),
                ]
            )
            for defect in one.defects
            for polygon in polygons_of(defect.mask)
        ]
        (out / f"{one.image.stem}.txt").write_text("".join(f"{line}\n" for line in lines))


def _defect(line: str, names: Sequence[str], size: tuple[int, int]) -> Defect:
    number, *values = line.split()
    shares = np.array([float(value) for value in values])
    height, width = size
    kind = int(number)
    if names and kind >= len(names):
        raise ValueError(f"class {kind} is not among the {len(names)} names")
    name = names[kind] if names else f"class_{kind}"
    if len(shares) == 4:
        x, y, across, down = shares * (width, height, width, height)
        edges = x - across / 2, y - down / 2, x + across / 2, y + down / 2
        return Defect(name, box(*(float(edge) for edge in edges), size))
    return Defect(name, filled(shares.reshape(-1, 2) * (width, height), size))


def _names(source: Path) -> list[str]:
    """From classes.txt, or the list of names in data.yaml."""
    for path in sorted(source.rglob(NAMES)):
        return path.read_text().split("\n")[: path.read_text().count("\n") or None]
    for path in sorted([*source.rglob("data.yaml"), *source.rglob("dataset.yaml")]):
        return _yaml_names(path.read_text())
    return []


def _yaml_names(text: str) -> list[str]:
    """`names: [a, b]`, `names:` with `- a` or `0: a` below; nothing else of YAML is needed.

    >>> _yaml_names("nc: 2\\nnames:\\n  0: dent\\n  1: scratch\\n"), _yaml_names("names: ['a', b]")
    (['dent', 'scratch'], ['a', 'b'])
    """
    _, _, after = text.partition("names:")
    first, _, rest = after.partition("\n")
    if first.strip():
        return [part.strip(" '\"") for part in first.strip().strip("[]").split(",")]
    names = []
    for line in rest.splitlines():
        if not line.startswith((" ", "-")):
            break
        names.append(line.strip().lstrip("- ").partition(": ")[2].strip(" '\"") or line.strip(" -'\""))
    return names


def _is_labels(path: Path, empty: bool = False) -> bool:
    """Whether each line is a class number and pairs of shares."""
    lines = [line.split() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    if not lines:
        return empty
    return all(len(parts) >= 5 and parts[0].isdecimal() and _shares(parts[1:]) for parts in lines)


def _shares(values: Sequence[str]) -> bool:
    try:
        return len(values) % 2 == 0 and all(-0.1 <= float(value) <= 1.1 for value in values)
    except ValueError:
        return False
