"""The command line: parse, call one verb, print.

Exit codes: 0 fine, 1 an error that the message explains, 2 the command was not understood,
3 `predict --exit-code` found an image that is not OK, 130 stopped by Ctrl-C.
"""

import json as jsonlib
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

import flawtrace
from flawtrace.cli.console import (
    cells,
    counting,
    err_console,
    events,
    out_console,
    print_benchmark,
    print_evaluation,
    print_facts,
    print_inspection,
    print_json,
    print_timing,
)
from flawtrace.cli.errors import MissingFoldersError, MissingImagesError
from flawtrace.detector.alarms import alarm_text
from flawtrace.ground.errors import FlawtraceError, SettingsError, UnknownSettingError
from flawtrace.ground.groups import Encoder, Preset, ProtocolName, RuntimeName, SamplerName
from flawtrace.ground.presets import load_config, nearest, setting_help, setting_names

app = App(
    name="flawtrace",
    help="Outlines defects in product images after a handful of labelled examples.",
    version_flags=["--version"],
    help_format="markdown",
    result_action="return_value",
    exit_on_error=True,
)

Out = Annotated[Path, Parameter(name=["--out", "-o"])]
Json = Annotated[bool, Parameter(name="--json", negative="")]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Flag = Annotated[bool, Parameter(negative="")]
Device = Literal["cpu", "cuda"]
MoreSettings = Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]

