"""What a map's values mean after calibration, on maps whose truth is made by known probabilities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.detector import Calibration
from flawtrace.detector.comparing import LARGEST_DIFFERENCE


def drawn(truth: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Masks whose pixels are defective with these probabilities."""
    return torch.rand(truth.shape, generator=torch.Generator().manual_seed(seed)) < truth


def told(anomalous: int, normal: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps that say 0.05 where half of the pixels are defective, on defective images alone."""
    maps = torch.rand(anomalous + normal, 64, 64, generator=torch.Generator().manual_seed(1)) * 0.02
    maps[:anomalous, 20:40, 20:40] = 0.05
    truth = torch.zeros_like(maps)
    truth[:anomalous, 20:40, 20:40] = 0.5
    return maps, drawn(truth)


def test_a_value_at_which_half_of_the_pixels_are_defective_becomes_a_half() -> None:
    maps, masks = told(anomalous=10, normal=0)
    calibration = Calibration()
    calibration.fit(maps, masks)
    assert calibration(torch.tensor([[[0.05]]])).item() == pytest.approx(0.5, abs=0.05)


def test_normal_images_weigh_as_much_as_defective_ones_however_many_there_are() -> None:
    few, many = Calibration(), Calibration()
    few.fit(*told(anomalous=10, normal=10))
    many.fit(*told(anomalous=10, normal=40))
    values = torch.linspace(0.01, 0.9, 50)[None, None]
    assert few(values).allclose(many(values), atol=0.02)


def test_without_a_defect_nothing_is_known_and_nothing_changes() -> None:
    calibration = Calibration()
    calibration.fit(torch.rand(3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.bool))
    values = torch.linspace(0, 1, 101)[None, None]
    assert calibration(values).allclose(values, atol=1e-5)


@given(seed=st.integers(0, 1000), share=st.floats(0.01, 0.99), sharpness=st.floats(0.2, 5.0))
def test_calibrated_values_are_probabilities_in_the_same_order(
    seed: int, share: float, sharpness: float
) -> None:
    rng = torch.Generator().manual_seed(seed)
    maps = torch.rand(4, 16, 16, generator=rng) ** sharpness
    masks = torch.rand(4, 16, 16, generator=rng) < share * maps
    calibration = Calibration()
    calibration.fit(maps, masks)
    values = calibration(torch.linspace(0, 1, 1001)[None, None]).flatten()
    assert values.isfinite().all()
    assert 0 <= values.min() <= values.max() <= 1
    assert (values.diff() >= 0).all()


def test_perfect_maps_stay_finite() -> None:
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, :4] = True
    calibration = Calibration()
    calibration.fit(masks.float(), masks)
    assert calibration.curve.isfinite().all()
    assert calibration(masks.float())[masks].min() > 0.9


def test_a_step_of_single_precision_near_one_is_no_translation_error() -> None:
    """The curve of a training that ended with predictors all but certain; its export was refused once."""
    calibration = Calibration()
    calibration.curve.copy_(torch.tensor([1.6077, 0.0500, 1.3702]))
    certain = torch.tensor([1 - 1.2e-6])
    next_one = torch.nextafter(certain, torch.zeros(1))
    apart = float((calibration(certain[None, None]) - calibration(next_one[None, None])).abs())
    assert 1e-4 < apart < LARGEST_DIFFERENCE / 3
