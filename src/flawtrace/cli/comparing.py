"""The command that compares methods."""

from pathlib import Path

import flawtrace
from flawtrace.cli.console import (
    cells,
    print_benchmark,
    print_json,
)
from flawtrace.cli.errors import MissingFoldersError
from flawtrace.cli.flags import Count, Device, Flag, Json, Out, labels_of, seeds_of
from flawtrace.ground.groups import ProtocolName


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
