"""What Ctrl-C ends: what is kept of it, and how to go on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flawtrace.ground.run_files import CHECKPOINT_NAME, SUMMARY_NAME

START_OVER = "Run the same command again to start over."
NOTHING_KEPT = f"Nothing was written. {START_OVER}"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with what a command leaves behind."""


@contextmanager
def stoppable(kept: Callable[[], str]) -> Iterator[None]:
    """Inside, Ctrl-C becomes `Stopped`, with what is `kept` by then.

    Raises:
        Stopped: the user stopped the command.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Stopped(kept()) from stop


def kept_of_training(run: Path, flag: str = " with --resume") -> str:
    """What a stopped training leaves in its folder, and how the same command, with a flag, goes on."""
    again = f"Run the same command{flag}"
    if (run / SUMMARY_NAME).is_file():
        return f"The detector in {run} is finished. {again} to complete its report."
    checkpoint = run / CHECKPOINT_NAME
    if not checkpoint.is_file():
        return f"No checkpoint had been written yet, so nothing is kept. {START_OVER}"
    written = time.strftime("%H:%M:%S", time.localtime(checkpoint.stat().st_mtime))
    return f"The training is kept in {run} as it was at {written}. {again} to continue from there."


def kept_of_results(folder: Path | None, what: str) -> Callable[[], str]:
    """The same of a command that keeps each of its results, such as `what`, in `folder` at once."""
    if folder is None:
        return lambda: NOTHING_KEPT
    text = f"{what} finished so far are kept in {folder}. Run the same command again to continue."
    return lambda: text
