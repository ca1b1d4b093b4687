"""Commands that use a detector."""

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape

import flawtrace
from flawtrace.cli.checks import check_run
from flawtrace.cli.console import err_console, out_console, print_failed, print_json, print_timing
from flawtrace.cli.errors import MissingImagesError
from flawtrace.cli.flags import (
    CLUSTER,
    Address,
    Amount,
    Count,
    Device,
    Flag,
    Json,
    Memory,
    Recursive,
    Share,
    Threads,
)
from flawtrace.cli.progress import counting
from flawtrace.cli.spreading import predict_on, refuse_without_cluster
from flawtrace.cli.stopping import kept_of_results, stoppable
from flawtrace.ground.groups import InputKind, RuntimeChoice
from flawtrace.ground.wording import counted, in_a_line

if TYPE_CHECKING:
    from flawtrace.verbs import Gathered, Row

RUNTIME_NAMES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}


def predict(
    run: Path,
    /,
    *images: Path,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    device: Device = "cpu",
    recursive: Recursive = False,
    min_area: Amount = 0,
    runtime: RuntimeChoice = "auto",
    threshold: Share | None = None,
    exit_code: Flag = False,
    json: Json = False,
    ray: Address = None,
    threads: Annotated[Threads | None, Parameter(group=CLUSTER)] = None,
    memory: Memory = None,
    shard: Annotated[Count, Parameter(group=CLUSTER)] = 256,
    retry: Annotated[Flag, Parameter(group=CLUSTER)] = False,
) -> int:
    """Look for defects in images.

    With --out, writes maps/NAME.tiff (probability of a defect per pixel), masks/NAME.png and
    overlays/NAME.png for each image, and predictions.csv for all of them. An image that cannot be read is
    reported, and the others are still processed. An image unlike the training images (in size, exposure or
    contrast, or because it is blank) is UNSURE, whatever its map shows. After a stop, or with new images, the
    same command processes only what is missing. overlays/index.html shows all overlays.

    With --ray, any number of images: OUT/parts/*.parquet has exactly one row for each, and no pictures are
    written. IMAGES may also be Parquet files with a column `image` of paths.

    **Examples**

        flawtrace predict run/ part.png
        flawtrace predict run/ today/ -o results/
        flawtrace predict run/ week/ -o results/ --recursive --min-area 20
        flawtrace predict run/ today/*.png --json | jq 'select(.verdict != "OK").image'
        flawtrace predict run/ part.png --exit-code || echo reject
        flawtrace predict run/detector.onnx today/ --runtime openvino
        flawtrace predict run/ week.parquet -o rows/ --ray 10.0.0.5:6379

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, a detector file, or an exported detector (.onnx).
    images
        Image files, or folders of images.
    out
        Folder for maps, masks, overlays and predictions.csv: a new one, or one of an earlier `predict`.
    recursive
        Look into sub-folders too; results keep their names.
    min_area
        Ignore regions with fewer pixels than this.
    device
        Device to compute on.
    runtime
        What runs the detector: auto is the fastest that is installed. ONNX Runtime and OpenVINO need an .onnx
        file, or a run in which `flawtrace export` has put one.
    threshold
        Score from which an image is DEFECT, in this call only. [default: the stored one]
    exit_code
        Exit with 3 if any image is DEFECT or UNSURE.
    json
        Print one JSON document per image, one per line; with --ray, one with the numbers of verdicts.
    ray
        Address of a Ray cluster whose workers look at the images, or `local` to start Ray on this machine.
        Needs the extra `cluster`. Every node has to see the folders under the same paths.
    threads
        Threads of each worker there. [default: 1]
    memory
        GB of memory that each worker occupies there. [default: 2]
    shard
        Images whose rows are written together there, whole or not at all.
    retry
        Look again at images that could not be looked at there; all others keep their rows.
    """
    if not images:
        raise MissingImagesError("predict")
    check_run(run)
    if ray:
        looking = {
            "run": run, "min_area": min_area, "device": device, "runtime": runtime, "threshold": threshold,
        }  # fmt: skip
        asked = {
            "recursive": recursive, "retry": retry, "threads": threads or 1, "memory": memory or 2.0,
            "shard": shard, "gathering": _tell_skipped,
        }  # fmt: skip
        verdicts = predict_on(ray, looking, images, out, asked=asked, json=json)
        return _code(set(verdicts), exit_code)
    refuse_without_cluster(threads=threads, memory=memory, retry=retry)
    with stoppable(kept_of_results(out, "Predictions")):
        rows = flawtrace.predict(
            run, images, out, recursive=recursive, min_area=min_area, device=device, runtime=runtime,
            threshold=threshold, gathering=_tell_skipped, progress=_print_json_row if json else _print_row,
        )  # fmt: skip
    return _code({row.verdict for row in rows}, exit_code)


