"""Images larger than the detector's side, seen in tiles, from training to exported file."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flawtrace import verbs
from flawtrace.data.folders import read_category
from flawtrace.detector.artefact import Detector, resized
from flawtrace.detector.exporting import Export
from flawtrace.detector.runtime import load
from flawtrace.detector.stopwatch import look
from flawtrace.ground.files import read_json
from flawtrace.measures.evaluation import evaluate
from flawtrace.pictures.images import as_picture, read_image, write_picture
from flawtrace.pictures.synthetic import make_dataset


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bricks of 160 x 160 pixels, of which a tile of 64 shows a part."""
    root = tmp_path_factory.mktemp("large")
    return make_dataset(root, side=160, num_normal=5, num_test_normal=2, num_per_type=3)


@pytest.fixture(scope="module")
def tiled(large: Path, tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("tiled") / "run"
    verbs.train(large, run, settings=tiny | {"tile_side": 64, "normal_limit": 12})
    return run


def test_training_takes_so_many_tiles_and_names_those_with_labels(tiled: Path) -> None:
    summary = read_json(tiled / "training.json")
    assert summary["num_normal"] == 12
    assert len(summary["labelled"]) >= len(summary["labelled_files"]) == 6
    assert all(name.endswith(")") for name in summary["labelled"])
    facts = Detector.load(tiled).facts
    assert (facts.num_labelled, facts.num_normal) == (6, 5)  # images


def test_a_map_has_the_size_of_the_image_and_is_made_of_its_tiles(tiled: Path, large: Path) -> None:
    detector = Detector.load(tiled)
    image = read_image(read_category(large).anomalous[0].image)
    found = detector.predict(image)
    alone = detector.anomaly_maps(image[None, :, :64, :64])[0]
    assert found.anomaly_map.shape == (160, 160)
    assert torch.allclose(found.anomaly_map[:40, :40], alone[:40, :40], atol=1e-6)


def test_a_map_of_tiles_has_no_seam(tiled: Path, large: Path) -> None:
    """Steps between pixels are no larger where tiles begin and end than anywhere else."""
    detector = Detector.load(tiled)
    images = [read_image(sample.image) for sample in read_category(large).test_normal]
    steps = torch.stack([detector.predict(image).anomaly_map.diff(dim=1).abs() for image in images])
    edges = [47, 63, 95, 111]  # of tiles that begin at 0, 48 and 96
    assert steps[:, :, edges].mean() <= 1.1 * steps.mean()


def test_test_images_are_judged_whole_at_their_working_size(tiled: Path, large: Path) -> None:
    evaluation = evaluate(Detector.load(tiled), read_category(large).samples)
    assert {case.anomaly_map.shape for case in evaluation.cases} == {(160, 160)}
    assert evaluation.num_left_out == 5 + 6
    assert verbs.evaluate(tiled, large).metrics["pixel_auroc"] is not None


def test_a_detector_of_tiles_is_compared_with_one_without_at_the_larger_size(
    tiled: Path, large: Path, own_run: Path
) -> None:
    """Maps, masks and the pictures of changed verdicts have one size, whichever detector comes first."""
    verbs.decide(own_run, threshold=0.0)  # calls everything defective
    for detectors in ((own_run, tiled), (tiled, own_run)):
        found = verbs.compare(*detectors, large, own_run.parent / "comparison.html")
        sizes = {case.mask.shape for side in (found.before, found.after) for case in side.cases}
        assert sizes == {(160, 160)}
        assert found.changed


def test_images_of_several_sizes_are_each_looked_at_as_they_are(
    tiled: Path, large: Path, tmp_path: Path
) -> None:
    """Only the finished map is resized to the common size, not the image before it is looked at."""
    copy = tmp_path / "parts"
    shutil.copytree(large, copy)
    sample = read_category(copy).test_normal[0]
    narrow = read_image(sample.image)[:, :, :100]
    write_picture(sample.image, as_picture(narrow))
    detector = Detector.load(tiled)
    case = next(c for c in evaluate(detector, read_category(copy).samples).cases if c.sample == sample)
    expected = detector.predict(read_image(sample.image)).anomaly_map
    assert case.anomaly_map.shape == (160, 160)
    assert torch.allclose(resized(expected[None], 160, 160)[0], case.anomaly_map, atol=1e-6)


def test_a_tiled_detector_is_timed_on_whole_images(tiled: Path) -> None:
    """What is timed is what `predict` does, from tile to joined map."""
    assert verbs.bench(tiled, repeats=1).height == 64
    detector, images = Detector.load(tiled), torch.rand(1, 3, 150, 200)
    (looked,) = look(detector, images)
    assert torch.equal(looked.anomaly_map, detector.predict(images[0]).anomaly_map)


@pytest.fixture(scope="module")
def exported(tiled: Path, export: Callable[..., Export], tmp_path_factory: pytest.TempPathFactory) -> Export:
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    return export(tiled, tmp_path_factory.mktemp("exported") / "bricks.onnx")


@pytest.mark.slow
def test_tiles_and_a_region_of_interest_are_exported_together(
    tiled: Path, large: Path, export: Callable[..., Export], tmp_path: Path
) -> None:
    """Whoever cuts the tiles blackens what lies outside; the graph knows nothing of it."""
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    detector, image = Detector.load(tiled), read_category(large).anomalous[0].image
    corners = ((0.1, 0.1), (0.8, 0.1), (0.8, 0.9), (0.1, 0.9))
    detector.config = detector.config.model_copy(update={"region": (corners,)})
    detector.save(tmp_path / "bricks.safetensors")
    exported = load(export(tmp_path / "bricks.safetensors", images=image).file, "onnx")
    found, expected = exported.predict(image), detector.predict(image)
    assert torch.allclose(found.anomaly_map, expected.anomaly_map, atol=1e-4)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_an_exported_detector_sees_the_same_tiles(
    tiled: Path, large: Path, exported: Export, runtime: Any
) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    image = read_image(read_category(large).test_normal[0].image)
    expected = Detector.load(tiled).predict(image)
    assert exported.differences["onnx"] < 1e-5
    assert torch.allclose(
        load(exported.file, runtime).predict(image).anomaly_map, expected.anomaly_map, atol=1e-4
    )
