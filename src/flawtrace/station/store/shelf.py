"""The images of a station: added by content, and labelled as normal or as showing a defect."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, aliased

from flawtrace.ground.files import write_bytes
from flawtrace.pictures.errors import ImageError
from flawtrace.pictures.images import read_image
from flawtrace.station.errors import NoImageError, NoneLabelledError
from flawtrace.station.store.tables import EntryRow, ImageRow, Kind, now
from flawtrace.station.store.workspace import Workspace, content_hash

Filter: TypeAlias = Literal[
    "all", "unlabelled", "normal", "defect", "unpainted", "unsure", "overruled", "aside"
]
FILTERS: tuple[Filter, ...] = get_args(Filter)
DEFECT = "defect"
"""The type of defects that nobody gave one."""
SUFFIXES = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"BM": ".bmp",
    b"RIFF": ".webp",
    b"II": ".tif",
    b"MM": ".tif",
}
"""By how files begin: whatever a client calls a file is never part of a path."""
LONGEST_NAME = 200


@dataclass(frozen=True)
class Card:
    """An image with the last line that the history has about it."""

    image: ImageRow
    entry: EntryRow | None


def add_image(workspace: Workspace, content: bytes, name: str) -> tuple[ImageRow, bool]:
    """Add a file, unless it is there already; returns its row, and whether it is new.

    Raises:
        ImageError: it is no whole picture of a kind and size that a detector takes.
    """
    image = content_hash(content)
    with workspace.database.reading() as session:
        if (known := session.get(ImageRow, image)) is not None:
            return known, False
    suffix = next((end for start, end in SUFFIXES.items() if content.startswith(start)), ".png")
    row = ImageRow(
        hash=image,
        name=name[-LONGEST_NAME:],
        suffix=suffix,
        width=0,
        height=0,
        kind="unlabelled",
        added=now(),
    )
    file = workspace.image_file(row)
    write_bytes(file, content)
    try:
        _, row.height, row.width = read_image(file).shape
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, ImageError):  # whoever sent it knows it by this name
            error.args = (str(error).replace(str(file), row.name or "the image"),)
        raise
    with workspace.database.writing() as session:
        if (known := session.get(ImageRow, image)) is not None:  # two clients sent it at once
            return known, False
        session.add(row)
    return row, True


def image_row(session: Session, image: str) -> ImageRow:
    """The row of an image.

    Raises:
        NoImageError: it was never added.
    """
    if (row := session.get(ImageRow, image)) is None:
        raise NoImageError(image)
    return row


def label(session: Session, image: str, kind: Kind, defect_type: str | None = None) -> ImageRow:
    """Say what an image shows, or set it aside, inside `Database.writing`. Its mask stays, whatever is said:
    it counts where the image is defective.
    """
    row = image_row(session, image)
    row.kind = kind
    row.defect_type = (defect_type or row.defect_type or DEFECT) if kind == "defect" else None
    return row


def cards(
    session: Session, wanted: Filter = "all", limit: int = 60, start: int = 0, *, find: str = ""
) -> list[Card]:
    """Images that a filter lets through and whose names contain `find`, in any case; the newest first."""
    entry = aliased(EntryRow)
    rows = session.execute(
        _with_last(select(ImageRow, entry), entry)
        .where(*_condition(wanted, entry), *_named(find))
        .order_by(ImageRow.added.desc(), ImageRow.hash)
        .limit(limit)
        .offset(start)
    )
    return [Card(image, last) for image, last in rows]


def hashes(session: Session, wanted: Filter = "all", *, find: str = "") -> list[str]:
    """All that `cards` would show, in the same order."""
    entry = aliased(EntryRow)
    query = _with_last(select(ImageRow.hash), entry).where(*_condition(wanted, entry), *_named(find))
    return list(session.scalars(query.order_by(ImageRow.added.desc(), ImageRow.hash)))


def counts(session: Session, *, find: str = "") -> dict[Filter, int]:
    """How many images each filter lets through."""
    entry = aliased(EntryRow)
    images = _with_last(select(func.count()).select_from(ImageRow), entry).where(*_named(find))
    return {
        wanted: session.execute(images.where(*_condition(wanted, entry))).scalar_one() for wanted in FILTERS
    }


def neighbours(session: Session, image: str, wanted: Filter) -> tuple[str | None, str | None]:
    """The images before and after one, in the order of `cards`."""
    here, entry = image_row(session, image), aliased(EntryRow)
    later = or_(ImageRow.added > here.added, (ImageRow.added == here.added) & (ImageRow.hash < here.hash))
    earlier = or_(ImageRow.added < here.added, (ImageRow.added == here.added) & (ImageRow.hash > here.hash))
    query = _with_last(select(ImageRow.hash), entry).where(*_condition(wanted, entry)).limit(1)
    before = session.scalars(query.where(later).order_by(ImageRow.added, ImageRow.hash.desc()))
    after = session.scalars(query.where(earlier).order_by(ImageRow.added.desc(), ImageRow.hash))
    return before.first(), after.first()


def labelled(session: Session) -> Sequence[ImageRow]:
    """All images of which somebody said what they show, in the order in which they came."""
    query = (
        select(ImageRow)
        .where(ImageRow.kind.in_(("normal", "defect")))
        .order_by(ImageRow.added, ImageRow.hash)
    )
    return session.scalars(query).all()


def chosen(session: Session, images: Collection[str]) -> list[ImageRow]:
    """Those of some images of which somebody said what they show, in the order in which they came.

    Raises:
        NoneLabelledError: nobody did of any.
    """
    wanted = set(images)
    rows = [row for row in labelled(session) if row.hash in wanted]
    if not rows:
        raise NoneLabelledError(len(wanted))
    return rows


def painted(session: Session, images: Collection[str]) -> int:
    """How many of some images are labelled as defective, with a mask."""
    query = select(func.count()).select_from(ImageRow).where(ImageRow.hash.in_(images))
    return session.execute(query.where(ImageRow.kind == "defect", ImageRow.mask.is_not(None))).scalar_one()


def types(session: Session) -> list[str]:
    """The defect types in use."""
    query = select(ImageRow.defect_type).where(ImageRow.kind == "defect").distinct()
    return sorted(str(name) for name in session.scalars(query) if name)


def _with_last(query: Any, entry: Any) -> Any:
    """Of a query of images, beside each the last line that the history has about it, as the alias `entry`."""
    last = select(EntryRow.image, func.max(EntryRow.id).label("id")).group_by(EntryRow.image).subquery()
    return query.outerjoin(last, last.c.image == ImageRow.hash).outerjoin(entry, entry.id == last.c.id)


def _named(find: str) -> list[ColumnElement[bool]]:
    """That a name contains these characters, whatever they are."""
    return [ImageRow.name.icontains(find, autoescape=True)] if find else []


def _condition(wanted: Filter, entry: Any) -> list[ColumnElement[bool]]:
    if wanted in get_args(Kind):
        return [ImageRow.kind == wanted]
    if wanted == "unpainted":
        return [ImageRow.kind == "defect", ImageRow.mask.is_(None)]
    among = [ImageRow.kind != "aside"]
    if wanted == "unsure":
        return [*among, entry.verdict == "UNSURE", entry.who == ""]
    return [*among, entry.who != ""] if wanted == "overruled" else among
