"""What the command line prints: progress to standard error, results to standard output."""

import json
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flawtrace.ground.wording import counted, in_a_line

if TYPE_CHECKING:
    from flawtrace.comparison import Benchmark
    from flawtrace.data import Inspection
    from flawtrace.detector import Timing
    from flawtrace.measures import Evaluation


class _Console(Console):
    """Leaves it to `app.main` to end a command whose output nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


help_console = _Console(emoji=False)
out_console = _Console(soft_wrap=True, highlight=False, emoji=False)
err_console = _Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
"""None takes `:100:` in the name of a file for a picture."""


def adapt() -> None:
    """Show characters that the console's encoding lacks by their code, in names of files for example."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_error(text: str) -> None:
    err_console.print("[bold red]error:[/]", end=" ")
    err_console.print(text, markup=False)


def print_warning(text: str) -> None:
    err_console.print("[yellow]warning:[/]", end=" ")
    err_console.print(text, markup=False)


def print_failed(image: Path | str, error: Exception | str) -> None:
    """An image that nothing can be said about, while the others go on."""
    err_console.print(f"[red]ERROR [/]         {escape(in_a_line(str(image)))}: {escape(str(error))}")


def print_trouble(text: str) -> None:
    """What goes wrong while a command goes on."""
    err_console.print(text, markup=False)


def print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def print_trained(summary: Mapping[str, Any], out: Path, folder: Path) -> None:
    """What came out of a training or a refit, and what to do next."""
    from flawtrace.detector import alarm_text  # noqa: PLC0415 (they load torch, which training has by now)
    from flawtrace.training import told  # noqa: PLC0415

    testable = summary.get("left_for_testing", True)  # of an earlier version, nobody knows
    following = f"evaluate {out} {folder}" if testable else f"predict {out} IMAGES"
    print_plain(
        f"Detector: {summary['detector']}  ({summary['seconds']:.0f} s, {summary['peak_memory_mb']} MB)\n"
        f"{_held_out(summary)}\n"
        f"Alarms:   {alarm_text(summary['false_alarms'], summary['seen_as'])}\n"
        f"Report:   {out / 'report.html'}\n"
        f"Next:     flawtrace {following}"
    )
    for line in told(summary.get("suspects", []), folder):
        print_plain(line)
    for warning in summary["warnings"]:
        print_plain(f"Warning: {warning}")


def _held_out(summary: Mapping[str, Any]) -> str:
    """How well the detector does on labels that it has not seen, as far as there are any."""
    scores = summary["validation"]
    if "pixel_f1_max" not in scores:
        return "Labels:   none with a mask; the detector learnt from made-up defects"
    f1 = scores.get("pixel_f1", scores["pixel_f1_max"])
    left, used = len(summary.get("left_for_testing", [])), len(summary["labelled_files"])
    verb = "was" if used == 1 else "were"
    print_plain(f"Labels:   {used} of {counted(used + left, 'image')} with a mask {verb} used")
    return f"On held-out labels: pixel F1 {f1:.3f} at threshold {summary['threshold']:.3f}"


def print_plain(text: str) -> None:
    """As it is."""
    out_console.print(text, markup=False)


def print_inspection(inspection: "Inspection", every: bool = False) -> None:
    """What is taken for what, what there is, and what is wrong: one line of each kind, or `every` line."""
    found = inspection.to_json()
    table = Table(box=None, show_header=False)
    table.add_row("seen as", escape(inspection.seen or "not recognised"))
    table.add_row("normal", f"{found['normal']} for training, {found['test_normal']} kept for testing")
    for name, count in inspection.defects.items():
        table.add_row(escape(name), f"{counted(count.images, 'image')}, {count.labelled} with a mask")
    for size, number in inspection.sizes.most_common(5):
        table.add_row("size", f"{size[1]} x {size[0]} pixels: {counted(number, 'image')}")
    for kind, number in inspection.kinds.items():
        table.add_row("kind", f"{kind}: {counted(number, 'image')}")
    if inspection.pose:
        table.add_row("part", inspection.pose)
    out_console.print(table)
    grouped = by_kind(inspection.problems, inspection.kinds_of_problems)
    for label, style, lines in (
        (
            "not used",
            "dim",
            inspection.ignored if every else _by_type(inspection.ignored, inspection.kinds_of_ignored),
        ),
        ("left out", "yellow", inspection.left_out if every else _shortened(inspection.left_out)),
        ("warning", "yellow", inspection.warnings),
        ("problem", "bold red", inspection.problems if every else grouped),
    ):
        for line in lines:
            out_console.print(f"[{style}]{label}:[/]", end=" ")
            print_plain(line)
    print_plain(_verdict(inspection))


def _verdict(inspection: "Inspection") -> str:
    """Whether one can train, and if not how."""
    if inspection.ok:
        return f"Ready to train{' with --skip-bad' if inspection.left_out else ''}."
    instead = ", or leave such files out with --skip-bad" if inspection.can_skip else ""
    return f"{counted(len(inspection.problems), 'problem')} to fix before training{instead}."


def _shortened(names: Sequence[str], limit: int = 5) -> list[str]:
    """All names in one line.

    >>> _shortened(["a.png", "b.png", "c.png"], limit=2)
    ['3 files: a.png, b.png and 1 more (--all lists them)']
    """
    if not names:
        return []
    more = f" and {len(names) - limit} more (--all lists them)" if len(names) > limit else ""
    return [f"{counted(len(names), 'file')}: {', '.join(names[:limit])}{more}"]


