"""What is looked at in all orientations has no side that it prefers."""

from pathlib import Path

import pytest
import torch

from flawtrace.detector.artefact import Detector
from flawtrace.detector.facts import Facts, parsed
from flawtrace.ground.presets import load_config
from flawtrace.method.encoder import Features, build
from flawtrace.pictures.turns import EVERY, averaged, some, turned, turned_back


def features_in(orientations: int) -> Features:
    features = Features(ways=some(EVERY, orientations))
    features.calibrate(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    return features


def test_there_are_eight_orientations() -> None:
    maps = torch.rand(4, 4)
    assert len({tuple(turned(maps, way).flatten().tolist()) for way in range(8)}) == 8


@pytest.mark.parametrize("way", range(8))
def test_what_is_turned_can_be_turned_back(way: int) -> None:
    maps = torch.rand(2, 3, 5, 5)
    assert turned_back(turned(maps, way), way).equal(maps)


@pytest.mark.parametrize("orientations", [1, 2, 4, 8])
def test_what_does_not_depend_on_the_orientation_stays_as_it_is(orientations: int) -> None:
    images = torch.rand(3, 2, 8, 8)
    (squares,) = averaged(images, some(EVERY, orientations), lambda seen: [seen.square()])
    assert squares.allclose(images.square())


@pytest.mark.parametrize("orientations", [2, 4, 8])
def test_features_of_a_turned_image_are_the_turned_features(orientations: int) -> None:
    """Of a network that looks once they are not: it knows left from right."""
    images, several, once = torch.rand(2, 3, 64, 64), features_in(orientations), features_in(1)
    for way in some(EVERY, orientations)[1:]:
        assert several(turned(images, way)).allclose(turned(several(images), way), atol=2e-2)
        assert not once(turned(images, way)).allclose(turned(once(images), way), atol=0.5)


def test_features_seen_from_all_sides_have_mean_0_and_deviation_1() -> None:
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    canvases = features_in(4)(images)
    assert canvases.mean(dim=(0, 2, 3)).abs().max() < 0.05
    assert (canvases.std(dim=(0, 2, 3)) - 1).abs().max() < 0.1


def test_a_part_that_always_lies_the_same_way_is_looked_at_once() -> None:
    config = load_config(settings={"variation.ways": [0], "orientations": 4, "image_side": 128})
    images = torch.rand(1, 3, 128, 128)
    once = build(config.model_copy(update={"orientations": 1}))
    assert build(config)(images).equal(once(images))


def test_a_detector_from_before_there_was_a_choice_looks_once() -> None:
    old = load_config(settings={"orientations": 1}).model_dump(mode="json")
    del old["orientations"]
    header = {"config": old, "facts": vars(Facts(0.5, {}, (), "", {}))}
    assert parsed(header, Path("detector.safetensors"))[0].orientations == 1


def test_a_detector_remembers_how_its_network_looks(tmp_path: Path) -> None:
    once, mirrored = (
        Detector.untrained(load_config(settings={"orientations": number}), Facts(0.5, {}, (), "", {}))
        for number in (1, 4)
    )
    once.load_state_dict(mirrored.state_dict())
    mirrored.save(tmp_path / "detector.safetensors")
    loaded, images = Detector.load(tmp_path), torch.rand(1, 3, 256, 256)
    assert loaded.reader.encoder(images).equal(mirrored.reader.encoder(images))
    assert not loaded.reader.encoder(images).equal(once.reader.encoder(images))
