"""Folders of images as the verbs read them: bad files are left out where that was asked for, and told."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flawtrace.data import LeftOutWarning, Named, Reading, WideMasksWarning, read_folder, with_hint
from flawtrace.pictures.errors import ImageError


def read(folder: Path | str, named: Named, skip_bad: bool, *, for_testing: bool = False) -> Reading:
    """What of a folder can be worked with.

    Warns:
        LeftOutWarning: with `skip_bad`, files cannot be read or used and were left out.
        WideMasksWarning: some masks cover most of their images.
    """
    found = read_folder(Path(folder), named, skip_bad=skip_bad, for_testing=for_testing)
    if found.left_out:
        warnings.warn(LeftOutWarning(Path(folder), list(found.left_out)), stacklevel=3)
    if found.wide:
        warnings.warn(WideMasksWarning(found.wide), stacklevel=3)
    return found


@contextmanager
def hinting(skip_bad: bool) -> Iterator[None]:
    """Inside, an image that cannot be read although its header can names the flag that leaves it out."""
    try:
        yield
    except ImageError as error:
        if not skip_bad:
            with_hint(error)
        raise
