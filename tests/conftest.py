"""Shared by all tests."""

import copy
import json
import os
import shutil
import signal
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from hypothesis import settings
from torch.nn import functional as F
from xdist.scheduler import LoadScopeScheduling

from flawtrace import verbs
from flawtrace.detector import exporting
from flawtrace.detector.artefact import Detector
from flawtrace.detector.exporting import Export
from flawtrace.detector.file import checksum
from flawtrace.ground.config import Config
from flawtrace.ground.learner import seeded
from flawtrace.ground.presets import load_config
from flawtrace.method.material import Material, covered
from flawtrace.method.patches import edges
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.report import plots
from flawtrace.training.checkpoint import pack, unpack

settings.register_profile("flawtrace", deadline=None, derandomize=True)  # torch's first call is slow
settings.load_profile("flawtrace")


collect_ignore_glob = ["conftest.py", "*/conftest.py"]
"""No examples to run; of two files of that name only one could be imported."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exhaustive", action="store_true", help="also the tests that take longest")


def pytest_configure(config: pytest.Config) -> None:
    """Detectors that a second of training makes are doubtful. Not in a file, which would import too early.

    Ctrl-C means something even where a shell has started the tests in the background, and so ignores it.
    """
    config.addinivalue_line("filterwarnings", "ignore::flawtrace.detector.errors.DoubtWarning")
    if find_spec("ray") is None:  # the examples in files that import it are passed over
        config.option.ignore_glob = [
            *(config.option.ignore_glob or []),
            f"{Path(__file__).parents[1]}/src/flawtrace/cluster/*",
        ]
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


EXPORTING = ("tests/detector/test_exporting.py", "tests/house/test_recipes.py")
"""Files whose tests want the same exports."""


def group(nodeid: str) -> str:
    """Of tests that stay on one worker: a file's, so that what they share is made once; all of those on a
    cluster, so that there is one; those with the same exports, each of which takes 13 s.
    """
    file = nodeid.partition("::")[0]
    if file in EXPORTING:
        return EXPORTING[0]
    return "tests/cluster" if file.startswith("tests/cluster/") else file


class ByGroup(LoadScopeScheduling):
    """`--dist loadgroup` without marks: xdist 3.8 writes them into names that pytest 9.2 no longer reads, and
    spreads the tests of a group over all workers without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return ByGroup(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Exhaustive tests run only if they are named or asked for. Groups with many slow tests begin first: one
    worker would still be at them when all others are done.
    """
    if not (config.option.exhaustive or any("::" in argument for argument in config.args)):
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
    slow = Counter(group(item.nodeid) for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[group(item.nodeid)])


@pytest.fixture(autouse=True)
def the_same_chance_each_time() -> Iterator[None]:
    """A test sees the same random images in every run and order: what fails can be seen to fail again."""
    with seeded(0):
        yield


@pytest.fixture(scope="session", autouse=True)
def all_curves() -> Iterator[dict[str, Any]]:
    """Those that a report draws of a training; under test it draws one, since six take a third of a tiny
    training's time. `tests/report` draws all.
    """
    curves = plots.LEARNING
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "LEARNING", {"returns": curves["returns"]})
        yield curves


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images beside the repository; its licence keeps it out of the repository."""
    named = os.environ.get("FLAWTRACE_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared/data"
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder}; FLAWTRACE_DATA can name their folder")
    return folder


TINY: dict[str, Any] = tomllib.loads((Path(__file__).parent / "tiny.toml").read_text())


@pytest.fixture
def small() -> Callable[..., Config]:
    """Makes the tiny settings, changed by settings with dotted names (`__` for a dot)."""

    def make(**changes: Any) -> Config:
        return load_config(settings=TINY | {name.replace("__", "."): v for name, v in changes.items()})

    return make


@pytest.fixture(scope="session")
def material() -> Material:
    """Five normal images and three with a square defect, each of those with one copy: 32 x 32 cells."""
    rng = torch.Generator().manual_seed(7)
    images = F.interpolate(torch.rand(8, 3, 8, 8, generator=rng), size=64, mode="bilinear")
    masks = torch.zeros(3, 64, 64, dtype=torch.bool)
    masks[:, 20:36, 24:40] = True
    images[5:] = torch.where(masks[:, None], 1 - images[5:], images[5:])
    copies, copied_masks = images[5:].flip(-1), masks.flip(-1)
    coverage = covered(torch.cat([masks, copied_masks]), 32)
    encode = partial(F.adaptive_avg_pool2d, output_size=32)
    return Material(
        canvases=encode(images).half(),
        images=encode(images),
        texture=encode(edges(images)[:, None])[:, 0],
        coverage=torch.cat([torch.zeros(5, 32, 32), coverage[:3]]),
        labelled=encode(torch.cat([images[5:], copies])).half(),
        labelled_coverage=coverage,
        pictures=images.half(),
        labelled_pictures=torch.cat([images[5:], copies]).half(),
        labelled_masks=torch.cat([masks, copied_masks]),
        unmasked=torch.zeros(0, 3, 32, 32).half(),
        unmasked_pictures=torch.zeros(0, 3, 64, 64).half(),
        sources=torch.arange(5),
        scales=(3,),
        num_normal=5,
        num_labelled=3,
    )


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Sends a state through a checkpoint file."""

    def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
        path = tmp_path / "state.safetensors"
        path.write_bytes(pack(state))
        return unpack(path)

    return through_a_file


@pytest.fixture(scope="session")
def category(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in MVTec AD's layout: bricks of 64 x 64 pixels with three types of defects."""
    root = tmp_path_factory.mktemp("bricks")
    return make_dataset(root, side=64, num_normal=9, num_test_normal=3, num_per_type=4)


@pytest.fixture(scope="session")
def run(category: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run on `category`, read only: what one test leaves there, another would meet, or not, by the
    order of both.
    """
    out = tmp_path_factory.mktemp("finished") / "run"
    verbs.train(category, out, settings=TINY)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    yield out
    after = {file.name: file.read_bytes() for file in out.iterdir()}
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert not changed, "a test has written to the run that all share; `own_run` is a copy of it"


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to write to."""
    return Path(shutil.copytree(run, tmp_path / "own"))


@pytest.fixture(scope="session")
def export() -> Callable[..., Export]:
    """Exports as users do, but translates the same detector once, which takes 13 s.

    Shapes are symbols meanwhile, and the checks of all other tests want numbers.
    """
    graphs: dict[str, Any] = {}
    translated = exporting.graph_of

    def graph_of(detector: Detector) -> Any:
        origin = json.dumps(detector.header) + checksum(detector.state_dict())
        if origin not in graphs:
            graphs[origin] = translated(detector)
        return copy.deepcopy(graphs[origin])

    def unchecked(*args: Any, **more: Any) -> Export:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
            patch.setattr(exporting, "graph_of", graph_of)
            return verbs.export(*args, **more)

    return unchecked


@pytest.fixture(scope="session")
def exported(run: Path, export: Callable[..., Export], tmp_path_factory: pytest.TempPathFactory) -> Export:
    """`run` as ONNX."""
    return export(run, tmp_path_factory.mktemp("exported") / "bricks.onnx")


@pytest.fixture(scope="session")
def from_camera(run: Path, export: Callable[..., Export], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file that takes bytes."""
    return export(run, tmp_path_factory.mktemp("camera") / "bricks.onnx", input="uint8").file


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    return TINY
