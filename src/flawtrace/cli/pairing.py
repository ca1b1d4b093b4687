"""The command that compares two detectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

import flawtrace
from flawtrace.cli.checks import check_folder, check_run
from flawtrace.cli.console import out_console, print_json, print_plain
from flawtrace.cli.flags import Device, Flag, Json, NamedFolder, named
from flawtrace.cli.progress import counting
from flawtrace.cli.stopping import NOTHING_KEPT, stoppable
from flawtrace.ground.wording import counted

if TYPE_CHECKING:
    from flawtrace.measures import Comparison

WORSE = 3
"""Exit code where the second detector is worse by more than chance explains."""


def compare(
    before: Path,
    after: Path,
    folder: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    normal: NamedFolder = None,
    defects: NamedFolder = None,
    masks: NamedFolder = None,
    skip_bad: Flag = False,
    device: Device = "cpu",
    json: Json = False,
) -> int:
    """Compare two detectors on the same images: paired differences, and every verdict that changed.

    Only images that neither detector was trained on are used. Exits with 3 if AFTER is worse than BEFORE in
    any measure, by an interval that excludes no difference.

    **Examples**

        flawtrace compare run/ run-2/ parts/
        flawtrace compare run/ run-2/ parts/ --json | jq .worse

    Parameters
    ----------
    before
        A run, or the file of its detector: the one in use.
    after
        The one that may replace it.
    folder
        The product's images, with or without masks.
    out
        File of the page. [default: AFTER/comparison.html]
    normal
        Folder of the normal images, in FOLDER or anywhere.
    defects
        Folder of the defect images, in FOLDER or anywhere.
    masks
        Folder of their masks, in FOLDER or anywhere.
    skip_bad
        Leave out images that cannot be read or whose masks cannot be used, instead of stopping.
    device
        Device to compute on.
    json
        Print one JSON document.
    """
    check_run(before, after)
    check_folder(folder)
    with stoppable(lambda: NOTHING_KEPT), counting("comparing") as progress:
        comparison = flawtrace.compare(
            before, after, folder, out, device=device, named=named(normal, defects, masks),
            skip_bad=skip_bad, progress=progress,
        )  # fmt: skip
    if json:
        print_json(comparison.to_json())
    else:
        _print(comparison, (before.name, after.name))
    return WORSE if comparison.worse else 0


def _print(comparison: "Comparison", names: tuple[str, str]) -> None:
    from flawtrace.report import MEANINGS, word_for  # noqa: PLC0415 (it loads torch, which is loaded by now)

    table = Table("", *names, "difference", "95 % interval", "", box=None)
    for change in comparison.changes:
        interval = f"{change.low:+.3f} to {change.high:+.3f}"
        numbers = f"{change.before:.3f}", f"{change.after:.3f}", f"{change.difference:+.3f}", interval
        table.add_row(MEANINGS[change.name], *numbers, word_for(change))
    out_console.print(table)
    images = counted(len(comparison.after.cases), "image")
    print_plain(f"{len(comparison.changed)} of {images} changed their verdict.")
    if comparison.num_left_out:
        print_plain(f"{counted(comparison.num_left_out, 'image')} left out: a detector was trained on them.")
