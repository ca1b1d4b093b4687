"""The command that says what to label next."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import flawtrace
from flawtrace.cli.checks import check_run
from flawtrace.cli.console import print_json, print_plain
from flawtrace.cli.errors import MissingImagesError
from flawtrace.cli.flags import Count, Device, Json, Recursive
from flawtrace.cli.progress import counting
from flawtrace.cli.stopping import NOTHING_KEPT, stoppable


def suggest(
    run: Path,
    /,
    *images: Path,
    count: Annotated[Count, Parameter(name=["--count", "-n"])] = 10,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    recursive: Recursive = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Say which images to label next: those that the detector doubts, and that differ from each other.

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
    with stoppable(lambda: NOTHING_KEPT), counting("looking at images") as progress:
        proposals = flawtrace.suggest(
            run, images, count, out=out, recursive=recursive, device=device, progress=progress
        )
    if json:
        print_json([proposal.to_json() for proposal in proposals])
        return
    for number, proposal in enumerate(proposals, start=1):
        print_plain(f"{number:>3}  {proposal.image}\n     {proposal.reason}")
    if not proposals:
        print_plain("Nothing to suggest: the detector was trained on all of these images.")
    if out:
        print_plain(f"Page: {out}")
