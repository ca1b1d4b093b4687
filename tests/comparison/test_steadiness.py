"""Spoilt test images: every way is asked about, whatever the size of the images."""

from dataclasses import replace
from pathlib import Path

import torch

from flawtrace.comparison.steadiness import AS_TAKEN, SPOILT, spoilt_verdicts, steadiness
from flawtrace.data.folders import read_category
from flawtrace.data.samples import Sample
from flawtrace.detector.artefact import Detector
from flawtrace.pictures.images import read_image, write_picture


def test_every_way_changes_an_image_and_keeps_its_range_and_size() -> None:
    image = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    for name, spoil in SPOILT.items():
        spoilt = spoil(image)
        assert spoilt.shape == image.shape
        assert 0 <= spoilt.min() <= spoilt.max() <= 1
        assert spoilt.equal(image) == (name == AS_TAKEN)


def test_images_as_they_are_get_the_verdicts_that_predict_gives(run: Path, category: Path) -> None:
    detector = Detector.load(run)
    known = read_category(category)
    samples = [*known.test_normal, *known.anomalous]
    found = spoilt_verdicts(detector, samples)
    verdicts = [detector.predict(read_image(s.image)).verdict for s in samples if not s.anomalous]
    assert set(found) == set(SPOILT)
    for verdict, count in found[AS_TAKEN]["normal"].items():
        assert count == verdicts.count(verdict)
    assert all(sum(kinds["normal"].values()) == len(verdicts) for kinds in found.values())


def test_a_category_without_normal_test_images_has_no_steadiness(run: Path, tmp_path: Path) -> None:
    write_picture(tmp_path / "some.png", torch.full((64, 64, 3), 90, dtype=torch.uint8))
    sample = replace(Sample(tmp_path / "some.png", None, None), defect_type="hole")
    assert steadiness(spoilt_verdicts(Detector.load(run), [sample])) is None
