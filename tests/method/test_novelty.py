"""Novelty is a Mahalanobis distance, and knows what is usual at a place."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from flawtrace.method.novelty import RIDGE, Novelty


def vectors(count: int = 40, seed: int = 1, side: int = 5) -> torch.Tensor:
    """Correlated vectors of 3 channels on `side` x `side` cells."""
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.7], [0.3, 0.0, 2.0]])
    return torch.einsum("dc,bchw->bdhw", mixing, torch.randn(count, 3, side, side, generator=rng)) + 4


def fitted(normal: torch.Tensor) -> Novelty:
    novelty = Novelty(normal.shape[1], normal.shape[2])
    novelty.fit(lambda: torch.split(normal, 7))
    return novelty


def test_the_distance_is_that_of_scipy() -> None:
    normal = vectors()
    novelty, cells = fitted(normal), normal.movedim(1, -1).reshape(-1, 3).double().numpy()
    covariance = np.cov(cells.T, bias=True)
    covariance += RIDGE * covariance.diagonal().mean() * np.eye(3)
    one = normal[0, :, 2, 3]
    theirs = mahalanobis(one.double().numpy(), cells.mean(axis=0), np.linalg.inv(covariance))
    ours = novelty(normal[:1])[0, 2, 3] * novelty.spread + novelty.place[2, 3]
    assert ours.item() == pytest.approx(theirs, rel=1e-4)


def test_normal_cells_are_about_0_give_or_take_1() -> None:
    found = fitted(vectors())(vectors(seed=2))
    assert abs(float(found.mean())) < 0.2
    assert float(found.std()) == pytest.approx(1.0, abs=0.2)


def test_what_is_usual_at_a_place_is_not_novel_there() -> None:
    normal, strange = vectors(side=20), vectors(1, seed=3, side=20)
    normal[:, :, :3, :3] += 30
    strange[:, :, :3, :3] += 30
    strange[:, :, 15, 15] += 30
    found = fitted(normal)(strange)[0]
    assert found[1, 1] + 3 < found[15, 15]


def test_constant_vectors_have_a_finite_novelty() -> None:
    assert fitted(torch.ones(4, 3, 5, 5))(vectors(2)).isfinite().all()


def test_before_it_is_fitted_nothing_is_novel() -> None:
    assert not Novelty(3, 5)(vectors(2)).any()
