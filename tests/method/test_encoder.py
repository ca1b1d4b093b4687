import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.ground.presets import load_config
from flawtrace.method.encoder import LIMIT, Features, Pixels, build, rounded
from flawtrace.method.material import encode
from flawtrace.method.trunk import TAPS, truncated


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    coarse = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=64, mode="bilinear")


@pytest.fixture(scope="module")
def features(images: torch.Tensor) -> Features:
    """Calibrated on `images`."""
    features = Features()
    features.calibrate(images)
    return features


def test_a_canvas_of_features_has_176_channels_and_a_cell_per_4_pixels(features: Features) -> None:
    assert features(torch.rand(1, 3, 256, 256)).shape == (1, 176, 64, 64)
    assert features.channels == 176


def test_calibrated_features_have_mean_0_and_deviation_1(features: Features, images: torch.Tensor) -> None:
    canvases = (features._raw(images) - features.mean) / features.std
    assert canvases.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert (canvases.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-3


@torch.no_grad()
@pytest.mark.parametrize("side", [64, 96, 100, 256])
def test_normalisations_in_the_convolutions_change_nothing(side: int) -> None:
    trunk, images = truncated(pretrained=True), torch.rand(2, 3, side, side) * 2 - 1
    conv, norm = trunk.stem
    hidden, expected = norm(conv(images)).clamp(0, 6), []
    for index, block in enumerate(trunk.blocks):
        hidden = block(hidden)
        if index in TAPS:
            expected.append(hidden)
    for found, wanted in zip(trunk(images), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_features_are_cut_off_at_the_limit(features: Features) -> None:
    assert features(torch.rand(1, 3, 64, 64)).abs().max() <= LIMIT


def test_features_are_frozen(features: Features) -> None:
    assert not any(weight.requires_grad for weight in features.parameters())
    assert not any(module.training for module in features.train().modules())


def test_features_of_an_image_depend_on_it_alone(features: Features, images: torch.Tensor) -> None:
    assert features(images)[2:3].allclose(features(images[2:3]), atol=2e-2)


def test_features_depend_on_the_image(features: Features, images: torch.Tensor) -> None:
    canvases = features(images[:2])
    assert not canvases[0].allclose(canvases[1], atol=0.1)


def test_what_is_cached_is_what_the_encoder_gives(features: Features, images: torch.Tensor) -> None:
    assert encode(features, images[:2]).float().equal(features(images[:2]))


@given(st.lists(st.floats(-60000, 60000, width=32), min_size=1))
def test_rounding_twice_is_rounding_once(values: list[float]) -> None:
    once = rounded(torch.tensor(values).reshape(1, 1, 1, -1))
    assert rounded(once).equal(once)


def test_a_cell_of_pixels_is_the_mean_of_its_pixels() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 3, 4, 4) / 16
    assert (Pixels(2)(image)[0, 0] * 16).tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_cells_of_one_pixel_are_the_image(images: torch.Tensor) -> None:
    assert Pixels(1)(images).equal(rounded(images))


def test_pixels_know_their_device_and_store_nothing() -> None:
    pixels = Pixels(2).to("meta")
    assert [buffer.device.type for buffer in pixels.buffers()] == ["meta"]
    assert not pixels.state_dict()


@pytest.mark.parametrize(("preset", "kind"), [("light", Features), ("paper", Pixels)])
def test_a_preset_has_its_encoder(preset: str, kind: type) -> None:
    assert isinstance(build(load_config(preset)), kind)
