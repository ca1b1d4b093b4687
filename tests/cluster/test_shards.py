"""Any number of images: one row for each, whatever dies and however often the command is run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from nodes import DEADLY, Cluster

from flawtrace import cluster as wing
from flawtrace import verbs
from flawtrace.cluster.predicting import _files
from flawtrace.cluster.shards import Shards, listed

COMMAND = [sys.executable, "-c", "from flawtrace.cli.app import main; main()", "predict"]


@pytest.fixture
def photos(category: Path, tmp_path: Path) -> Path:
    """Forty images, and one that cannot be read."""
    folder = tmp_path / "photos"
    folder.mkdir()
    sources = sorted((category / "test").rglob("*.png"))
    for index in range(40):
        shutil.copy(sources[index % len(sources)], folder / f"{index:02d}.png")
    (folder / "40.png").write_text("no image")
    return folder


@pytest.fixture
def one_processor() -> Iterator[None]:
    """Ray on this machine with one processor, in place of a cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "is_initialized", lambda: True)
        patch.setattr(ray, "cluster_resources", lambda: {"CPU": 1.0})
        yield


def rows_in(out: Path) -> list[dict[str, object]]:
    return [
        row for part in sorted((out / "parts").glob("*.parquet")) for row in pq.read_table(part).to_pylist()
    ]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_each_image_has_one_row_though_driver_and_node_die(
    cluster: Cluster, run: Path, photos: Path, tmp_path: Path
) -> None:
    manifest, out = tmp_path / "list.parquet", tmp_path / "out"
    names = [f"photos/{index:02d}.png" for index in range(41)]
    pq.write_table(pa.table({"image": [*names, names[0]]}), manifest)
    command = [*COMMAND, run, manifest, "-o", out, "--shard", "2", "--ray", cluster.address, "--json"]
    command += ["--memory", "1.2"]
    for dies in ("driver", "node", "nobody"):
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        before, given_up = len(rows_in(out)), time.monotonic() + 300
        while dies != "nobody" and len(rows_in(out)) <= before and driver.poll() is None:
            assert time.monotonic() < given_up
            time.sleep(0.05)
        if dies == "driver":
            os.killpg(driver.pid, signal.SIGKILL)
        elif dies == "node":
            cluster.kill_one()
        told, _ = driver.communicate(timeout=600)
    assert driver.returncode == 1, "one image cannot be read"
    assert json.loads(told)["images"] == 41

    rows = rows_in(out)
    [(unreadable, reason)] = json.loads(told)["failed"].items()
    assert unreadable == str(photos / "40.png")
    assert "image" in reason
    assert sorted(str(row["image"]) for row in rows) == [str(tmp_path / name) for name in names]
    alone = {row.image: (row.verdict, row.score) for row in verbs.predict(run, photos)}
    assert {row["image"]: (row["verdict"], row["score"]) for row in rows} == alone


