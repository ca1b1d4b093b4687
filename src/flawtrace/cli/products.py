"""The command that trains on many products."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

import flawtrace
from flawtrace.cli.checks import check_folder, check_settings
from flawtrace.cli.console import out_console, print_json, print_plain
from flawtrace.cli.flags import Address, Device, Flag, Json, Memory, MoreSettings, Threads, parsed
from flawtrace.cli.progress import products
from flawtrace.cli.spreading import MEMORY, spread
from flawtrace.cli.stopping import kept_of_results, stoppable
from flawtrace.ground.groups import Preset
from flawtrace.ground.wording import counted

if TYPE_CHECKING:
    from flawtrace.verbs import Product


def train_all(
    root: Path,
    /,
    *more: MoreSettings,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    preset: Preset = "light",
    settings: Path | None = None,
    threads: Threads | None = None,
    skip_bad: Flag = False,
    device: Device = "cpu",
    json: Json = False,
    ray: Address = None,
    memory: Memory = None,
) -> int:
    """Train one detector for each product in a folder of products.

    The run of ROOT/line-1/screw lands in OUT/line-1/screw. The same command goes on after a stop: a product
    that is done is not trained again. One that fails does not stop the others; then the command exits with 1.
    Every setting is also a flag, and counts for all products.

    **Examples**

        flawtrace train-all products/ -o runs/
        flawtrace train-all products/ -o runs/ --labels 3 --json | jq '.[] | select(.error)'
        flawtrace train-all products/ -o runs/ --ray 10.0.0.5:6379

    Parameters
    ----------
    root
        Folder of products, each in one of the layouts of `flawtrace inspect`, up to three folders down.
    out
        Folder for the runs. [default: ROOT-runs, beside ROOT]
    preset
        `light` is made for two processor cores; `paper` has the published networks and is made for a GPU;
        `script` does what the published program does, whose policy never learns.
    settings
        A TOML file with settings.
    threads
        Threads of each training. [default: torch's default; 1 with --ray]
    skip_bad
        Leave out images that cannot be read or whose masks cannot be used, instead of failing.
    device
        Device to compute on.
    json
        Print one JSON document with all products.
    ray
        Address of a Ray cluster on which trainings run, or `local` to start Ray on this machine. Needs the
        extra `cluster`. Every node has to see the folders under the same paths.
    memory
        GB of memory that each training occupies there. [default: 4]
    """
    chosen = parsed(more, train_all)
    check_folder(root)
    check_settings(preset, settings, chosen)
    runs = out or root.resolve().with_name(f"{root.resolve().name}-runs")
    kept = kept_of_results(runs, "Trainings")
    with stoppable(kept), products() as progress, spread(ray, memory=memory) as cluster:
        found = flawtrace.train_all(
            root, runs, preset=preset, settings=chosen, settings_file=settings, threads=threads,
            device=device, skip_bad=skip_bad, progress=progress,
            trainer=cluster.Trainings(memory or MEMORY) if cluster else None,
        )  # fmt: skip
    if json:
        print_json([product.to_json() for product in found])
    else:
        _print(found)
    return 1 if any(product.error for product in found) else 0


def _print(found: "list[Product]") -> None:
    table = Table("product", "", "F1 of held-out labels", "seconds", "run", box=None)
    for product in found:
        f1 = "" if product.pixel_f1 is None else f"{product.pixel_f1:.3f}"
        seconds = "" if product.seconds is None else f"{product.seconds:.0f}"
        style = "bold red" if product.error else "green"
        state = f"[{style}]{product.state}[/]"
        table.add_row(escape(product.name), state, f1, seconds, escape(str(product.run)))
    out_console.print(table)
    for product in found:
        for text in (*product.warnings, *([product.error] if product.error else [])):
            print_plain(f"{product.name}: {text}")
    failed = sum(product.error is not None for product in found)
    print_plain(f"{counted(len(found), 'product')}, {failed} of them failed.")
