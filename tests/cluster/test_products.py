"""Many products: what is done stays done, what fails stops nobody, here as on a cluster."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import Cluster

from flawtrace import verbs
from flawtrace.comparison import NoCategoryError

TINY = Path(__file__).parents[1] / "tiny.toml"
COMMAND = [sys.executable, "-c", "from flawtrace.cli.app import main; main()", "train-all"]


@pytest.fixture
def products(category: Path, tmp_path: Path) -> Path:
    """Two products, one of them below a folder, and one that cannot be read."""
    root = tmp_path / "products"
    shutil.copytree(category, root / "line-1/screw")
    shutil.copytree(category, root / "nut")
    (root / "torn/normal").mkdir(parents=True)
    (root / "torn/normal/0.png").write_text("no image")
    return root


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_cluster_trains_the_same_detectors_and_none_of_them_twice(
    cluster: Cluster, products: Path, tmp_path: Path
) -> None:
    command = [*COMMAND, products, "-o", tmp_path / "there", "--settings", TINY, "--json"]
    command += ["--ray", cluster.address, "--memory", "1.2"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 1
    told = {product["name"]: product for product in json.loads(done.stdout)}
    assert {name: product["state"] for name, product in told.items()} == {
        "line-1/screw": "trained",
        "nut": "trained",
        "torn": "failed",
    }
    assert "0.png is no image" in told["torn"]["error"]

    found = verbs.train_all(products, tmp_path / "there", settings_file=TINY)
    assert [product.state for product in found] == ["done before", "done before", "failed"]

    alone = verbs.train(products / "nut", tmp_path / "here", settings_file=TINY)
    kept = (tmp_path / "there/nut/detector.safetensors").read_bytes()
    assert kept == (tmp_path / "here/detector.safetensors").read_bytes()
    assert alone.summary["validation"].get("pixel_f1") == told["nut"]["pixel_f1"]


def test_runs_are_not_put_among_the_images_of_a_product(products: Path) -> None:
    with pytest.raises(verbs.ForeignFolderError):
        verbs.train_all(products, products / "nut/runs", settings_file=TINY)
    assert not (products / "nut/runs").exists()


def test_a_folder_without_products_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoCategoryError):
        verbs.train_all(tmp_path, tmp_path / "out")
