"""Where a command's work runs: here, or on a Ray cluster."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flawtrace.cli.checks import imported
from flawtrace.cli.console import print_failed, print_json, print_plain
from flawtrace.cli.errors import FlagError
from flawtrace.cli.flags import as_flag
from flawtrace.cli.progress import counting
from flawtrace.cli.stopping import kept_of_results, stoppable
from flawtrace.ground.addresses import refuse_no_address
from flawtrace.ground.wording import counted

if TYPE_CHECKING:
    from flawtrace.cluster import Predictions

MEMORY = 4.0
"""GB that a training, or a cell, occupies."""


@contextmanager
def spread(address: str | None, *, memory: float | None = None) -> Iterator[ModuleType | None]:
    """Inside, this process is connected to the cluster; gives the wing that works there, or None without one.

    Raises:
        ArgumentError: it is no address.
        FlagError: `memory` is asked for where nobody sets it aside.
        MissingExtraError: the packages of the extra `cluster` are not installed.
        UnreachableError: no cluster answers at the address.
    """
    if address is None:
        refuse_without_cluster(memory=memory)
        yield None
        return
    refuse_no_address(address)
    cluster = imported("flawtrace.cluster", "cluster")
    # what nodes complain of, Ray prints among the results
    with redirect_stdout(sys.stderr), cluster.connected(address):
        yield cluster


def refuse_without_cluster(**given: object) -> None:
    """Flags that mean nothing here, by name; None or False says that one was not given.

    Raises:
        FlagError: one was.
    """
    for name, value in given.items():
        if value is not None and value is not False:
            raise FlagError(as_flag(name), "it counts only with --ray")


def predict_on(
    address: str,
    looking: Mapping[str, Any],
    images: Sequence[Path],
    out: Path | None,
    *,
    asked: Mapping[str, Any],
    json: bool,
) -> dict[str, int]:
    """`predict --ray`; returns how many images have which verdict.

    Raises:
        FlagError: there is no folder for the rows.
    """
    if out is None:
        raise FlagError("--ray", "the rows need a folder; give one with -o")
    with stoppable(kept_of_results(out, "Rows")), counting("looking") as progress, spread(address) as cluster:
        assert cluster is not None
        found = cluster.predict(
            cluster.Looking(**looking), images, out.absolute(), progress=progress, **asked
        )
    if json:
        print_json(found.to_json())
    else:
        _tell(found, out)
    return dict(found.verdicts)


def _tell(found: "Predictions", out: Path) -> None:
    for image, reason in found.failed.items():
        print_failed(image, reason)
    words = ", ".join(f"{number} {verdict}" for verdict, number in sorted(found.verdicts.items()))
    lines = [
        f"{counted(found.num_images, 'image')}: {words}",
        f"Rows: {out / 'parts'} ({counted(found.parts, 'file')})",
    ]
    if found.failed:
        lines.append("Next: the same command with --retry, which looks again at images with ERROR")
    print_plain("\n".join(lines))
