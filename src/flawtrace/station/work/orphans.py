"""Processes that end with the one that started them, however it ends."""

import os
from multiprocessing import parent_process
from threading import Thread

ORPHANED = 3
"""Their exit status then."""


def end_with_parent() -> None:
    """Let this process end when its parent does: whatever it was doing can be done again."""
    Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(ORPHANED)
