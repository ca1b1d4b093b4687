import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.method.ppo import (
    clipped_policy_loss,
    explained_variance,
    generalized_advantages,
    standardized,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def discounted(rewards: list[float], discount: float) -> list[float]:
    return [sum(discount**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]


rewards_and_values = st.integers(1, 8).flatmap(
    lambda t: st.tuples(*[st.lists(st.floats(-3, 3, width=32), min_size=t, max_size=t)] * 2)
)


@given(rewards_and_values, st.floats(0, 1))
def test_with_full_trace_advantages_are_returns_minus_values(
    drawn: tuple[list[float], list[float]], discount: float
) -> None:
    rewards, values = drawn
    expected = torch.tensor(discounted(rewards, discount)) - torch.tensor(values)
    advantages = generalized_advantages(
        torch.tensor(rewards)[:, None], torch.tensor(values)[:, None], discount, 1.0
    )
    assert advantages[:, 0].allclose(expected, atol=1e-4)


@given(rewards_and_values, st.floats(0, 1))
def test_without_trace_advantages_are_one_step_errors(
    drawn: tuple[list[float], list[float]], discount: float
) -> None:
    rewards, values = map(torch.tensor, drawn)
    deltas = rewards + discount * torch.cat([values[1:], torch.zeros(1)]) - values
    advantages = generalized_advantages(rewards[:, None], values[:, None], discount, 0.0)
    assert advantages[:, 0].allclose(deltas, atol=1e-5)


def test_advantages_between_are_as_by_hand() -> None:
    rewards, values = torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([[0.5], [1.0], [0.0]])
    last, middle, first = 2.0, -1.0, 1 + 0.9 - 0.5
    by_hand = [first + 0.45 * (middle + 0.45 * last), middle + 0.45 * last, last]
    assert generalized_advantages(rewards, values, 0.9, 0.5)[:, 0].tolist() == pytest.approx(by_hand)


def test_each_walker_has_its_own_advantages() -> None:
    rewards, values = torch.rand(5, 3), torch.rand(5, 3)
    alone = [generalized_advantages(rewards[:, [n]], values[:, [n]], 0.9, 0.8) for n in range(3)]
    assert generalized_advantages(rewards, values, 0.9, 0.8).equal(torch.cat(alone, dim=1))


def test_the_policy_loss_is_as_by_hand() -> None:
    ratios, advantages = torch.tensor([1.5, 0.5, 1.5, 0.5]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    by_hand = -(1.2 + 0.5 - 1.5 - 0.8) / 4
    assert clipped_policy_loss(ratios, advantages, 0.2).item() == pytest.approx(by_hand)


def test_a_clipped_ratio_has_no_gradient_when_it_is_already_enough() -> None:
    ratios = torch.tensor([1.5, 0.5, 1.5, 0.5], requires_grad=True)
    clipped_policy_loss(ratios, torch.tensor([1.0, 1.0, -1.0, -1.0]), 0.2).backward()
    assert (ratios.grad != 0).tolist() == [False, True, True, False]


def test_advantages_carry_no_gradient() -> None:
    ratios, advantages = torch.ones(3, requires_grad=True), torch.rand(3, requires_grad=True)
    clipped_policy_loss(ratios, advantages, 0.2).backward()
    assert advantages.grad is None


def test_standardized_values_have_mean_0_and_deviation_1() -> None:
    values = standardized(torch.rand(50, generator=generator()) * 9 + 4)
    assert values.mean().item() == pytest.approx(0, abs=1e-5)
    assert values.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_standardized_constants_are_0() -> None:
    assert standardized(torch.full((4,), 3.0)).tolist() == [0, 0, 0, 0]


def test_a_perfect_critic_explains_everything_and_a_constant_one_nothing() -> None:
    returns = torch.tensor([1.0, 2.0, 4.0])
    assert explained_variance(returns, returns) == 1
    assert explained_variance(returns, torch.zeros(3)) == 0
    assert explained_variance(torch.ones(3), torch.zeros(3)) == 0
