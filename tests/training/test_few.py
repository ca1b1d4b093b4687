"""Data that are hardly enough: every number of a decision has a value, or is said to be unknown."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from flawtrace import verbs
from flawtrace.detector import Detector
from flawtrace.pictures.synthetic import make_dataset


def trained(
    folder: Path, tiny: dict[str, Any], num_types: int = 3, num_normal: int = 9, **settings: Any
) -> Detector:
    """On a category with these images, and three of each type."""
    root = make_dataset(folder / "parts", side=64, num_normal=num_normal, num_test_normal=2, num_per_type=3)
    types = sorted(kind.name for kind in (root / "ground_truth").iterdir())
    for kind in types[num_types:]:
        shutil.rmtree(root / "test" / kind)
        shutil.rmtree(root / "ground_truth" / kind)
    verbs.train(root, folder / "run", settings=tiny | settings)
    return Detector.load(folder / "run")


def agrees(detector: Detector, folder: Path) -> None:
    """Numbers are finite and in order, and verdicts agree with masks and thresholds."""
    numbers = detector.thresholds
    assert all(math.isfinite(value) for value in vars(numbers).values())
    assert numbers.outline <= numbers.peak
    assert numbers.unsure <= numbers.defect
    rows = list(verbs.predict(folder / "run", sorted((folder / "parts/test").iterdir())))
    assert rows
    for row in rows:
        assert row.verdict in ("OK", "UNSURE", "DEFECT")
        if row.verdict == "DEFECT":
            assert row.score is not None
            assert row.score >= numbers.defect
            assert row.defective_share
        if row.verdict == "OK":
            assert not row.defective_share


def test_one_label_of_each_type(tiny: dict[str, Any], tmp_path: Path) -> None:
    detector = trained(tmp_path, tiny, labels=1)
    assert detector.facts.misses["images"] == 3
    agrees(detector, tmp_path)


def test_one_type(tiny: dict[str, Any], tmp_path: Path) -> None:
    detector = trained(tmp_path, tiny, num_types=1)
    assert detector.facts.misses["images"] == 2
    agrees(detector, tmp_path)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_few_normal_images(tiny: dict[str, Any], tmp_path: Path, count: int) -> None:
    """All of them judge the rate of false alarms, as they were taken or as of another day."""
    detector = trained(tmp_path, tiny, num_normal=count)
    assert 0 < detector.facts.false_alarms["images"] <= count
    assert detector.facts.false_alarms["high"] >= 0.3 / count
    agrees(detector, tmp_path)


def test_tiles(tiny: dict[str, Any], tmp_path: Path) -> None:
    detector = trained(tmp_path, tiny, tile_side=32, image_side=32)
    assert detector.facts.false_alarms["images"] > 9
    agrees(detector, tmp_path)


def test_one_number_decides_where_the_maximum_of_the_map_is_the_score(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    detector = trained(tmp_path, tiny, score="maximum")
    agrees(detector, tmp_path)
