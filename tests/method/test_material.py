from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flawtrace.data.folders import read_category
from flawtrace.data.splits import draw_split
from flawtrace.ground.presets import load_config
from flawtrace.method.material import Loading, Material, Prepared, covered, prepare
from flawtrace.pictures.synthetic import make_dataset

CONFIG = load_config(
    settings={
        "encoder": "pixels",
        "image_side": 64,
        "cell": 4,
        "copies": 2,
        "sampler.patch_side": 32,
        "predictor.crop_side": 64,
    }
)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Loading | Prepared]:
    """Of preparing nine normal and three labelled images with two copies each, at 16 x 16 cells."""
    root = make_dataset(
        tmp_path_factory.mktemp("data"), side=64, num_normal=9, num_test_normal=1, num_per_type=2
    )
    return list(prepare(draw_split(read_category(root), 1, seed=0), CONFIG))


@pytest.fixture
def prepared(events: list[Loading | Prepared]) -> Prepared:
    assert isinstance(events[-1], Prepared)
    return events[-1]


def test_coverage_is_the_share_of_each_cell() -> None:
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 0, 0] = mask[0, 2:, 2:] = True
    assert covered(mask, 2).tolist() == [[[0.25, 0.0], [0.0, 1.0]]]


@pytest.mark.parametrize(("indices", "rows"), [([], []), ([1], [1, 5, 6]), ([0, 2], [0, 2, 3, 4, 7, 8])])
def test_with_copies_come_the_rows_of_the_copies(
    material: Material, indices: list[int], rows: list[int]
) -> None:
    three_each = replace(
        material,
        labelled=material.labelled.repeat(2, 1, 1, 1)[:9],
        labelled_coverage=material.labelled_coverage.repeat(2, 1, 1)[:9],
        labelled_pictures=material.labelled_pictures.repeat(2, 1, 1, 1)[:9],
        labelled_masks=material.labelled_masks.repeat(2, 1, 1)[:9],
    )
    assert three_each.with_copies(indices) == rows


def test_preparing_tells_how_far_it_is(events: list[Loading | Prepared]) -> None:
    done = [event.done for event in events if isinstance(event, Loading)]
    assert done == sorted(done)
    assert done[-1] == 9 + 3 * 3


def test_canvases_are_normal_images_then_labelled_ones(prepared: Prepared) -> None:
    material = prepared.material
    assert (material.num_normal, material.num_labelled) == (9, 3)
    assert material.canvases[9:].equal(material.labelled[:3])


def test_only_labelled_images_are_covered(prepared: Prepared) -> None:
    covered_images = prepared.material.coverage.flatten(1).any(dim=1)
    assert covered_images.tolist() == [False] * 9 + [True] * 3


def test_canvases_are_in_half_precision(prepared: Prepared) -> None:
    assert prepared.material.canvases.dtype == prepared.material.labelled.dtype == torch.half


def test_every_training_image_has_its_digest(prepared: Prepared) -> None:
    assert len(set(prepared.digests)) == 12


def test_pictures_have_one_pixel_per_cell(prepared: Prepared) -> None:
    assert prepared.material.images.shape == (12, 3, 16, 16)
    assert prepared.material.images.allclose(prepared.material.canvases.float(), atol=1e-3)


def test_the_data_folder_is_left_alone(tmp_path: Path) -> None:
    root = make_dataset(tmp_path, side=64, num_normal=2, num_test_normal=1, num_per_type=1)
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    list(prepare(draw_split(read_category(root), 1, seed=0), CONFIG))
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
