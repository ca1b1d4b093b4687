"""Shared by the tests of the method."""

import pytest
import torch

from flawtrace.method.material import Material
from flawtrace.method.walkers import Geometry, Walkers


@pytest.fixture
def walkers(material: Material) -> Walkers:
    """Four walkers with patches of 8 cells that move by 4, on material whose static map is flat."""
    return Walkers(material.images, torch.ones(8, 32, 32), Geometry(walkers=4, patch=8, crop=16, stride=4))
