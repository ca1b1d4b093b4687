"""Where an annotated image and its masks go in the plain layout."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from flawtrace.data.formats.annotated import Annotated, Plane, union
from flawtrace.data.formats.placing import Contents

SEVERAL = "several types of defects: filed under that of the largest area, with all of them in its mask"


@dataclass(frozen=True)
class Filed:
    """One image and the files that are made of it."""

    image: Path
    defect_type: str | None
    """None says that it is normal."""
    masked: bool
    notes: tuple[str, ...]
    contents: Contents


def filed(one: Annotated) -> Filed:
    """An image without a defect is normal; one with several types goes to that of the largest area."""
    kind = _type_of(one)
    name, mask_name = one.name, Path(one.name).with_suffix(".png").name
    masks = [defect.mask for defect in one.defects if defect.mask is not None]
    contents: dict[str, bytes | Path] = {f"defects/{kind}/{name}" if kind else f"normal/{name}": one.image}
    if masks:
        contents[f"masks/{kind}/{mask_name}"] = _png(union(masks, one.size))
    if one.ignored is not None:
        contents[f"ignored/{kind or 'normal'}/{mask_name}"] = _png(one.ignored)
    notes = (*one.notes, SEVERAL) if len(one.defects) > 1 else one.notes
    return Filed(one.image, kind, bool(masks), notes, contents)


def grouped(images: Iterable[Filed]) -> tuple[str, ...]:
    """Each note once, with the number of images of which it is true, and the first of them."""
    found: dict[str, list[Path]] = {}
    for one in images:
        for note in one.notes:
            found.setdefault(note, []).append(one.image)
    return tuple(told(note, of) for note, of in found.items())


def told(note: str, images: list[Path]) -> str:
    """A note with the images of which it is true.

    >>> told("it is odd", [Path("a/1.png"), Path("a/2.png")])
    'it is odd: 2 images, such as a/1.png'
    """
    return (
        f"{note}: {images[0]}" if len(images) == 1 else f"{note}: {len(images)} images, such as {images[0]}"
    )


def _type_of(one: Annotated) -> str | None:
    areas = {d.defect_type: 0 if d.mask is None else int(d.mask.sum()) for d in one.defects}
    return max(areas, key=lambda kind: areas[kind]) if areas else None


def _png(mask: Plane) -> bytes:
    """Grey: 255 is marked, 0 is not."""
    buffer = io.BytesIO()
    Pillow.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()
