"""Nothing outside of the region of interest counts."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from flawtrace import verbs
from flawtrace.data import read_category
from flawtrace.data.errors import HiddenDefectError
from flawtrace.detector import Detector
from flawtrace.measures.evaluation import stacked
from flawtrace.measures.metrics import pixel_auroc
from flawtrace.pictures.images import fit, read_image
from flawtrace.pictures.region import RegionError, inside, read_region, refuse_other_shape, within


@given(arrays(bool, st.tuples(st.integers(4, 12), st.integers(4, 12))).filter(lambda mask: mask.any()))
def test_a_mask_becomes_polygons_and_comes_back(mask: np.ndarray) -> None:
    from flawtrace.pictures.region import _from_mask  # noqa: PLC0415

    assert (inside(_from_mask(torch.from_numpy(mask)), *mask.shape).numpy() == mask).all()


def test_polygons_are_in_pixels_of_the_size_they_name(tmp_path: Path) -> None:
    document = {"size": [20, 10], "polygons": [[[0, 0], [10, 0], [10, 10], [0, 10]]]}
    (tmp_path / "region.json").write_text(json.dumps(document))
    mask = inside(read_region(tmp_path / "region.json"), 8, 8)
    assert mask[:, :4].all()
    assert not mask[:, 4:].any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "size: field required"),
        ("no", "invalid JSON"),
        ('{"size": [0, 1], "polygons": []}', r"size\[0\]: input should be greater than 0"),
        ('{"size": [1, 1], "polygons": []}', "it holds no region"),
        ('{"size": [9, 9], "polygons": [[[1, 1], [2, 2]]]}', r"polygons\[0\]: list should have at least 3"),
        ('{"size": [9, 9], "polygons": [[[1, 1], [2], [3, 3]]]}', r"polygons\[0\]\[1\]\[1\]: field"),
        ('{"size": [9, 9], "polygons": [[[1, 1], [2, "x"], [3, 3]]]}', r"polygons\[0\]\[1\]\[1\]: input"),
        ('{"size": [9, 9], "polygons": null}', "polygons: input should be a valid array"),
    ],
)
def test_what_is_no_region_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "region.json").write_text(text)
    with pytest.raises(RegionError, match=rf"region of interest: {said}"):
        read_region(tmp_path / "region.json")


def test_a_region_fits_images_of_its_own_shape_alone(tmp_path: Path) -> None:
    file, image = tmp_path / "region.png", tmp_path / "image.png"
    Image.new("L", (64, 32), 255).save(file)
    refuse_other_shape(file, {image: (64, 128)})
    with pytest.raises(RegionError, match=r"for 64 x 32 pixels, and .*image\.png has another shape, 48 x 64"):
        refuse_other_shape(file, {image: (64, 48)})


def test_training_refuses_a_region_of_another_shape(category: Path, tmp_path: Path) -> None:
    (tmp_path / "wide.json").write_text('{"size": [20, 10], "polygons": [[[0, 0], [9, 0], [9, 9]]]}')
    with pytest.raises(RegionError, match="another shape"):
        verbs.train(category, tmp_path / "run", region=tmp_path / "wide.json")
    assert not (tmp_path / "run").exists()


def test_inspection_names_the_region_and_what_it_hides(category: Path, tmp_path: Path) -> None:
    root = shutil.copytree(category, tmp_path / "parts")
    mask = np.zeros((64, 64), np.uint8)
    mask[:4, :4] = 255
    Image.fromarray(mask).save(root / "region.png")
    found = verbs.inspect(root)
    assert found.seen.endswith("; region of interest in region.png")
    assert "region.png" not in found.ignored
    hidden = "hides the whole defect in ground_truth/hole/000_mask.png and"
    assert [text for text in found.warnings if hidden in text]
    Image.fromarray(mask[:32]).save(root / "region.png")
    assert [text for text in verbs.inspect(root).problems if "another shape" in text]


def test_without_a_region_nothing_changes() -> None:
    image = torch.rand(3, 5, 5)
    assert within(image, None) is image


@pytest.fixture(scope="module")
def left(category: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on bricks of which the left two thirds count."""
    root = shutil.copytree(category, tmp_path_factory.mktemp("left") / "parts")
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :44] = 255
    Image.fromarray(mask).save(root / "region.png")
    return root


@pytest.fixture(scope="module")
def narrow(left: Path, tiny: dict[str, Any]) -> Detector:
    kept = [s for s in read_category(left).anomalous if not _inside(s.mask)]
    for sample in kept:
        sample.image.unlink()
        assert sample.mask is not None
        sample.mask.unlink()
    verbs.train(left, left / "run", settings=tiny | {"labels": 2})
    return Detector.load(left / "run")