FLAGS = ("preset", "sampler", "encoder", "labels", "seed", "settings", "resume", "device", "out", "json")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: one message instead of a traceback for whatever the user can put right."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        sys.exit(app(sys.argv[1:] if arguments is None else arguments) or 0)
    except FlawtraceError as error:
        err_console.print("[bold red]error:[/]", end=" ")
        err_console.print(str(error), markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err_console.print("\nStopped. Training goes on with `--resume`, a benchmark with the same command.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


def _show_warning(message: Warning | str, *_: Any) -> None:
    err_console.print("[yellow]warning:[/]", end=" ")
    err_console.print(str(message), markup=False, soft_wrap=True)


@app.command
def inspect(folder: Path, /, *, json: Json = False) -> int:
    """Say what a folder of images holds and what is wrong with it, before any training.

    Reads every file and writes nothing. Exits with 1 if there is a problem that training would stop at.

    **Examples**

        flawtrace inspect parts/
        flawtrace inspect parts/ --json | jq .problems

    Parameters
    ----------
    folder
        Images in MVTec AD's layout (train/good, test/TYPE, ground_truth/TYPE) or in the plain one (normal,
        defects, masks).
    json
        Print one JSON document.
    """
    with counting("reading images") as progress:
        inspection = flawtrace.inspect(folder, progress)
    if json:
        print_json(inspection.to_json())
    else:
        print_inspection(inspection)
    return 0 if inspection.ok else 1


@app.command
def train(
    folder: Path,
    /,
    *more: MoreSettings,
    out: Out,
    preset: Preset = "light",
    labels: int | None = None,
    sampler: SamplerName | None = None,
    encoder: Encoder | None = None,
    seed: int | None = None,
    settings: Path | None = None,
    resume: Flag = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Train a detector on normal images and a few labelled defect images.

    Every setting is a flag as well: `--sampler.stride 16`. `flawtrace settings` lists them.

    **Examples**

        flawtrace train parts/ -o run/
        flawtrace train parts/ -o run/ --labels 3 --seed 7
        flawtrace train parts/ -o run/ --resume
        flawtrace train parts/ -o run/ --preset paper --device cuda

    Parameters
    ----------
    folder
        Normal and defect images, with masks.
    out
        Folder for the run: detector, log, report, checkpoint.
    preset
        `light` is made for two processor cores; `paper` has the published sizes and wants a GPU.
    labels
        Labelled images drawn per defect type. [default: 5]
    sampler
        Who chooses the patches: the learned policy, or a fixed strategy to compare it with.
        [default: learned]
    encoder
        What the autoencoder reconstructs. [default: features with light, pixels with paper]
    seed
        Of every random choice; the same seed gives the same run. [default: 42]
    settings
        A TOML file with settings.
    resume
        Go on with the run in OUT where it was stopped.
    device
        Where to compute.
    json
        Print a summary as one JSON document at the end.
    """
    shorthands = {"labels": labels, "sampler.kind": sampler, "encoder": encoder, "seed": seed}
    chosen = {name: value for name, value in shorthands.items() if value is not None} | _parsed(more)
    with events() as progress:
        trained = flawtrace.train(
            folder, out, preset=preset, settings=chosen, settings_file=settings,
            resume=resume, device=device, progress=progress,
        )  # fmt: skip
    if json:
        print_json(trained.summary)
        return
    held_out = trained.summary["validation"]
    out_console.print(
        f"Detector: {trained.summary['detector']}  ({trained.summary['seconds']:.0f} s, "
        f"{trained.summary['peak_memory_mb']} MB)\n"
        f"On held-out labels: pixel F1 {held_out.get('pixel_f1', held_out['pixel_f1_max']):.3f} "
        f"at threshold {trained.summary['threshold']:.3f}\n"
        f"Alarms:   {alarm_text(trained.summary['false_alarms'], trained.summary['seen_as'])}\n"
        f"Report:   {out / 'report.html'}\n"
        f"Next:     flawtrace evaluate {out} {folder}",
        markup=False,
    )
    if found := trained.summary.get("suspects"):
        names = ", ".join(suspect["name"] for suspect in found)
        out_console.print(f"Suspects: is their label right? {names}", markup=False)
    for warning in trained.summary["warnings"]:
        out_console.print(f"Warning: {warning}", markup=False)


@app.command
def evaluate(run: Path, folder: Path, /, *, device: Device = "cpu", json: Json = False) -> None:
    """Score a detector on the images of a folder that it was not trained on.

    Images from training are recognised by their content and left out, so `train` and `evaluate` may be given
    the same folder. Of normal images that are there for training (train/good), at most `normal_limit` are
    looked at. Writes RUN/metrics.json and RUN/report.html.

    **Examples**

        flawtrace evaluate run/ parts/
        flawtrace evaluate run/ parts/ --json | jq .metrics.pixel_f1

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote.
    folder
        Images with masks.
    device
        Where to compute.
    json
        Print one JSON document.
    """
    with counting("looking at images") as progress:
        evaluation = flawtrace.evaluate(run, folder, device=device, progress=progress)
    if json:
        print_json(evaluation.to_json())
    else:
        print_evaluation(evaluation)
        if (report := run / "report.html").exists():
            out_console.print(f"Report: {report}", markup=False)


@app.command
def predict(
    run: Path,
    /,
    *images: Path,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    device: Device = "cpu",
    runtime: RuntimeName | None = None,
    exit_code: Flag = False,
    json: Json = False,
) -> int:
    """Look for defects in images.

    With OUT, each image leaves maps/NAME.tiff (probability per pixel), masks/NAME.png and overlays/NAME.png
    there, and all of them predictions.csv. An image that cannot be read is reported, and the others go on.
    One that is unlike those of the training (in size, exposure, contrast, or blank) is UNSURE, whatever its
    map says.

    **Examples**

        flawtrace predict run/ part.png
        flawtrace predict run/ today/ -o results/
        flawtrace predict run/ today/*.png --json | jq 'select(.verdict != "OK").image'
        flawtrace predict run/ part.png --exit-code || echo reject
        flawtrace predict run/detector.onnx today/ --runtime openvino

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, a detector file, or an exported one (.onnx).
    images
        Image files, or folders of them.
    out
        Folder for maps, masks, overlays and table.
    device
        Where to compute.
    runtime
        What runs the detector. [default: onnx for an .onnx file, else torch]
    exit_code
        Exit with 3 if any image is not OK.
    json
        Print one JSON document per line and image.
    """
    if not images:
        raise MissingImagesError
    verdicts = []
    for row in flawtrace.predict(run, images, out, device=device, runtime=runtime):
        verdicts.append(row.verdict)
        if json:
            out_console.print(jsonlib.dumps(asdict(row)), markup=False)
        elif row.error:
            err_console.print(f"[red]ERROR [/]         {escape(row.image)}: {escape(row.error)}")
        else:
            style = {"DEFECT": "bold red", "UNSURE": "bold yellow"}.get(row.verdict, "green")
            doubt = f"  [yellow]{escape(row.doubt)}[/]" if row.doubt else ""
            out_console.print(f"[{style}]{row.verdict:<6}[/] {row.score:.4f}  {escape(row.image)}{doubt}")
    if "ERROR" in verdicts:
        return 1
    return 3 if exit_code and {"DEFECT", "UNSURE"} & set(verdicts) else 0


@app.command
def export(
    run: Path,
    /,
    *images: Path,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: Json = False,
) -> None:
    """Write a detector as one ONNX file: from raw images of any size to map, mask and score.

    Both are compared on real images first; if they disagree, nothing is written. Needs the extra `export`.

    **Examples**

        flawtrace export run/
        flawtrace export run/ parts/test/good/ -o parts.onnx
        flawtrace predict run/detector.onnx today/

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, or a detector file.
    images
        Image files, or folders of them, on which to compare. [default: the run's labelled images]
    out
        The file. [default: RUN/detector.onnx]
    json
        Print one JSON document.
    """
    exported = flawtrace.export(run, out, images)
    if json:
        print_json({**asdict(exported), "file": str(exported.file)})
        return
    out_console.print(
        f"Exported: {exported.file} ({exported.bytes / 2**20:.1f} MB)\n"
        f"Compared: {exported.num_images} images; maps differ by {exported.largest_difference:.1g} at most\n"
        f"Next:     flawtrace predict {exported.file} IMAGES",
        markup=False,
    )


@app.command
def bench(
    run: Path,
    /,
    *,
    runtime: RuntimeName | None = None,
    threads: Count | None = None,
    batch: Count = 1,
    height: Count | None = None,
    width: Count | None = None,
    repeats: Count = 50,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Time a detector on random images: latency, images per second, memory, share of each stage.

    What is timed begins with decoded images and ends with maps of their size.

    **Examples**

        flawtrace bench run/
        flawtrace bench run/detector.onnx --threads 2
        flawtrace bench run/detector.onnx --runtime openvino --batch 8 --json

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, a detector file, or an exported one (.onnx).
    runtime
        What runs the detector. [default: onnx for an .onnx file, else torch]
    threads
        Processor threads. [default: torch's]
    batch
        Images at once.
    height
        Of the images, in pixels. [default: the detector's own, or that of one tile]
    width
        Of the images, in pixels. [default: the detector's own, or that of one tile]
    repeats
        Passes that are timed.
    device
        Where to compute.
    json
        Print one JSON document.
    """
    with counting("timing") as progress:
        timing = flawtrace.bench(
            run, runtime=runtime, threads=threads, batch=batch, height=height, width=width, repeats=repeats,
            device=device, progress=progress,
        )  # fmt: skip
    print_json(asdict(timing)) if json else print_timing(timing)


@app.command
def doctor(run: Path | None = None, /, *, json: Json = False) -> None:
    """Print what a bug report needs: versions, machine, and how a run was made; nothing of its images.

    **Examples**

        flawtrace doctor
        flawtrace doctor run/ --json

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, or began to write.
    json
        Print one JSON document.
    """
    found = flawtrace.doctor(run)
    if json:
        print_json(found)
    else:
        print_facts(found)


@app.command
def benchmark(
    *folders: Path,
    out: Out,
    methods: Path | None = None,
    method: tuple[str, ...] = (),
    protocol: tuple[ProtocolName, ...] = ("five-per-type",),
    seeds: str = "42-46",
    labels: str | None = None,
    jobs: Count = 1,
    rows: Path | None = None,
    peers: Path | None = None,
    retry: Flag = False,
    reference: str | None = None,
    device: Device = "cpu",
    json: Json = False,
) -> int:
    """Compare methods on the same held-out images: every category, protocol and seed, cell by cell.

    A cell that has a row is never run again, so the same command goes on where it was stopped. Writes a row
    per cell, every split by name, tables (Markdown, CSV, LaTeX) and a page.

    **Examples**

        flawtrace benchmark data/ -o bench/
        flawtrace benchmark data/grid -o bench/ --protocol unseen-type --seeds 42,43
        flawtrace benchmark data/ -o bench/ --methods benchmarks/sampler.toml --jobs 2

    Parameters
    ----------
    folders
        Categories, or folders that hold categories.
    out
        Folder for splits, tables, page and logs.
    methods
        A TOML file with methods. [default: light with features, light with pixels]
    method
        Only the methods of these names.
    protocol
        Which images are labelled: five-per-type, k-per-type, one-third, unseen-type.
    seeds
        Seeds of the splits and of training, such as 42-46 or 42,44.
    labels
        Labelled images per defect type, under k-per-type. [default: 1,2,5,10]
    jobs
        Cells that run at the same time; each needs about 4 GB.
    rows
        The file with a row per cell. [default: OUT/rows.jsonl]
    peers
        Virtual environment of other programs. [default: OUT/peers]
    retry
        Run those cells again that ended with an error.
    reference
        The method that differences are to. [default: the first]
    device
        Where flawtrace's own methods compute.
    json
        Print one JSON document with all rows.
    """
    if not folders:
        raise MissingFoldersError
    with cells() as progress:
        compared = flawtrace.benchmark(
            folders, out, methods=methods, names=method, protocols=protocol, seeds=seeds_of(seeds),
            labels=labels_of(labels, protocol), jobs=jobs, rows=rows, peers=peers, retry=retry,
            reference=reference, device=device, progress=progress,
        )  # fmt: skip
    if json:
        print_json({"rows": compared.rows, "skipped": compared.skipped})
    else:
        print_benchmark(compared)
    return 1 if any("error" in row for row in compared.rows) else 0


@app.command
def demo(*, out: Out = Path("flawtrace-demo"), seed: int = 0, json: Json = False) -> None:
    """Show everything on made-up data: photographed bricks with rendered scratches, holes and stains.

    Takes up to three minutes on two cores.

    **Examples**

        flawtrace demo
        flawtrace demo -o /tmp/demo --seed 1

    Parameters
    ----------
    out
        Folder for images, detector and report.
    seed
        Of every random choice.
    json
        Print one JSON document.
    """
    with events() as progress:
        trained, evaluation = flawtrace.demo(out, seed=seed, progress=progress)
    if json:
        print_json({"training": trained.summary, "evaluation": evaluation.to_json()})
        return
    print_evaluation(evaluation)
    out_console.print(
        f"Report: {out / 'run' / 'report.html'}\n"
        f"Try:    flawtrace predict {out / 'run'} {out / 'images' / 'test' / 'scratch'} -o {out / 'found'}",
        markup=False,
    )


@app.command
def settings(
    *more: MoreSettings, preset: Preset = "light", encoder: Encoder | None = None, json: Json = False
) -> None:
    """List every setting with its value and meaning.

    **Examples**

        flawtrace settings
        flawtrace settings --preset paper --json

    Parameters
    ----------
    preset
        Whose values to show.
    encoder
        What the autoencoder reconstructs.
    json
        Print one JSON document.
    """
    config = load_config(preset, settings=({"encoder": encoder} if encoder else {}) | _parsed(more))
    if json:
        print_json(config.model_dump(mode="json"))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("setting", "value", "meaning"):
        table.add_column(heading)
    for name, value, meaning in setting_help(config):
        table.add_row(name, str(value), meaning)
    out_console.print(table)


def _parsed(tokens: tuple[str, ...]) -> dict[str, Any]:
    """Settings from `--name value` and `--name=value`.

    >>> _parsed(("--sampler.stride", "16", "--autoencoder.lr=0.01"))
    {'sampler.stride': 16, 'autoencoder.lr': 0.01}
    """
    chosen: dict[str, Any] = {}
    rest = list(tokens)
    while rest:
        name, given, value = rest.pop(0).partition("=")
        leaf = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or leaf not in setting_names():
            raise UnknownSettingError(name, _nearest_flag(leaf), "option")
        if not given and not rest:
            raise UnknownSettingError(name, None, "value of the option")
        chosen[leaf] = _value(value if given else rest.pop(0))
    return chosen


def seeds_of(text: str) -> tuple[int, ...]:
    """Numbers and ranges of them.

    >>> seeds_of("42-44,7")
    (42, 43, 44, 7)
    """
    return _numbers(text, "--seeds", "42-46")


def labels_of(text: str | None, protocols: Sequence[str]) -> tuple[int, ...] | None:
    """Numbers of labels for the one protocol in which they vary."""
    if text is None:
        return None
    if "k-per-type" not in protocols:
        raise SettingsError("the command line", "--labels", "only --protocol k-per-type varies the labels")
    numbers = _numbers(text, "--labels", "1-3")
    if 0 in numbers:
        raise SettingsError("the command line", "--labels", "without a label there is nothing to learn from")
    return numbers


def _numbers(text: str, flag: str, example: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            reason = f"{part!r} is no number and no range like {example}"
            raise SettingsError("the command line", flag, reason)
        numbers += range(int(first), int(last if dash else first) + 1)
    return tuple(dict.fromkeys(numbers))


def _nearest_flag(name: str) -> str | None:
    close = nearest(name, (*FLAGS, *setting_names()))
    return f"--{close}" if close else None


def _value(text: str) -> Any:
    try:
        return jsonlib.loads(text)
    except ValueError:
        return text
