"""Clusters for tests."""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from nodes import Cluster, environment

from flawtrace.pictures.synthetic import make_dataset

os.environ.update(environment())  # before Ray is imported, which reads them once

HAS_RAY = find_spec("ray") is not None
if not HAS_RAY:
    collect_ignore = ["test_shards.py", "test_tuning.py"]  # they import it
    if os.environ.get("FLAWTRACE_CI"):
        raise RuntimeError("CI has Ray, and it is not here")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two workers of one processor each; processes of other tests have other addresses."""
    if not HAS_RAY:
        pytest.skip("no Ray here: pip install 'flawtrace[cluster]'")
    made = Cluster(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 1)
    try:
        made.open()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one product, which has enough defect images for five labels."""
    root = tmp_path_factory.mktemp("parts")
    make_dataset(root / "bricks", side=64, num_normal=9, num_test_normal=3, num_per_type=7)
    return root


@pytest.fixture
def methods(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a methods file whose methods all have the tiny settings."""

    def write(tables: str) -> Path:
        tiny = (Path(__file__).parents[1] / "tiny.toml").read_text().replace("labels = 2\n", "")
        file = tmp_path / "methods.toml"
        file.write_text("[shared.settings]\n" + tiny.replace("\n[", "\n[shared.settings.") + tables)
        return file

    return write