def test_fewer_than_two_processors_are_refused(
    one_processor: None, run: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(wing.TooFewProcessorsError, match="Expected at least 2"):
        wing.predict(wing.Looking(run), [photos], tmp_path / "out")


def test_shards_that_are_there_stay_and_new_images_get_new_ones(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add([Path("b"), Path("c"), Path("b")], size=1)
    shards.add([Path("a"), Path("c"), Path("d")], size=5)
    assert [shards.images(number) for number in shards.numbers()] == [["b"], ["c"], ["a", "d"]]
    shards.write_part(1, [verbs.Row("c", 0.25, "OK", 0.0)])
    assert shards.left() == [0, 2]
    assert shards.verdicts() == {"OK": 1}


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"picture": ["a"]}, "no column `image`, but picture"),
        ({"image": [1]}, "a row has 1"),
        ({"image": []}, "lists no image"),
    ],
)
def test_a_manifest_that_lists_no_images_is_told(
    columns: dict[str, list[object]], complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.parquet"
    pq.write_table(pa.table(columns), file)
    with pytest.raises(wing.ManifestError, match=complaint):
        list(listed(file))
    file.write_text("no Parquet")
    with pytest.raises(wing.ManifestError, match="a column `image` of paths"):
        list(listed(file))
    file.unlink()
    with pytest.raises(wing.ManifestError, match="no such file"):
        list(listed(file))


def test_what_lies_beside_images_is_told(photos: Path, tmp_path: Path) -> None:
    (photos / "later").mkdir()
    (photos / "notes.txt").write_text("none")
    manifest = tmp_path / "list.parquet"
    pq.write_table(pa.table({"image": ["a.png"]}), manifest)
    told: list[verbs.Gathered] = []
    files = list(_files([photos, manifest], False, told.append))
    assert sorted(files) == sorted([*photos.glob("*.png"), tmp_path / "a.png"])
    [found] = told
    assert found.skipped == {"sub-folder": 1, ".txt file": 1}


def test_only_what_could_not_be_looked_at_gets_a_new_row(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add([Path("a"), Path("b"), Path("c")], size=2)
    shards.write_part(0, [verbs.Row("a", 0.25, "OK", 0.0), verbs.Row("b", None, "ERROR", None, error="late")])
    shards.write_part(1, [verbs.Row("c", 0.5, "OK", 0.0)])
    assert shards.left() == []
    assert shards.left(retry=True) == [0]
    assert list(shards.failed()) == [("b", "late")]
    before = shards.rows(0)["a"]
    shards.write_part(0, [verbs.Row("b", 0.75, "DEFECT", 0.5)])
    assert shards.rows(0)["a"] == before
    assert shards.rows(0)["b"]["score"] == 0.75
    assert shards.left(retry=True) == []


@pytest.mark.exhaustive
@pytest.mark.slow
def test_with_a_full_object_store_each_image_still_has_one_row(
    cluster: Cluster, run: Path, photos: Path, tmp_path: Path
) -> None:
    with cluster.full():
        told = predicted(cluster, run, photos, tmp_path / "out", "2")
    assert told["images"] == 41
    assert sorted(str(row["image"]) for row in rows_in(tmp_path / "out")) == sorted(
        str(photo) for photo in photos.iterdir()
    )


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_image_that_kills_every_worker_is_reported_and_the_others_are_looked_at(
    cluster: Cluster, run: Path, photos: Path, tmp_path: Path
) -> None:
    for photo in photos.glob("[1-4]*.png"):
        photo.unlink()
    (photos / "05.png").rename(photos / DEADLY)
    told = predicted(cluster, run, photos, tmp_path / "out", "5")
    assert told["images"] == 10
    rows = {Path(str(row["image"])).name: row for row in rows_in(tmp_path / "out")}
    assert "worker after worker died" in str(rows.pop(DEADLY)["error"])
    assert len(rows) == 9
    assert not any(row["error"] for row in rows.values())
    assert not list((tmp_path / "out").rglob("*.tries"))


def predicted(cluster: Cluster, run: Path, photos: Path, out: Path, shard: str) -> dict[str, int]:
    """What the command told; it ends with 1, because one image could not be looked at."""
    command = [*COMMAND, run, photos, "-o", out, "--shard", shard, "--json"]
    command += ["--ray", cluster.address, "--memory", "1.2"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    assert done.returncode == 1
    told: dict[str, int] = json.loads(done.stdout)
    return told


def test_an_image_is_deadly_when_two_workers_that_took_notes_died_of_it(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add([Path("a"), Path("b"), Path("c")], size=3)
    for came_to in ((0, 1), (0, 1), (0, 2), (0, 1)):
        attempt = shards.next_try(0)
        assert not any(attempt.deadly(place) for place in range(3))
        for place in came_to:
            attempt.comes_to(place)
    attempt = shards.next_try(0)
    assert [attempt.deadly(place) for place in range(3)] == [False, True, False]
    shards.write_part(0, [verbs.Row(name, 0.25, "OK", 0.0) for name in "abc"])
    assert not list(tmp_path.rglob("*.tries"))
