"""The command that says what to label next."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import flawtrace
from flawtrace.cli.checks import check_run
from flawtrace.cli.console import print_failed, print_json, print_plain
from flawtrace.cli.errors import MissingImagesError
from flawtrace.cli.flags import Count, Device, Json, Recursive
from flawtrace.cli.progress import counting
from flawtrace.cli.stopping import NOTHING_KEPT, stoppable

if TYPE_CHECKING:
    from flawtrace.verbs import Proposal


def suggest(
    run: Path,
    /,
    *images: Path,
    count: Annotated[Count, Parameter(name=["--count", "-n"])] = 10,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    recursive: Recursive = False,
    device: Device = "cpu",
    json: Json = False,
) -> int:
    """Say which images to label next: those that the detector doubts, and that differ from each other.

    An image that cannot be read is reported, and the others are still looked at.

    **Examples**

        flawtrace suggest run/ today/
        flawtrace suggest run/ today/ -n 5 -o next.html

    Parameters
    ----------
    run
        A run, or the file of its detector.
    images
        Image files, or folders of images, that nobody has labelled.
    count
        How many to suggest at most.
    out
        A page to write, with a picture of each.
    recursive
        Look into sub-folders too.
    device
        Device to compute on.
    json
        Print one JSON document.
    """
    if not images:
        raise MissingImagesError("suggest")
    check_run(run)
    failed: list[Path] = []

    def failing(file: Path, error: Exception) -> None:
        failed.append(file)
        print_failed(file, error)

    with stoppable(lambda: NOTHING_KEPT), counting("looking at images") as progress:
        proposals = flawtrace.suggest(
            run,
            images,
            count,
            out=out,
            recursive=recursive,
            device=device,
            failing=failing,
            progress=progress,
        )
    if json:
        print_json([proposal.to_json() for proposal in proposals])
    else:
        _print(proposals, out)
    return 1 if failed else 0


def _print(proposals: "Sequence[Proposal]", out: Path | None) -> None:
    for number, proposal in enumerate(proposals, start=1):
        print_plain(f"{number:>3}  {proposal.image}\n     {proposal.reason}")
    if not proposals:
        print_plain("Nothing to suggest: no image can be read that the detector was not trained on.")
    if out:
        print_plain(f"Page: {out}")
