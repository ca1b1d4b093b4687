"""The command that compares methods."""

from pathlib import Path

import flawtrace
from flawtrace.cli.checks import check_folder
from flawtrace.cli.console import print_benchmark, print_json
from flawtrace.cli.errors import FlagError, MissingFoldersError
from flawtrace.cli.flags import (
    Address,
    Count,
    Device,
    Flag,
    Json,
    Memory,
    Out,
    Threads,
    labels_of,
    seeds_of,
)
from flawtrace.cli.progress import cells
from flawtrace.cli.spreading import MEMORY, spread
from flawtrace.cli.stopping import kept_of_results, stoppable
from flawtrace.ground.groups import ProtocolName


def benchmark(
    *folders: Path,
    out: Out,
    methods: Path | None = None,
    method: tuple[str, ...] = (),
    protocol: tuple[ProtocolName, ...] = ("five-per-type",),
    seeds: str = "42-46",
    labels: str | None = None,
    jobs: Count | None = None,
    threads: Threads | None = None,
    rows: Path | None = None,
    peers: Path | None = None,
    retry: Flag = False,
    reference: str | None = None,
    device: Device = "cpu",
    spoil: Flag = False,
    json: Json = False,
    ray: Address = None,
    memory: Memory = None,
) -> int:
    """Compare methods on the same held-out images, for every category, protocol and seed.

    One method on one split is a cell; its result is one row of a file. A cell that has a row is not run
    again, so the same command continues a benchmark that was stopped. Writes the rows, the image names of
    every split, tables (Markdown, CSV, LaTeX) and an HTML page.

    **Examples**

        flawtrace benchmark data/ -o bench/
        flawtrace benchmark data/grid -o bench/ --protocol unseen-type --seeds 42,43
        flawtrace benchmark data/ -o bench/ --methods benchmarks/sampler.toml --jobs 2
        flawtrace benchmark data/ -o bench/ --ray 10.0.0.5:6379

    Parameters
    ----------
    folders
        Folders of categories (such as one product each), or folders that contain them.
    out
        Folder for splits, tables, HTML page and logs.
    methods
        A TOML file that defines the methods. [default: light with features, light with pixels]
    method
        Run only the methods with these names.
    protocol
        Which images are labelled: five-per-type, k-per-type, k-in-all, one-third, unseen-type.
    seeds
        Seeds for splits and training, such as 42-46 or 42,44.
    labels
        Labelled images per defect type for the protocol k-per-type [default: 1,2,5,10], or of all types
        together for k-in-all [default: 0,1,2,5,10].
    jobs
        Number of cells to run at the same time; each needs about 4 GB of memory. [default: 1]
    threads
        Threads of each cell. The last bits of its numbers depend on them, so they are written into its row,
        and all cells of a file have the same. [default: those of the rows; else a share of the cores, or 1
        with --ray]
    rows
        File of results, with one row per cell. [default: OUT/rows.jsonl]
    peers
        Virtual environment of the other programs. [default: OUT/peers]
    retry
        Run cells that ended with an error again.
    reference
        Method that the others are compared with. [default: the first]
    device
        Device for flawtrace's own methods.
    spoil
        Also test flawtrace's own methods on test images that were shifted, rotated, brightened, blurred or
        compressed, as on another day. Takes about a minute per cell; cells that have a row are skipped.
    json
        Print one JSON document with all rows.
    ray
        Address of a Ray cluster on which the cells run, or `local` to start Ray on this machine. Needs the
        extra `cluster`. Every node has to see the folders under the same paths.
    memory
        GB of memory that each cell occupies there. [default: 4]
    """
    if not folders:
        raise MissingFoldersError
    check_folder(*folders)
    labelled = labels_of(labels, protocol)
    if ray and jobs:
        raise FlagError("--jobs", "with --ray, as many cells run as there is room for")
    kept = kept_of_results(out, "Results")
    with stoppable(kept), cells() as progress, spread(ray, memory=memory) as cluster:
        compared = flawtrace.benchmark(
            folders, out, methods=methods, names=method, protocols=protocol, seeds=seeds_of(seeds),
            labels=labelled, jobs=jobs or 1, threads=threads, rows=rows, peers=peers, retry=retry,
            reference=reference, device=device, spoil=spoil, progress=progress,
            runner=cluster.Cells(memory or MEMORY) if cluster else None,
        )  # fmt: skip
    if json:
        print_json({"rows": compared.rows, "skipped": compared.skipped})
    else:
        print_benchmark(compared)
    return 1 if any("error" in row for row in compared.rows) else 0
