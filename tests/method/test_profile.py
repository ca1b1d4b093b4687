from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from flawtrace.ground.groups import AutoencoderConfig
from flawtrace.ground.learner import Learner, seeded
from flawtrace.method import autoencoder
from flawtrace.method.profile import History, error_maps, observe, scale_errors

KINDS = {
    "compact": AutoencoderConfig(width=8, bottleneck=4),
    "published": AutoencoderConfig(kind="published", bottleneck=6),
}
each_kind = pytest.mark.parametrize("network", list(KINDS), indirect=True)


@pytest.fixture
def network(request: pytest.FixtureRequest) -> autoencoder.Published | autoencoder.Compact:
    with seeded(2):
        return autoencoder.build(KINDS[getattr(request, "param", "compact")], channels=3)


@pytest.fixture
def canvases(rng: torch.Generator) -> torch.Tensor:
    return torch.rand(3, 3, 64, 64, generator=rng)


class Constant(nn.Module):
    """Rebuilds every cell as the same value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))

    def forward(self, canvases: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(canvases) * self.value


def filled(length: int, values: Sequence[float]) -> History:
    history = History(length, [1])
    for value in values:
        history.observe(Constant(value), torch.zeros(1, 1, 2, 2))
    return history


def test_an_error_is_the_mean_over_channels() -> None:
    images, rebuilt = torch.zeros(1, 2, 1, 1), torch.tensor([[[[1.0]], [[-3.0]]]])
    assert error_maps(images, rebuilt).item() == 2


def test_each_scale_has_an_error_of_its_own() -> None:
    images, rebuilt = torch.zeros(1, 3, 1, 1), torch.tensor([[[[1.0]], [[-3.0]], [[7.0]]]])
    assert scale_errors(images, rebuilt, [2, 1]).flatten().tolist() == [2, 7]


def test_a_profile_lists_all_scales_of_one_snapshot_before_the_next() -> None:
    history = History(2, [1, 1])
    for value in (1, 2):
        history.observe(Constant(value), torch.tensor([0.0, 10.0]).reshape(1, 2, 1, 1))
    assert history.profiles().flatten().tolist() == [1, 9, 2, 8]


def test_profiles_are_the_last_maps_oldest_first() -> None:
    assert filled(3, [1, 2, 3, 4, 5]).profiles()[0, :, 0, 0].tolist() == [3, 4, 5]


def test_snapshots_are_the_last_weights_oldest_first() -> None:
    snapshots = filled(3, [1, 2, 3, 4, 5]).snapshots(Constant(0))
    assert [float(snapshot.value) for snapshot in snapshots] == [3, 4, 5]


def test_a_history_is_full_once_it_has_its_length() -> None:
    assert [filled(3, [1] * number).full for number in (0, 2, 3, 4)] == [False, False, True, True]


def test_snapshots_do_not_follow_later_training() -> None:
    network, history = Constant(1.0), History(1, [1])
    history.observe(network, torch.zeros(1, 1, 2, 2))
    network.value.data.fill_(9)
    assert float(history.snapshots(network)[0].value) == 1


def test_a_loaded_history_is_the_same(saved: Callable[[dict], dict]) -> None:
    history, other = filled(3, [1, 2, 3, 4]), History(3, [1])
    other.load(saved(history.state()), torch.device("cpu"))
    assert other.profiles().equal(history.profiles())


@each_kind
def test_observing_leaves_weights_and_statistics_unchanged(
    network: nn.Module, canvases: torch.Tensor
) -> None:
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    observe(network.train(), canvases, [3])
    assert all(weight.equal(before[name]) for name, weight in network.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_observing_leaves_the_mode_unchanged(network: nn.Module, training: bool) -> None:
    observe(network.train(training), torch.rand(1, 3, 64, 64), [3])
    assert {module.training for module in network.modules()} == {training}


@each_kind
def test_a_map_depends_on_its_image_alone(network: nn.Module, canvases: torch.Tensor) -> None:
    alone = torch.cat([observe(network, canvases[[index]], [3]) for index in range(3)])
    assert observe(network, canvases, [3]).allclose(alone, atol=1e-6)


def test_a_large_batch_is_observed_in_parts_and_in_order(network: nn.Module) -> None:
    canvases = torch.rand(35, 3, 8, 8)
    parts = torch.cat([observe(network, part, [3]) for part in canvases.split(5)])
    assert observe(network, canvases, [3]).allclose(parts, atol=1e-6)


@each_kind
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_snapshots_give_the_profiles_that_training_saw(
    network: nn.Module, canvases: torch.Tensor, dropout: float, rng: torch.Generator
) -> None:
    learner, history = Learner(network), History(3, [3])
    for _ in range(5):
        network.bottleneck.drop(dropout, rng)
        learner.step(autoencoder.reconstruction_loss(canvases, network.train()(canvases)))
        history.observe(network, canvases)
    network.bottleneck.drop(dropout, rng)
    again = [observe(snapshot, canvases, [3]) for snapshot in history.snapshots(network)]
    assert torch.cat(again, dim=1).equal(history.profiles())
