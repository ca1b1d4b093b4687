"""Masks that people paint: every one is kept, and nobody's strokes are replaced unseen."""

from torch import Tensor

from flawtrace.ground.files import write_bytes
from flawtrace.pictures.images import mask_file_content
from flawtrace.pictures.mask_files import read_mask
from flawtrace.station.errors import MaskShapeError, StaleMaskError
from flawtrace.station.store.shelf import image_row, label
from flawtrace.station.store.tables import ImageRow
from flawtrace.station.store.workspace import Workspace, content_hash

NO_MASK = "none"
"""The tag of an image without a mask."""


def tag(row: ImageRow) -> str:
    """What tells the mask of an image from earlier and later ones."""
    return row.mask or NO_MASK


def save_mask(
    workspace: Workspace, image: str, content: bytes, begun_with: str, defect_type: str | None = None
) -> str:
    """Store a mask (a PNG of the image's own size); returns its tag. An empty one takes the mask away.

    Raises:
        StaleMaskError: the image has another mask by now than the one that the painter began with.
        MaskShapeError: its size is not the image's.
        ImageError: it is no picture.
    """
    content = _canonical(workspace, image, content)
    with workspace.database.writing() as session:
        row = image_row(session, image)
        if tag(row) != begun_with:
            raise StaleMaskError
        row.mask = content_hash(content) if content else None
        if content:
            label(session, image, "defect", defect_type)
        return tag(row)


def _canonical(workspace: Workspace, image: str, content: bytes) -> bytes:
    """The file of a mask as we write it, stored; nothing for an empty mask."""
    with workspace.database.reading() as session:
        row = image_row(session, image)
    sent = workspace.root / "incoming" / f"{content_hash(content)}.png"
    write_bytes(sent, content)
    try:
        mask: Tensor = read_mask(sent)
    finally:
        sent.unlink(missing_ok=True)
    found = mask.shape[0], mask.shape[1]
    if found != (row.height, row.width):
        raise MaskShapeError(found, (row.height, row.width))
    if not mask.any():
        return b""
    written = mask_file_content(mask)
    write_bytes(workspace.mask_file(content_hash(written)), written)
    return written