def _code(verdicts: set[str], exit_code: bool) -> int:
    if "ERROR" in verdicts:
        return 1
    return 3 if exit_code and {"DEFECT", "UNSURE"} & verdicts else 0


def _tell_skipped(found: "Gathered") -> None:
    if words := found.skipped_in_words:
        err_console.print(f"Passed over: {words}", markup=False)


def _print_json_row(row: "Row") -> None:
    out_console.print(jsonlib.dumps(row.to_json()), markup=False)


def _print_row(row: "Row") -> None:
    if row.error:
        print_failed(row.image, row.error)
        return
    style = {"DEFECT": "bold red", "UNSURE": "bold yellow"}.get(row.verdict, "green")
    regions = f"  {counted(len(row.regions), 'region')}" if row.regions else ""
    doubt = f"  [yellow]{escape(row.doubt)}[/]" if row.doubt else ""
    name = escape(in_a_line(row.image))
    out_console.print(f"[{style}]{row.verdict:<6}[/] {row.score:.4f}  {name}{regions}{doubt}")


def export(
    run: Path,
    /,
    *images: Path,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    input: Annotated[InputKind, Parameter(name="--input")] = "float",
    json: Json = False,
) -> None:
    """Export a detector as one ONNX file that turns raw images of any size into map, mask, score and verdict.

    The exported detector is first compared with the original on real images, in every runtime that is
    installed; if they disagree, nothing is written. The file describes its own inputs and outputs. As long as
    it lies in the run's folder, `predict` and `bench` use it instead of the run, because it is faster. Needs
    the extra `export` (pip install 'flawtrace[export]').

    **Examples**

        flawtrace export run/
        flawtrace export run/ parts/test/good/ -o parts.onnx
        flawtrace export run/ -o camera.onnx --input uint8
        flawtrace predict run/detector.onnx today/

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, or a detector file.
    images
        Image files, or folders of images, for the comparison. [default: the run's labelled images]
    out
        File to write. [default: RUN/detector.onnx]
    input
        What the file takes: floats (batch, 3, height, width) from 0 to 1, or uint8 (batch, height, width, 3)
        from 0 to 255, as cameras and image libraries give them. The order of colours is RGB.
    json
        Print one JSON document.
    """
    check_run(run)
    exported = flawtrace.export(run, out, images, input=input)
    if json:
        print_json({**asdict(exported), "file": str(exported.file)})
        return
    each = exported.differences.items()
    differences = ", ".join(f"{difference:.1g} in {RUNTIME_NAMES[name]}" for name, difference in each)
    out_console.print(
        f"Exported: {exported.file} ({exported.bytes / 2**20:.1f} MB)\n"
        f"Compared: {counted(exported.num_images, 'image')}; "
        f"maps differ by at most {differences}\n"
        f"Next:     flawtrace predict {exported.file} IMAGES",
        markup=False,
    )


def bench(
    run: Path,
    /,
    *,
    runtime: RuntimeChoice = "auto",
    threads: Threads | None = None,
    batch: Count = 1,
    height: Count | None = None,
    width: Count | None = None,
    repeats: Count = 50,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Time a detector on random images: latency, images per second, memory, share of each stage.

    Times the computation from decoded images to anomaly maps at their size; reading and writing files is
    not included.

    **Examples**

        flawtrace bench run/
        flawtrace bench run/detector.onnx --threads 2
        flawtrace bench run/detector.onnx --runtime openvino --batch 8 --json

    Parameters
    ----------
    run
        Folder that `flawtrace train` wrote, a detector file, or an exported detector (.onnx).
    runtime
        What runs the detector: auto is the fastest that is installed. ONNX Runtime and OpenVINO need an .onnx
        file, or a run in which `flawtrace export` has put one.
    threads
        CPU threads. [default: torch's default]
    batch
        Images per batch.
    height
        Image height in pixels. [default: the detector's working size, or the size of one tile]
    width
        Image width in pixels. [default: the detector's working size, or the size of one tile]
    repeats
        Number of timed passes.
    device
        Device to compute on.
    json
        Print one JSON document.
    """
    check_run(run)
    with counting("timing") as progress:
        timing = flawtrace.bench(
            run, runtime=runtime, threads=threads, batch=batch, height=height, width=width, repeats=repeats,
            device=device, progress=progress,
        )  # fmt: skip
    print_json(asdict(timing)) if json else print_timing(timing)
