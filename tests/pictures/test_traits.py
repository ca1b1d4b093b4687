"""Images unlike all that a detector was trained on are told, and those like them are left in peace."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from flawtrace import verbs
from flawtrace.data.folders import read_category
from flawtrace.data.splits import draw_split
from flawtrace.detector.artefact import Detector
from flawtrace.detector.errors import DoubtWarning
from flawtrace.ground.shapes import Image
from flawtrace.method.errors import BlankImagesError
from flawtrace.pictures.images import as_picture, read_image, write_picture
from flawtrace.pictures.traits import MEANINGS, Ranges, ranges, traits, unlike

REAL = ("mvtec_ad/grid", "mvtec_ad/screw", "kolektorsdd/kolektorsdd", "mpdd/metal_plate")


def textured(seed: int, brightness: float = 0.5, side: int = 96) -> Image:
    noise = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(seed)) - 0.5
    return (brightness + 0.4 * F.interpolate(noise[None], size=(side, side), mode="bilinear")[0]).clamp(0, 1)


@pytest.fixture(scope="module")
def known() -> Ranges:
    return ranges(traits(textured(seed)) for seed in range(8))


def test_every_trait_has_a_meaning() -> None:
    assert set(traits(textured(0))) == set(MEANINGS)


@given(st.integers(0, 10_000))
def test_an_image_is_like_itself(seed: int) -> None:
    image = textured(seed)
    assert unlike(image, ranges([traits(image)])) is None


def test_images_of_the_same_kind_are_like_each_other(known: Ranges) -> None:
    assert all(unlike(textured(seed), known) is None for seed in range(100, 140))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda image: 0.4 * image, "brightness"),
        (lambda image: (image + 0.4).clamp(max=1), "brightness"),
        (lambda image: torch.full_like(image, 0.5), "blank"),
        (lambda image: 0.5 + 0.4 * (image - 0.5), "contrast"),
        (lambda image: (image + 0.2 * torch.randn(image.shape)).clamp(0, 1), "sharpness"),
        (lambda image: torch.stack([image[0] * 0.5, image[1], image[2]]), "redness"),
        (lambda image: F.interpolate(image[None], scale_factor=2)[0], "side"),
        (lambda image: image[:, :60], "aspect"),
    ],
)
def test_what_is_unlike_is_named(known: Ranges, change: Callable[[Image], Image], word: str) -> None:
    found = unlike(change(textured(200)), known)
    assert found is not None
    assert word in found


def test_nothing_is_unlike_what_is_not_known() -> None:
    assert unlike(torch.zeros(3, 32, 32), {}) is None


@pytest.mark.parametrize("name", REAL)
def test_no_real_test_image_is_unlike_its_training_images_and_another_product_is(
    real_data: Path, name: str
) -> None:
    split = draw_split(read_category(real_data / name), 5, 42)
    images = [*split.normal[:: 1 + len(split.normal) // 100], *split.labelled]
    known = ranges(traits(read_image(sample.image)) for sample in images)
    wrong = [sample.name for sample in split.test if unlike(read_image(sample.image), known)]
    assert len(wrong) <= 0.02 * len(split.test), wrong
    others = [read_category(real_data / other).test_normal[:10] for other in REAL if other != name]
    foreign = [unlike(read_image(sample.image), known) for samples in others for sample in samples]
    assert sum(reason is not None for reason in foreign) >= 0.8 * len(foreign)


def test_the_verdict_on_an_unlike_image_is_unsure_and_says_why(
    run: Path, category: Path, tmp_path: Path
) -> None:
    sample = read_category(category).test_normal[0]
    image = read_image(sample.image)
    write_picture(tmp_path / "dark.png", as_picture(0.2 * image))
    usual, dark = verbs.predict(run, [sample.image, tmp_path / "dark.png"], tmp_path / "out")
    assert (usual.doubt, dark.verdict) == (None, "UNSURE")
    assert dark.doubt is not None
    assert "brightness" in dark.doubt
    assert "UNSURE" in (tmp_path / "out/predictions.csv").read_text()
    assert set(Detector.load(run).facts.familiar) == set(MEANINGS)


def test_a_detector_that_hardly_finds_anything_says_so_whenever_it_is_used(run: Path, category: Path) -> None:
    image: Any = read_category(category).test_normal[0].image
    with pytest.warns(DoubtWarning, match="its best pixel F1 on held-out labels is"):
        list(verbs.predict(run, [image]))


def blanked(category: Path, copy: Path, count: int) -> Path:
    shutil.copytree(category, copy)
    for sample in read_category(copy).normal[:count]:
        write_picture(sample.image, torch.full((64, 64, 3), 90, dtype=torch.uint8))
    return copy


def test_blank_training_images_are_told_before_and_after_training(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    parts = blanked(category, tmp_path / "parts", 2)
    assert any("single colour" in warning for warning in verbs.inspect(parts).warnings)
    summary = verbs.train(parts, tmp_path / "run", settings=tiny).summary
    assert any("single colour" in warning for warning in summary["warnings"])


def test_nothing_is_learnt_from_blank_images_alone(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    parts = blanked(category, tmp_path / "parts", 9)
    with pytest.raises(BlankImagesError, match="single colour"):
        verbs.train(parts, tmp_path / "run", settings=tiny)
    assert not (tmp_path / "run/detector.safetensors").exists()
