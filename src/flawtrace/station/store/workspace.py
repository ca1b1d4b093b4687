"""A workspace: one folder with everything that a station keeps beside its database, by content."""

import hashlib
from contextlib import ExitStack
from pathlib import Path

from flawtrace.ground.errors import FolderInUseError
from flawtrace.ground.files import LOCK_NAME, locked
from flawtrace.station.errors import ForeignWorkspaceError, OpenElsewhereError
from flawtrace.station.store.database import Database, file_url
from flawtrace.station.store.tables import ImageRow

DATABASE_NAME = "station.db"
MARK = "workspace.txt"
"""Says that a folder is a workspace, whatever database it uses."""
MEANING = (
    "A workspace of `flawtrace serve`. Images, masks and runs lie in folders beside this file; what they are "
    "called is in the database. To back it up, stop the station and copy this folder and the database.\n"
)


class Workspace:
    """The folder of a station, which no other station uses meanwhile, and its database."""

    def __init__(self, root: Path, url: str | None = None) -> None:
        """Open a workspace, or make one of a folder that is new or empty.

        Raises:
            ForeignWorkspaceError: the folder holds something else.
            OpenElsewhereError: another station is at work there.
            DatabaseError: the database cannot be used.
        """
        self.root = root.resolve()
        refuse_foreign(self.root)
        self._open = ExitStack()
        try:
            self._open.enter_context(locked(self.root))
        except FolderInUseError as error:
            raise OpenElsewhereError(self.root) from error
        with self._open:
            (self.root / MARK).write_text(MEANING)
            self.url = url or file_url(self.root / DATABASE_NAME)
            self.database = Database(self.url)
            self._open.callback(self.database.close)
            self._open = self._open.pop_all()

    def close(self) -> None:
        self._open.close()

    def image_file(self, row: ImageRow) -> Path:
        return self.root / "images" / row.hash[:2] / f"{row.hash}{row.suffix}"

    def mask_file(self, mask: str) -> Path:
        return self.root / "masks" / mask[:2] / f"{mask}.png"

    def preview_file(self, image: str, side: int) -> Path:
        """Of a picture of an image that any browser shows, at most `side` pixels wide and high."""
        return self.root / "previews" / str(side) / f"{image}.jpg"

    def found_file(self, detector: int, image: str) -> Path:
        """Of what a version of the detector found in an image."""
        return self.root / "found" / str(detector) / f"{image}.npz"

    def run_folder(self, job: int) -> Path:
        return self.root / "runs" / f"{job:04}"

    def progress_file(self, job: int) -> Path:
        return self.root / "jobs" / f"{job:04}.jsonl"


def is_workspace(root: Path) -> bool:
    return (root / MARK).exists()


def refuse_foreign(root: Path) -> None:
    """Before anything is written.

    Raises:
        ForeignWorkspaceError: the folder holds something, and is no workspace.
    """
    known = is_workspace(root) or not root.exists()
    if not known and (not root.is_dir() or any(path.name != LOCK_NAME for path in root.iterdir())):
        raise ForeignWorkspaceError(root)


def content_hash(content: bytes) -> str:
    """SHA-256, as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()