def _by_type(files: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """One line for all files of a kind.

    >>> _by_type(["a.txt", "b.txt", "c.json"], [".txt file", ".txt file", ".json file"])
    ['a.txt and 1 more .txt file (--all lists them)', 'c.json']
    """
    of_kind: dict[str, list[str]] = {}
    for name, kind in zip(files, kinds, strict=True):
        of_kind.setdefault(kind, []).append(name)
    return [
        f"{some[0]} and {counted(len(some) - 1, f'more {kind}')} (--all lists them)"
        if some[1:]
        else f"{some[0]}{' (broken link)' * (kind == 'broken link')}"
        for kind, some in of_kind.items()
    ]


def by_kind(problems: Sequence[str], kinds: Sequence[str], more_with: str = "--all") -> list[str]:
    """One problem of each kind, and how many there are like it, which a flag lists.

    >>> by_kind(["No mask a.", "No mask b."], ["mask", "mask"])
    ['No mask a.\\n1 more problem of this kind (--all lists it).']
    """
    of_kind: dict[str, list[str]] = {}
    for kind, text in zip(kinds, problems, strict=True):
        of_kind.setdefault(kind, []).append(text)
    lines = []
    for first, *others in of_kind.values():
        them = "it" if len(others) == 1 else "them"
        like = f"\n{counted(len(others), 'more problem')} of this kind ({more_with} lists {them})."
        lines.append(first + (like if others else ""))
    return lines


def print_evaluation(evaluation: "Evaluation") -> None:
    """A line per metric, a column for all images and for each defect type with all normal images."""
    columns = {"all": evaluation.metrics, **evaluation.per_type}
    table = Table(box=None, header_style="bold")
    table.add_column("")
    for name in columns:
        table.add_column(escape(name), justify="right")
    for metric in evaluation.metrics:
        values = [metrics[metric] for metrics in columns.values()]
        if metric.startswith("pixel") and values == [None] * len(values):
            continue
        shown = ["-" if value is None else f"{value:.3f}" for value in values]
        table.add_row(metric.replace("_", " "), *shown)
    out_console.print(table)
    out_console.print(
        f"Evaluated {counted(evaluation.num_anomalous, 'defect image')} and "
        f"{counted(evaluation.num_normal, 'normal image')}; left out {evaluation.num_left_out} that the "
        "detector was trained on."
    )
    if without := evaluation.num_unmasked:
        every = without == evaluation.num_anomalous
        print_plain(
            "No defect image has a mask: there are no numbers about pixels."
            if every
            else f"{counted(without, 'defect image has', 'defect images have')} no mask: they count in all "
            "numbers about images, and in none about pixels."
        )
    if gone := evaluation.num_vanished:
        print_plain(
            f"{counted(gone, 'mask shows', 'masks show')} nothing at the detector's working size, or in its "
            "region: these defect images count in all numbers about images, and in none about pixels. "
            "Small defects want tiles (train --tile-side)."
        )
    missed = evaluation.misses
    low, high = (round(1000 * bound) for bound in missed.interval)
    out_console.print(
        f"Misses: {missed.alarms} of {counted(missed.images, 'defect image')} are OK; "
        f"that is compatible with {low} to {high} per 1,000 (95 %)."
    )
    if evaluation.num_normal:
        from flawtrace.detector import announced_text  # noqa: PLC0415 (it loads torch, which is loaded by now)

        found = evaluation.false_alarms
        out_console.print(
            f"False alarms: {found.alarms} of {counted(found.images, 'normal image')}. "
            f"{announced_text(evaluation.announced, found)}"
        )


def print_facts(groups: Mapping[str, Mapping[str, Any]]) -> None:
    """One line per fact, grouped; plain text, to be pasted."""
    for title, facts in groups.items():
        out_console.print(title, markup=False)
        for name, value in facts.items():
            out_console.print(f"  {name}: {value}", markup=False, soft_wrap=True)


def print_timing(timing: "Timing") -> None:
    out_console.print(
        f"{timing.runtime}, {counted(timing.threads, 'thread')}, batch of {timing.batch}, "
        f"{timing.width} x {timing.height} pixels, {counted(timing.repeats, 'pass', 'passes')}"
    )
    table = Table(box=None, show_header=False)
    table.add_row("median", f"{timing.median_ms:.1f} ms")
    table.add_row("95 %, 99 %", f"{timing.p95_ms:.1f} ms, {timing.p99_ms:.1f} ms")
    table.add_row("images per second", f"{timing.images_per_second:.1f}")
    table.add_row("peak memory", f"{timing.peak_memory_mb} MB (whole process)")
    for name, share in timing.stages.items():
        table.add_row(name, f"{share:.0%}")
    out_console.print(table)


def print_benchmark(benchmark: "Benchmark") -> None:
    for reason in benchmark.skipped:
        err_console.print("[yellow]skipped:[/]", end=" ")
        err_console.print(reason, markup=False)
    failed = sum("error" in row for row in benchmark.rows)
    out_console.print(f"{counted(len(benchmark.rows), 'cell')} with a result, {failed} of them an error.")
    if benchmark.board:
        out_console.print(f"Page: {benchmark.board}", markup=False)
