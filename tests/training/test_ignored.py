"""Ignored pixels: whatever is there, nothing learns from it, and nobody is judged by it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from flawtrace.data import Sample, Split, read_category
from flawtrace.data.pieces import ignored_at, mask_at, pieces
from flawtrace.ground.presets import load_config
from flawtrace.method.material import Prepared, prepare
from flawtrace.method.predictor import prediction_loss
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.training import Trained, train

SIDE = 64


@pytest.fixture
def split(tmp_path: Path, tiny: dict[str, Any]) -> Split:
    """Six labels, with the upper left quarter of each image ignored."""
    root = make_dataset(tmp_path / "parts", side=SIDE, num_normal=9, num_test_normal=2, num_per_type=4)
    category = read_category(root)
    ignored = np.zeros((SIDE, SIDE), np.uint8)
    ignored[: SIDE // 2, : SIDE // 2] = 255
    Image.fromarray(ignored).save(tmp_path / "ignored.png")
    labelled = [replace(sample, ignored=tmp_path / "ignored.png") for sample in category.anomalous]
    shown = [sample for sample in labelled if mask_at(sample, (SIDE, SIDE)).any()]
    return Split(category.normal, tuple(shown[:6]), ())


def test_a_mask_ends_where_pixels_are_ignored(split: Split) -> None:
    for sample in split.labelled:
        both = mask_at(sample, (SIDE, SIDE)) & ignored_at(sample, (SIDE, SIDE))
        assert not both.any()
        assert 16 * 16 <= ignored_at(sample, (32, 32)).sum() <= 17 * 17


def test_normal_images_with_ignored_pixels_teach_nothing(split: Split) -> None:
    doubtful = replace(split.normal[0], ignored=split.labelled[0].ignored)
    taken = pieces(replace(split, normal=(doubtful, *split.normal[1:])), load_config())
    assert doubtful.image not in {sample.image for sample in taken.normal}
    assert len(taken.normal) == len(split.normal) - 1


def test_ignored_pixels_carry_no_gradient_and_no_loss(rng: torch.Generator) -> None:
    logits = torch.randn(2, 8, 8, generator=rng, requires_grad=True)
    coverage = (torch.rand(2, 8, 8, generator=rng) > 0.7).float()
    ignored = torch.zeros(2, 8, 8).bool()
    ignored[:, :4] = True
    loss = prediction_loss(logits, coverage, 1.0, 1.0, ignored)
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[ignored].any()
    assert logits.grad[~ignored].all()
    other = torch.where(ignored, 7.0, logits.detach())
    assert torch.equal(loss, prediction_loss(other, coverage.masked_fill(ignored, 1), 1.0, 1.0, ignored))


def test_copies_move_what_is_ignored_with_the_image(split: Split, tiny: dict[str, Any]) -> None:
    config = load_config(settings=tiny | {"copies": 2, "image_side": SIDE})
    *_, prepared = prepare(split, config)
    assert isinstance(prepared, Prepared)
    ignored = prepared.material.labelled_ignored
    assert ignored is not None
    assert ignored.shape == prepared.material.labelled_masks.shape
    assert not (ignored & prepared.material.labelled_masks).all()
    assert ignored.flatten(1).any(dim=1).all()


def test_what_a_mask_says_of_ignored_pixels_changes_no_detector(
    split: Split, tiny: dict[str, Any], tmp_path: Path
) -> None:
    """The same labels, with masks that mark all or nothing of what is ignored."""
    found = []
    for name, value in (("all", 255), ("nothing", 0)):
        labelled = tuple(_drawn_over(sample, value, tmp_path / name) for sample in split.labelled)
        config = load_config(settings=tiny)
        *_, trained = train(replace(split, labelled=labelled), config, tmp_path / f"run-{name}")
        assert isinstance(trained, Trained)
        found.append(trained.detector)
    one, other = (detector.state_dict() for detector in found)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert found[0].thresholds == found[1].thresholds


def _drawn_over(sample: Sample, value: int, folder: Path) -> Sample:
    """The sample with a mask whose ignored pixels all have this value."""
    assert sample.mask is not None
    folder.mkdir(exist_ok=True)
    mask = np.array(Image.open(sample.mask))
    mask[: SIDE // 2, : SIDE // 2] = value
    Image.fromarray(mask).save(folder / sample.mask.name)
    return replace(sample, mask=folder / sample.mask.name)
