import torch
from torch import nn

from flawtrace.ground.learner import Learner, averaged, seeded


def stepped(pull: float, steps: int = 2) -> Learner[nn.BatchNorm1d]:
    """A network of two weights, which begin alike and are pulled."""
    with seeded(0):
        learner = Learner(nn.BatchNorm1d(1), lr=0.1)
    for _ in range(steps):
        learner.step((learner.network(torch.tensor([[0.0], [1.0]])).sum() - pull).square())
    return learner


def test_the_mean_of_states_is_one_from_which_a_learner_goes_on() -> None:
    one, other, both = stepped(1.0), stepped(-1.0), stepped(0.0, steps=0)
    both.load(averaged([one.state(), other.state()]))
    assert both.network.bias.item() == (one.network.bias.item() + other.network.bias.item()) / 2
    assert both.network.bias.item() != one.network.bias.item()
    assert both.network.num_batches_tracked == 2
    moments = [learner.state()["optimizer"]["state"][1] for learner in (one, other, both)]
    assert moments[2]["step"] == 2
    assert moments[2]["exp_avg_sq"].equal((moments[0]["exp_avg_sq"] + moments[1]["exp_avg_sq"]) / 2)


def test_the_mean_of_one_state_is_that_state() -> None:
    state = stepped(1.0).state()
    assert averaged([state])["network"]["bias"] is state["network"]["bias"]
