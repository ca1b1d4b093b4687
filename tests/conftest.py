"""Shared by all tests."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("flawtrace", deadline=None, derandomize=True)  # torch's first call is slow
settings.load_profile("flawtrace")


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images beside the repository; its licence keeps it out of the repository."""
    named = os.environ.get("FLAWTRACE_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared/data"
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder}; FLAWTRACE_DATA can name their folder")
    return folder
