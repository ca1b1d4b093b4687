"""The command that decides anew what is called defective."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

import flawtrace
from flawtrace.cli.checks import check_folder, check_run
from flawtrace.cli.console import out_console, print_json, print_plain
from flawtrace.cli.flags import Device, Json, Share

if TYPE_CHECKING:
    from flawtrace.detector import Choice


def decide(
    run: Path,
    /,
    *,
    max_false_alarms: Share | None = None,
    max_misses: Share | None = None,
    threshold: Share | None = None,
    images: Path | None = None,
    plot: Path | None = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Show what other thresholds would do, and store one, without training again.

    Changes nothing unless a limit, a threshold or images are given. Rates are measured on images that
    training held out: defect images, and normal images scored by predictors that had not seen them.

    **Examples**

        flawtrace decide run/
        flawtrace decide run/ --max-false-alarms 0.01
        flawtrace decide run/ --images another-day/
        flawtrace decide run/ --plot trade-off.svg

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, a detector file, or an exported one.
    max_false_alarms
        Store the threshold with the fewest errors among those with at most this share of false alarms.
    max_misses
        The same for the share of defect images that are not called DEFECT.
    threshold
        Store this score, from 0 to 1, as the one from which an image is DEFECT.
    images
        Folder of normal images taken on another day, to use instead of the held-out normal images.
    plot
        Write the trade-off as a picture, an SVG file.
    device
        Where to compute.
    json
        Print one JSON document.
    """
    check_run(run)
    if images:
        check_folder(images)
    found = flawtrace.decide(
        run, max_false_alarms=max_false_alarms, max_misses=max_misses, threshold=threshold, images=images,
        plot=plot, device=device,
    )  # fmt: skip
    if json:
        print_json(
            {
                "choices": [choice.to_json() for choice in found.choices],
                "before": found.before.to_json(),
                "chosen": found.chosen.to_json() if found.chosen else None,
                "normal_from": found.normal_from,
            }
        )
        return
    rows = [("", choice) for choice in found.choices] + [("stored before", found.before)]
    rows += [("stored now", found.chosen)] if found.chosen else []
    table = Table(box=None, header_style="bold")
    for heading in ("", "DEFECT from", "UNSURE from", "false alarms", "misses", "UNSURE"):
        table.add_column(heading, justify="right")
    for name, choice in sorted(rows, key=lambda row: row[1].threshold):
        table.add_row(*_row(name, choice))
    out_console.print(table, soft_wrap=False)
    out_console.print(
        "In parentheses: rates per 1,000 that are compatible with these counts (95 %). "
        f"Normal images: {found.normal_from}.",
        markup=False,
    )
    if plot:
        print_plain(f"Plot: {plot}")
    if not found.chosen:
        limits = "--max-false-alarms, --max-misses" if found.before.misses.images else "--max-false-alarms"
        out_console.print(f"Nothing was changed. {limits} or --threshold stores one.")


def _row(name: str, choice: "Choice") -> list[str]:
    rates = []
    for errors in (choice.false_alarms, choice.misses):
        low, high = (round(1000 * bound) for bound in errors.interval) if errors.images else ("?", "?")
        rates.append(f"{errors.alarms}/{errors.images} ({low}-{high})")
    return [name, f"{choice.threshold:.3f}", f"{choice.unsure_from:.3f}", *rates, str(choice.unsure)]
