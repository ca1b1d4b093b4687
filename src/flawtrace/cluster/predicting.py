"""Looks for defects in any number of images on a cluster, with Ray Data."""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import ray
import ray.data
from ray.exceptions import RayError

from flawtrace.cluster.connecting import Needs, refuse_if_nowhere
from flawtrace.cluster.errors import InterruptedPredictionError, TooFewProcessorsError
from flawtrace.cluster.shards import MANIFEST, PARTS, SHARDS, Shards, listed
from flawtrace.cluster.tasks import RETRIES, settle_in
from flawtrace.data import refuse_foreign
from flawtrace.detector import DoubtWarning
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import locked, read_json, write_json
from flawtrace.ground.groups import RuntimeChoice
from flawtrace.verbs import Gathered, OtherPredictionsError, Row, gathered, load, look, predictions_identity

MANIFEST_NAME = "predict.json"
BLOCKS = 1000
"""Into which the shards are divided for Ray Data, at most: it keeps account of each."""

TOLD = 10
"""Images that could not be looked at, and are named."""
DEADLY = "worker after worker died while it looked at this image, for want of memory perhaps (--memory)"


@dataclass(frozen=True)
class Looking:
    """How images are looked at."""

    run: Path
    min_area: int = 0
    device: str = "cpu"
    runtime: RuntimeChoice = "auto"
    threshold: float | None = None


@dataclass(frozen=True)
class Predictions:
    """What is in the output folder when all is done."""

    verdicts: dict[str, int]
    """How many images have which verdict; ERROR is one that could not be looked at."""
    parts: int
    failed: dict[str, str]
    """Why an image could not be looked at, by its path; of the first `TOLD` such images."""

    @property
    def num_images(self) -> int:
        return sum(self.verdicts.values())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"images": self.num_images, **asdict(self)}


def predict(
    looking: Looking,
    images: Iterable[Path],
    out: Path,
    *,
    recursive: bool = False,
    retry: bool = False,
    threads: int = 1,
    memory: float = 2.0,
    shard: int = 256,
    gathering: Callable[[Gathered], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Look for defects in images, in folders of them, and in those that Parquet manifests list.

    An image at which worker after worker dies gets a row that says so.

    To be called while this process is `connected`. `out`/parts gets a Parquet file for each shard of images,
    with exactly one row for each image; pictures are not written. A second call with the same `out` looks
    only at what has no row yet: images are known by their path, so one that changes afterwards keeps its row.
    With `retry` it looks again at images that could not be looked at; all others keep their rows.
    Each worker loads the detector once, and computes with so many `threads`; it occupies `memory` GB.
    `gathering` is told what was found in folders, and what was passed over; `progress` how many images of how
    many are done, of those in shards that are to do.

    Raises:
        TooFewProcessorsError, NoRoomError: the cluster is too small.
        ManifestError, NoImagesError: a manifest cannot be read, or there is nothing to look at.
        OtherPredictionsError, ForeignFolderError: `out` holds something else.
        InterruptedPredictionError: some shards could not be done; another call goes on with them.
    """
    if (count := ray.cluster_resources().get("CPU", 0)) < 2:
        raise TooFewProcessorsError(count)
    needs = Needs.of(threads, memory, looking.device)
    refuse_if_nowhere(needs)
    if not (out / MANIFEST_NAME).exists():
        refuse_foreign(out)
    asked = list(_files(images, recursive, gathering))
    with locked(out, SHARDS, PARTS):
        _claim(out, looking)
        shards = Shards(out)
        shards.add(asked, shard)
        left, done = shards.left(retry), 0
        total = sum(len(shards.images(number)) for number in left)
        for number, error in _looked(looking, left, out, needs, retry):
            if error:
                raise InterruptedPredictionError(len(shards.left()), len(left), error)
            done += len(shards.images(number))
            if progress:
                progress(done, total)
        if missing := shards.left():
            raise InterruptedPredictionError(len(missing), len(left), "their workers died")
        verdicts = shards.verdicts()
        failed = dict(islice(shards.failed(), min(TOLD, verdicts["ERROR"])))  # parts are read no further
        return Predictions(dict(verdicts), len(shards.numbers()), failed)


def _files(
    images: Iterable[Path], recursive: bool, gathering: Callable[[Gathered], None] | None
) -> Iterator[Path]:
    """As absolute paths, which mean the same in a later call from another folder."""
    paths = list(images)
    for manifest in (path for path in paths if path.suffix == MANIFEST):
        yield from (image.absolute() for image in listed(manifest))
    found = gathered([path for path in paths if path.suffix != MANIFEST], recursive)
    if gathering:
        gathering(found)
    yield from (image.absolute() for image in found.files)


def _claim(out: Path, looking: Looking) -> None:
    """Say in the folder whose rows it holds, or see that they are of this kind."""
    detector = load(looking.run, runtime=looking.runtime, device=looking.device, threshold=looking.threshold)
    mine = predictions_identity(detector, looking.min_area) | {"made by": "flawtrace predict --ray"}
    manifest = out / MANIFEST_NAME
    if not manifest.exists():
        write_json(manifest, mine)
    elif (before := read_json(manifest)) != mine:
        raise OtherPredictionsError(out, before, mine)


def _looked(
    looking: Looking, left: list[int], out: Path, needs: Needs, retry: bool
) -> Iterator[tuple[int, str | None]]:
    """Numbers of shards that are done, as they come, or why one is not."""
    if not left:
        return
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars, context.max_errored_blocks = False, -1
    workers = max(1, int(ray.cluster_resources()["CPU"]) // needs.threads)
    looks = ray.data.from_items(
        [{"shard": number} for number in left], override_num_blocks=min(len(left), BLOCKS)
    ).map_batches(
        Worker,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, len(left))),
        fn_constructor_args=(
            Path.cwd(),
            replace(looking, run=looking.run.absolute()),
            out,
            needs.threads,
            retry,
        ),
        max_restarts=-1,
        max_task_retries=RETRIES,
        **needs.options,
    )
    try:
        for row in looks.iter_rows():
            yield int(row["shard"]), row["error"] or None
    except RayError as error:
        yield left[0], str(error).strip().partition("\n")[0]


class Worker:
    """In a process of a node: one detector, for shard after shard."""

    def __init__(self, folder: Path, looking: Looking, out: Path, threads: int, retry: bool) -> None:
        settle_in(folder, threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtWarning)  # whoever sent the work was warned
            self._detector = load(
                looking.run, runtime=looking.runtime, device=looking.device, threshold=looking.threshold
            )
        self._shards, self._min_area, self._retry = Shards(out), looking.min_area, retry

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Look at the images of one shard, unless a worker that died afterwards has done so."""
        number, started, error = int(batch["shard"][0]), time.monotonic(), ""
        try:
            if self._retry or not self._shards.done(number):
                self._shards.write_part(number, self._rows(number))
        except FlawtraceError as failed:
            error = str(failed)
        return {"shard": [number], "error": [error], "seconds": [time.monotonic() - started]}

    def _rows(self, number: int) -> list[Row]:
        """Of the images of a shard that could not be looked at before; one at which workers died now is not
        looked at again.
        """
        rows, attempt, before = [], self._shards.next_try(number), self._shards.rows(number)
        for place, image in enumerate(self._shards.images(number)):
            if image in before and before[image]["verdict"] != "ERROR":
                continue
            if attempt.deadly(place):
                rows.append(Row(image, None, "ERROR", None, error=DEADLY))
                continue
            attempt.comes_to(place)
            rows.append(look(self._detector, Path(image), self._min_area))
        return rows
