"""Commands that make a detector and measure it."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import flawtrace
from flawtrace.cli.checks import check_folder, check_run, check_settings
from flawtrace.cli.console import (
    out_console,
    print_evaluation,
    print_inspection,
    print_json,
    print_plain,
    print_trained,
)
from flawtrace.cli.flags import (
    CLUSTER,
    MAIN,
    Address,
    Amount,
    Count,
    Device,
    Flag,
    Json,
    Memory,
    MoreSettings,
    NamedFolder,
    Out,
    Seed,
    Share,
    Threads,
    named,
    parsed,
)
from flawtrace.cli.progress import counting, events
from flawtrace.cli.spreading import MEMORY, refuse_without_cluster, spread
from flawtrace.cli.stopping import NOTHING_KEPT, kept_of_training, stoppable
from flawtrace.ground.groups import Encoder, Preset, SamplerName


def inspect(
    folder: Path,
    /,
    *,
    run: Path | None = None,
    normal: NamedFolder = None,
    defects: NamedFolder = None,
    masks: NamedFolder = None,
    skip_bad: Flag = False,
    all: Flag = False,
    json: Json = False,
) -> int:
    """Check a folder of images before training: what it holds and what is wrong with it.

    Reads every image and mask, and writes nothing. Exits with 1 if a problem would stop training.

    **Examples**

        flawtrace inspect parts/
        flawtrace inspect parts/ --json | jq .problems
        flawtrace inspect parts/ --run run/

    Parameters
    ----------
    folder
        Images in the layout of MVTec AD (train/good, test/TYPE, ground_truth/TYPE) or in the plain layout
        (normal, defects, masks), images and masks in pairs (train/images, train/masks), or nothing but images
        of good parts.
    run
        Folder of a training on these images: name those whose label looked wrong there, such as defects among
        the normal images.
    normal
        Folder of the normal images, in FOLDER or anywhere.
    defects
        Folder of the defect images, in FOLDER or anywhere.
    masks
        Folder of their masks, in FOLDER or anywhere.
    skip_bad
        Leave out files that cannot be used, as `train --skip-bad` does, and report on the rest.
    all
        List every file that is not used, and every problem, instead of one of each kind.
    json
        Print one JSON document.
    """
    check_folder(folder)
    if run:
        check_run(run)
    with stoppable(lambda: NOTHING_KEPT), counting("reading images") as progress:
        meant = named(normal, defects, masks)
        inspection = flawtrace.inspect(folder, progress, run=run, named=meant, skip_bad=skip_bad)
    if json:
        print_json(inspection.to_json())
    else:
        print_inspection(inspection, every=all)
    return 0 if inspection.ok else 1


def train(
    folder: Path,
    /,
    *more: MoreSettings,
    out: Annotated[Out, Parameter(group=MAIN)],
    preset: Annotated[Preset, Parameter(group=MAIN)] = "light",
    labels: Annotated[Amount | None, Parameter(group=MAIN)] = None,
    tile_side: Annotated[Count | None, Parameter(group=MAIN)] = None,
    max_false_alarms: Annotated[Share | None, Parameter(group=MAIN)] = None,
    max_misses: Annotated[Share | None, Parameter(group=MAIN)] = None,
    resume: Annotated[Flag, Parameter(group=MAIN)] = False,
    skip_bad: Annotated[Flag, Parameter(group=MAIN)] = False,
    sampler: SamplerName | None = None,
    encoder: Encoder | None = None,
    seed: Seed | None = None,
    settings: Path | None = None,
    normal: NamedFolder = None,
    defects: NamedFolder = None,
    masks: NamedFolder = None,
    region: Path | None = None,
    device: Device = "cpu",
    json: Json = False,
    ray: Address = None,
    actors: Annotated[Count | None, Parameter(group=CLUSTER)] = None,
    threads: Annotated[Threads | None, Parameter(group=CLUSTER)] = None,
    memory: Memory = None,
) -> None:
    """Train a detector on normal images and a few labelled defect images, or on normal images alone.

    Every setting is also a flag, for example `--sampler.stride 16`. `flawtrace settings` lists them all.

    **Examples**

        flawtrace train parts/ -o run/
        flawtrace train parts/ -o run/ --labels 3 --seed 7
        flawtrace train parts/ -o run/ --resume
        flawtrace train parts/ -o run/ --preset paper --device cuda
        flawtrace train parts/ -o run/ --cycles 100 --ray 10.0.0.5:6379 --actors 4

    Parameters
    ----------
    folder
        Normal images, and defect images with masks.
    out
        Folder for the run: detector, log, report and checkpoint.
    preset
        `light` is made for two processor cores; `paper` has the published networks and is made for a GPU;
        `script` does what the published program does, whose policy never learns.
    labels
        How many images of each defect type are used as labels; 0 learns from normal images alone.
        [default: 5]
    tile_side
        Cut images into overlapping tiles of this many pixels, to see small defects at a larger scale.
    max_false_alarms
        Share of normal images, from 0 to 1, that may be called DEFECT. [default: no limit]
    max_misses
        Share of defect images, from 0 to 1, that may be called OK.
    resume
        Continue the run in OUT from where it was stopped.
    skip_bad
        Leave out images that cannot be read or whose masks cannot be used, instead of stopping.
    sampler
        What chooses the training patches: a policy that learns to, by walking (learned) or by selecting
        among all (selecting), or a fixed strategy for comparison.
        [default: learned]
    encoder
        What the autoencoder reconstructs. [default: features for light, else pixels]
    seed
        Random seed; the same seed gives the same run. [default: 42]
    settings
        A TOML file with settings.
    normal
        Folder of the normal images, in FOLDER or anywhere.
    defects
        Folder of the defect images, in FOLDER or anywhere.
    masks
        Folder of their masks, in FOLDER or anywhere.
    region
        The region of interest: a mask, or polygons (JSON). Nothing outside of it counts.
        [default: region.png or region.json in FOLDER]
    device
        Device to compute on.
    json
        Print a summary as one JSON document at the end.
    ray
        Address of a Ray cluster on which the cycles run from which the policy learns, or `local` to start
        Ray on this machine. Needs the extra `cluster`. The last cycle and the last fit run here.
    actors
        How many cycles run side by side there; the policy learns from all of them together. Another number
        gives another policy. [default: 2]
    threads
        Threads of each actor. [default: 1]
    memory
        GB of memory that each actor occupies. [default: 4]
    """
    if ray is None:
        refuse_without_cluster(actors=actors, threads=threads)
    shorthands = {
        "labels": labels, "tile_side": tile_side, "max_false_alarms": max_false_alarms,
        "max_misses": max_misses, "sampler.kind": sampler, "encoder": encoder, "seed": seed,
    }  # fmt: skip
    chosen = {name: value for name, value in shorthands.items() if value is not None} | parsed(more, train)
    check_folder(folder)
    check_settings(preset, settings, chosen)
    kept = partial(kept_of_training, out)
    with stoppable(kept), events() as progress, spread(ray, memory=memory) as cluster:
        trained = flawtrace.train(
            folder, out, preset=preset, settings=chosen, settings_file=settings,
            resume=resume, device=device, named=named(normal, defects, masks), region=region,
            skip_bad=skip_bad, progress=progress,
            collector=cluster.Actors(actors or 2, threads or 1, memory or MEMORY) if cluster else None,
        )  # fmt: skip
    if json:
        print_json(trained.summary)
        return
    if trained.changes is not None:
        print_plain("This run was finished before. Nothing was trained now.")
    print_trained(trained.summary, out, folder)


def evaluate(
    run: Path,
    folder: Path,
    /,
    *,
    normal: NamedFolder = None,
    defects: NamedFolder = None,
    masks: NamedFolder = None,
    skip_bad: Flag = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Evaluate a detector on those images of a folder that it was not trained on.

    Training images are recognised by their content and left out, so `train` and `evaluate` may be given the
    same folder; a folder with nothing but test images will do. Of normal images meant for training
    (train/good), at most `normal_limit` are evaluated. Defect images without a mask count in all numbers
    about images, and in none about pixels.

    Writes RUN/report.html, RUN/metrics.json, and RUN/evaluation.csv with a row for each image. An earlier
    evaluation with other results is kept as RUN/report-1.html and so on.

    **Examples**

        flawtrace evaluate run/ parts/
        flawtrace evaluate run/ parts/ --json | jq .metrics.pixel_f1

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote.
    folder
        Test images, in one of the layouts of `flawtrace inspect`.
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
    kept: list[Path] = []
    check_run(run)
    check_folder(folder)
    with stoppable(lambda: NOTHING_KEPT), counting("evaluating images") as progress:
        meant = named(normal, defects, masks)
        evaluation = flawtrace.evaluate(
            run, folder, device=device, named=meant, skip_bad=skip_bad, keeping=kept.append, progress=progress
        )
    if json:
        print_json(evaluation.to_json())
        return
    print_evaluation(evaluation)
    if kept:
        print_plain(f"Kept from the evaluation before: {', '.join(map(str, kept))}")
    for name, what in (("evaluation.csv", "Table: "), ("report.html", "Report:")):
        if (file := run / name).exists():
            print_plain(f"{what} {file}")


def demo(*, out: Out = Path("flawtrace-demo"), seed: Seed = 0, json: Json = False) -> None:
    """Run everything on generated data: photographed bricks with rendered scratches, holes and stains.

    Takes up to three minutes on two cores.

    **Examples**

        flawtrace demo
        flawtrace demo -o /tmp/demo --seed 1

    Parameters
    ----------
    out
        Folder for images, detector and report.
    seed
        Random seed.
    json
        Print one JSON document.
    """
    with stoppable(partial(kept_of_training, out / "run", "")), events() as progress:
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
