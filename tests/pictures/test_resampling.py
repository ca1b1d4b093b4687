"""Resizing by products of matrices is torch's own resizing."""

import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn import functional as F

from flawtrace.pictures.resampling import resampled

sides = st.integers(2, 90)
"""Of a single column torch repeats the first row."""


@given(sides, sides, sides, sides)
@example(64, 64, 64, 64)
@example(1000, 33, 16, 16)
def test_it_is_bilinear_with_antialiasing(height: int, width: int, new_height: int, new_width: int) -> None:
    planes = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    size = new_height, new_width
    expected = F.interpolate(planes.double(), size=size, mode="bilinear", antialias=True)
    assert resampled(planes, *size).allclose(expected.float(), atol=1e-6)


@given(sides, sides)
def test_at_its_own_size_every_bit_stays(height: int, width: int) -> None:
    planes = torch.rand(height, width)
    assert torch.equal(resampled(planes, height, width), planes)