def _inside(mask: Path | None) -> bool:
    assert mask is not None
    return bool((np.asarray(Image.open(mask))[:, :44] > 0).any())


def test_what_is_painted_outside_changes_nothing(narrow: Detector, left: Path) -> None:
    image = read_image(next((left / "test/good").iterdir()))
    spoilt = image.clone()
    spoilt[:, 10:40, 46:64] = torch.rand(3, 30, 18)
    before, after = narrow.predict(image), narrow.predict(spoilt)
    assert torch.equal(before.anomaly_map, after.anomaly_map)
    assert before.score == after.score
    assert not before.anomaly_map[:, 44:].any()


def test_the_graph_for_export_says_the_same(narrow: Detector, left: Path) -> None:
    image = read_image(next((left / "test/hole").iterdir()))
    for size in ((64, 64), (150, 90), (31, 200)):
        resized = fit(image, *size)
        with torch.no_grad():
            maps, _, scores, _ = narrow(resized[None])
        found = narrow.predict(resized)
        assert maps[0].allclose(found.anomaly_map, atol=1e-4)
        assert float(scores[0]) == pytest.approx(found.score, abs=1e-4)


def test_any_size_is_divided_alike() -> None:
    triangle = (((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),)
    for height, width in ((7, 3000), (1024, 1024), (256, 300)):
        share = float(inside(triangle, height, width).float().mean())
        assert share == pytest.approx(0.5, abs=0.5 / min(height, width, 1024) + 0.001)


def test_a_defect_that_lies_outside_is_named(category: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:8, :8] = 255
    Image.fromarray(mask).save(tmp_path / "corner.png")
    with pytest.raises(HiddenDefectError, match="region of interest hides the whole defect"):
        verbs.train(category, tmp_path / "run", settings=tiny, region=tmp_path / "corner.png")


def test_another_background_makes_nobody_unsure(narrow: Detector, left: Path) -> None:
    image = read_image(next((left / "test/good").iterdir()))
    image[:, :, 44:] = 1.0
    said = narrow.predict(image)
    assert said.doubt is None or "unlike" not in said.doubt
    inside_alone = narrow.predict(1 - image)
    assert inside_alone.doubt is not None
    assert "unlike" in inside_alone.doubt
    narrow.facts = replace(narrow.facts, familiar_in_region=False)  # as before format 8
    before = narrow.predict(image).doubt
    narrow.facts = replace(narrow.facts, familiar_in_region=True)
    assert before is not None
    assert "brightness" in before


def test_evaluation_leaves_out_what_lies_outside(narrow: Detector, left: Path) -> None:
    """A pixel that nobody looks at is not one that was rightly called normal."""
    assert narrow.config.region is not None
    found = verbs.evaluate(left / "run", left)
    maps, masks, ignored = stacked(found.cases)
    assert ignored is not None
    assert ignored[:, :, 44:].all()
    assert not masks[:, :, 44:].any()
    inner = pixel_auroc(maps[:, :, :44], masks[:, :, :44])
    assert found.metrics["pixel_auroc"] == pytest.approx(inner)


def test_detectors_of_two_regions_are_compared_where_both_look(
    narrow: Detector, left: Path, run: Path
) -> None:
    assert narrow.config.region is not None
    for detectors in ((left / "run", run), (run, left / "run")):
        found = verbs.compare(*detectors, left, left / "comparison.html")
        assert all(torch.equal(pair.before.mask, pair.after.mask) for pair in found.pairs)
        assert all(case.ignored is not None for side in (found.before, found.after) for case in side.cases)


def test_inspection_compares_what_lies_inside(left: Path, tmp_path: Path) -> None:
    """Test images on a white table, the part itself as it was."""
    root = shutil.copytree(left, tmp_path / "parts", ignore=shutil.ignore_patterns("run"))
    for index, path in enumerate(sorted((root / "train/good").iterdir())[:3]):
        shutil.copy(path, path.with_stem(f"more{index}"))
    shutil.rmtree(root / "test/good")
    shutil.copytree(root / "train/good", root / "test/good")
    for path in (root / "test/good").iterdir():
        pixels = np.array(Image.open(path))
        pixels[:, 44:] = 255
        Image.fromarray(pixels).save(path)
    moved = "normal test images differ"
    assert not [text for text in verbs.inspect(root).warnings if moved in text]
    (root / "region.png").unlink()
    assert [text for text in verbs.inspect(root).warnings if moved in text]
