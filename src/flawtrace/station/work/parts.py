"""The labelled images of a workspace as a folder that `train` and `refit` read."""

import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from flawtrace.station.store.shelf import DEFECT
from flawtrace.station.store.tables import ImageRow
from flawtrace.station.store.workspace import Workspace


def lay_out(
    workspace: Workspace, rows: Sequence[ImageRow], folder: Path, types: Collection[str] | None = None
) -> None:
    """Put images and masks where the plain layout has them; defects of other `types` are left out.

    They are links where the file system has them, and copies elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row.kind == "normal":
            _put(workspace.image_file(row), folder / "normal" / f"{row.hash}{row.suffix}")
            continue
        kind = row.defect_type or DEFECT
        if types is not None and kind not in types:
            continue
        place = folder_name(kind)
        _put(workspace.image_file(row), folder / "defects" / place / f"{row.hash}{row.suffix}")
        if row.mask is not None:
            _put(workspace.mask_file(row.mask), folder / "masks" / place / f"{row.hash}.png")


def folder_name(defect_type: str) -> str:
    """What people call a defect type, as a name that any file system takes.

    >>> folder_name("Kratzer / tief"), folder_name("..")
    ('Kratzer_tief', 'defect')
    """
    return re.sub(r"[^\w-]+", "_", defect_type).strip("_")[:60] or DEFECT


def _put(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        return
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)
