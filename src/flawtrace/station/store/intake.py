"""Whole folders and archives of images, with the labels that their folders and masks tell."""

import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flawtrace.data import Sample, files_below, holds_product, is_image, mask_of, read_folder, visible
from flawtrace.ground.errors import FlawtraceError
from flawtrace.pictures.images import mask_file_content
from flawtrace.pictures.region import region_file
from flawtrace.station.errors import NotAnArchiveError, TooMuchError
from flawtrace.station.store.shelf import add_image, image_row, label
from flawtrace.station.store.strokes import save_mask, tag
from flawtrace.station.store.workspace import Workspace

MOST_FILES = 20_000
MOST_BYTES = 20 * 2**30
"""Of an archive once it is unpacked."""
MOST_TIMES = 200
"""Times that an archive may be larger unpacked: images hardly are."""
DEEPEST = 6
LONGEST = 200
"""Bytes of a name."""
NO_REGION = "Detectors that are trained here look at whole images. For a region of interest: flawtrace train."
NOT_LABELLED = "Some of its pixels are to be ignored, which cannot be said here: it came without its label."
FORBIDDEN = frozenset('<>:"|?*')


@dataclass(frozen=True)
class Taken:
    """What became of one file."""

    name: str
    state: Literal["added", "known", "refused"]
    message: str = ""
    hash: str | None = None


def take_file(workspace: Workspace, content: bytes, name: str) -> Taken:
    """Add one image; what is wrong with it is told, not raised."""
    try:
        row, new = add_image(workspace, content, name)
    except FlawtraceError as error:
        return Taken(name, "refused", told(error, workspace))
    return Taken(name, "added" if new else "known", hash=row.hash)


def take_folder(workspace: Workspace, folder: Path) -> Iterator[Taken]:
    """Add all images in a folder. Where it holds a product in a layout that `train` reads, images are
    labelled as there, unless somebody has labelled them here.
    """
    folder = _product_in(folder)
    if not holds_product(folder):
        yield from _unlabelled(workspace, folder)
        return
    try:
        reading = read_folder(folder, skip_bad=True)
    except FlawtraceError as error:
        yield Taken(folder.name, "refused", told(error, folder))
        yield from _unlabelled(workspace, folder)
        return
    category = reading.category
    if region := region_file(folder):
        yield Taken(region.name, "refused", NO_REGION)
    for sample in (*category.samples, *category.unmasked):
        yield _labelled(workspace, sample, folder)
    for file in reading.left_out:
        yield Taken(file.relative_to(folder).as_posix(), "refused", "It, or its mask, cannot be used.")


def unpack(archive: Path, folder: Path) -> None:
    """The files of a zip archive, in `folder`, under names that cannot lead out of it.

    Raises:
        NotAnArchiveError: it is damaged, or encrypted.
        TooMuchError: it holds more than anyone's images would.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [one for one in opened.infolist() if _wanted(one)]
            size = sum(one.file_size for one in members)
            if len(members) > MOST_FILES:
                raise TooMuchError(f"The archive with {len(members)} files", f"{MOST_FILES} files")
            if size > MOST_BYTES or size > MOST_TIMES * max(1, archive.stat().st_size):
                raise TooMuchError("The archive, unpacked,", f"{MOST_TIMES} times its packed size")
            for member in members:
                place = folder / safe_path(member.filename)
                place.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as packed, place.open("wb") as file:
                    _copied(packed.read, file.write, member.file_size)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise NotAnArchiveError(str(error)) from error


def safe_path(name: str) -> Path:
    """What a client calls a file, as a path that stays inside and that any file system takes.

    >>> safe_path("../../etc/passwd").as_posix(), safe_path("C:\\\\parts\\\\gut #1 🙂\\\\1.png").as_posix()
    ('etc/passwd', 'C/parts/gut #1 🙂/1.png')
    """
    parts = (_plain(part) for part in re.split(r"[/\\]", name))
    kept = [part for part in parts if part][-DEEPEST:]
    return Path(*kept) if kept else Path("unnamed")


def _plain(part: str) -> str:
    """Without control characters, and those that mean something to a file system; its end, if it is long."""
    shown = "".join(sign for sign in part if sign.isprintable() and sign not in FORBIDDEN)
    return shown.encode()[-LONGEST:].decode(errors="ignore").strip(". ")


def told(error: FlawtraceError, root: Workspace | Path) -> str:
    """An error in words, without the folders of this machine."""
    folder = root.root if isinstance(root, Workspace) else root
    return re.sub(rf"{re.escape(str(folder))}/(?:[^/\s]+/)*([^/\s]+)", r"\1", str(error)).replace(
        f"{folder}/", ""
    )


def _product_in(folder: Path) -> Path:
    """The folder itself, or the only one in it, as archives have it, whatever else lies beside that."""
    inside = visible(folder)
    folders = [path for path in inside if path.is_dir()]
    if holds_product(folder) or len(folders) != 1 or any(is_image(path) for path in inside):
        return folder
    return _product_in(folders[0])


def _unlabelled(workspace: Workspace, folder: Path) -> Iterator[Taken]:
    return (_taken(workspace, file, folder) for file in files_below(folder) if is_image(file))


def _taken(workspace: Workspace, file: Path, folder: Path) -> Taken:
    return take_file(workspace, file.read_bytes(), file.relative_to(folder).as_posix())


def _labelled(workspace: Workspace, sample: Sample, folder: Path) -> Taken:
    taken = _taken(workspace, sample.image, folder)
    if taken.hash is None:
        return taken
    if sample.ignored is not None:
        return replace(taken, message=NOT_LABELLED)
    with workspace.database.writing() as session:
        row = image_row(session, taken.hash)
        if row.kind != "unlabelled":
            return taken
        label(session, row.hash, "defect" if sample.anomalous else "normal", sample.defect_type)
    if sample.mask is not None:
        content = mask_file_content(mask_of(sample))
        save_mask(workspace, taken.hash, content, tag(row), sample.defect_type)
    return taken


def _wanted(member: zipfile.ZipInfo) -> bool:
    """Whether it is a file, no link, and nothing that macOS puts into every archive beside the files."""
    linked = stat.S_ISLNK(member.external_attr >> 16)
    return not (member.is_dir() or linked or member.filename.startswith("__MACOSX/"))


def _copied(read: Callable[[int], bytes], write: Callable[[bytes], object], announced: int) -> None:
    """Copy what an archive holds, and no more than it says that it holds."""
    left = announced
    while chunk := read(2**20):
        left -= len(chunk)
        if left < 0:
            raise zipfile.BadZipFile("a file is larger than the archive says")
        write(chunk)
