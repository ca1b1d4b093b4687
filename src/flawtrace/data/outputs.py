"""What a command may write into: a folder that is new, empty or its own, and a file that is no folder."""

import errno
from collections.abc import Collection
from pathlib import Path

from flawtrace.data.errors import ForeignFolderError
from flawtrace.data.places import is_image, visible
from flawtrace.ground.errors import OutputError
from flawtrace.ground.run_files import CHECKPOINT_NAME, DETECTOR_NAME, SETTINGS_NAME, SUMMARY_NAME

OF_A_RUN = frozenset({CHECKPOINT_NAME, DETECTOR_NAME, SETTINGS_NAME, SUMMARY_NAME})


def refuse_foreign(folder: Path, own: Collection[str] = ()) -> None:
    """Before anything is written: what somebody else put into a folder must not be mixed up with results.

    Names in `own` are the command's. Other files, such as a log or notes, do no harm.

    Raises:
        OutputError: it is a file.
        ForeignFolderError: it holds images, folders or a run.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(folder, NotADirectoryError(errno.ENOTDIR, "it is a file"))
    others = [path for path in visible(folder) if path.name not in own]
    found = [path for path in others if path.is_dir() or is_image(path) or path.name in OF_A_RUN]
    if found:
        raise ForeignFolderError(folder, [f"{path.name}/" if path.is_dir() else path.name for path in found])


def refuse_folder(file: Path) -> None:
    """Before anything is computed that is to be written to a file.

    Raises:
        OutputError: it is a folder.
    """
    if file.is_dir():
        raise OutputError(file, IsADirectoryError(errno.EISDIR, "it is a folder"))
