"""The command that keeps a detector up to date."""

from pathlib import Path

import flawtrace
from flawtrace.cli.checks import check_folder, check_run
from flawtrace.cli.console import print_json, print_trained
from flawtrace.cli.flags import Amount, Device, Flag, Json, NamedFolder, Out, named
from flawtrace.cli.progress import events
from flawtrace.cli.stopping import NOTHING_KEPT, stoppable


def refit(
    run: Path,
    folder: Path,
    /,
    *,
    out: Out,
    labels: Amount | None = None,
    normal: NamedFolder = None,
    defects: NamedFolder = None,
    masks: NamedFolder = None,
    skip_bad: Flag = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Fit a detector again to new labels, corrected masks or more normal images, in a few minutes.

    Features, autoencoder and policy stay as they are; predictors and thresholds are computed again. Tells you
    when a full training is advisable.

    **Examples**

        flawtrace refit run/ parts/ -o run-2/
        flawtrace refit detector.safetensors parts/ -o run-2/ --labels 10

    Parameters
    ----------
    run
        A run, or the file of its detector.
    folder
        The product's images: the old ones as well as the new.
    out
        Folder for the new run.
    labels
        Use at most this many images of each defect type as labels, first those in use; the others are left
        for `evaluate`. [default: all]
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
        Print a summary as one JSON document at the end.
    """
    check_run(run)
    check_folder(folder)
    with stoppable(lambda: NOTHING_KEPT), events() as progress:
        fitted = flawtrace.refit(
            run,
            folder,
            out,
            labels=labels,
            device=device,
            named=named(normal, defects, masks),
            skip_bad=skip_bad,
            progress=progress,
        )
    if json:
        print_json(fitted.summary)
    else:
        print_trained(fitted.summary, out, folder)
