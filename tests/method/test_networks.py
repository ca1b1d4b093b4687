import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn
from torch.nn import functional as F

from flawtrace.ground.groups import AutoencoderConfig, PredictorConfig
from flawtrace.ground.learner import Learner, derive, seeded
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import Scalar
from flawtrace.method import autoencoder, predictor
from flawtrace.method.autoencoder import Bottleneck, reconstruction_loss
from flawtrace.method.predictor import Views, Weights, discriminant, normal_weight, prediction_loss
from flawtrace.method.sampler import Policy

SCRIPT = load_config("script")
Case = tuple[nn.Module, Callable[[], Scalar]]


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reconstructing(network: nn.Module, channels: int, side: int) -> Case:
    coarse = torch.rand(4, channels, 4, 4, generator=generator()) - 0.5
    batch = F.interpolate(coarse, size=side, mode="bilinear")
    return network, lambda: reconstruction_loss(batch, network(batch))


def views(count: int = 2, side: int = 16, cell: int = 2, length: int = 10) -> Views:
    rng, large = generator(), side * cell
    profiles = torch.rand(count, length, side, side, generator=rng)
    canvases = torch.rand(count, 3, side, side, generator=rng)
    pictures = torch.rand(count, 3, large, large, generator=rng)
    return Views(profiles, *torch.zeros(2, count, side, side), canvases, pictures)


def predicting(network: predictor.Predictor) -> Case:
    some = views()
    masks = F.interpolate((some.profiles.mean(dim=1, keepdim=True) > 0.55).float(), scale_factor=2)[:, 0]
    return network, lambda: network.loss(some, masks, Weights(dice=0.5))


def deciding(policy: Policy, crop: int) -> Case:
    observations = torch.rand(6, 6, crop, crop, generator=generator())
    actions, returns = torch.tensor([0, 3, 8, 1, 5, 2]), torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0, -2.0])

    def loss() -> Scalar:
        distribution, values = policy(observations)
        return -distribution.log_prob(actions).mean() + (values - returns).square().mean()

    return policy, loss


@pytest.fixture(
    params=[
        "compact autoencoder",
        "published autoencoder",
        "compact predictor",
        "published predictor",
        "light policy",
        "published policy",
    ]
)
def case(request: pytest.FixtureRequest) -> Case:
    """A network and its loss on one batch."""
    with seeded(1):
        match request.param:
            case "compact autoencoder":
                return reconstructing(autoencoder.Compact(5, width=16, bottleneck=8, stages=2), 5, 16)
            case "published autoencoder":
                return reconstructing(autoencoder.Published(bottleneck=20), 3, 64)
            case "compact predictor":
                return predicting(predictor.Compact(10, 3, 2, PredictorConfig(width=8)))
            case "published predictor":
                return predicting(predictor.Published())
            case "light policy":
                return deciding(Policy(16, load_config("light").policy), 16)
            case _:
                return deciding(Policy(64, SCRIPT.policy), 64)


def test_the_published_autoencoder_has_the_published_size() -> None:
    assert count(autoencoder.build(SCRIPT.autoencoder, channels=3)) == 5_951_499


def test_the_published_predictor_has_the_published_size() -> None:
    assert count(predictor.build(SCRIPT.predictor, length=10, channels=3, cell=1)) == 9_113


def test_logarithms_add_no_weight_to_the_published_predictor() -> None:
    settings = SCRIPT.predictor.model_copy(update={"log_floor": 0.01})
    assert count(predictor.build(settings, length=10, channels=3, cell=1)) == 9_113


def test_of_logarithms_a_predictor_sees_ratios_alone(rng: torch.Generator) -> None:
    network = predictor.Published(3, log_floor=1e-9)
    profiles = torch.rand(4, 3, 8, 8, generator=rng) + 0.1
    larger = profiles * torch.tensor([2.0, 10.0, 0.01]).view(1, 3, 1, 1)
    assert network(larger).allclose(network(profiles), atol=1e-4)


def test_the_published_actor_has_the_published_size() -> None:
    policy = Policy(crop=128, config=SCRIPT.policy)
    assert count(policy) - count(policy.critic) == 335_321


def test_each_network_overfits_one_batch(case: Case) -> None:
    network, loss = case
    learner = Learner(network, lr=5e-3)
    enough = 0.3 * loss().item()
    assert any(learner.step(loss()) < enough for _ in range(300))


def test_every_weight_feels_its_loss(case: Case) -> None:
    network, loss = case
    network.eval()  # a batch norm in training takes the bias before it away
    loss().backward()
    learning = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    assert [name for name, weight in learning.items() if not weight.grad.any()] == []


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_the_compact_autoencoder_keeps_sizes(stages: int) -> None:
    canvases = torch.rand(2, 5, 16, 32)
    assert autoencoder.Compact(5, width=4, bottleneck=2, stages=stages)(canvases).shape == canvases.shape


def test_the_published_autoencoder_keeps_sizes() -> None:
    images = torch.rand(1, 3, 64, 128)
    assert autoencoder.Published().eval()(images).shape == images.shape


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_a_predictor_gives_one_probability_per_pixel(cell: int) -> None:
    some = views(cell=cell)
    for network in (predictor.Published(), predictor.Compact(10, 3, cell, PredictorConfig())):
        maps = network.eval().probabilities(some)
        assert maps.shape == (2, 16 * cell, 16 * cell)
        assert 0 <= maps.min() <= maps.max() <= 1


@pytest.mark.parametrize("inputs", [("profile",), ("canvas",), ("picture",), ("profile", "picture")])
def test_a_predictor_sees_only_its_inputs(inputs: tuple[str, ...]) -> None:
    network = predictor.build(PredictorConfig(inputs=inputs), length=10, channels=3, cell=2).eval()
    some = views(1)
    plain = network.probabilities(some)
    felt = {}
    for name, field in (("profile", "profiles"), ("canvas", "canvases"), ("picture", "pictures")):
        changed = replace(some, **{field: getattr(some, field) + 1})
        felt[name] = not network.probabilities(changed).equal(plain)
    assert felt == {name: name in inputs for name in felt}


def test_a_blended_map_is_made_of_three_voices() -> None:
    config = PredictorConfig(self_supervised=0.3, recall=0.2)
    network, some = predictor.build(config, length=10, channels=3, cell=2).eval(), views(1)
    assert isinstance(network, predictor.Blended)
    far = replace(some, distances=torch.full_like(some.distances, 100.0))  # from normal, as the memory has it
    first, second = (pupil.probabilities(far) for pupil in (network.supervised, network.self_supervised))
    assert network.probabilities(far).allclose(0.5 * first + 0.3 * second + 0.2)


def test_what_learns_without_labels_sees_no_picture_when_blended() -> None:
    network = predictor.build(PredictorConfig(self_supervised=0.3), length=10, channels=3, cell=2).eval()
    some = views(1)
    other = replace(some, canvases=some.canvases + 1, pictures=1 - some.pictures)
    assert isinstance(network, predictor.Blended)
    second = network.self_supervised
    assert second.probabilities(other).equal(second.probabilities(some))
    assert not network.probabilities(other).equal(network.probabilities(some))


@pytest.mark.parametrize(
    ("config", "heard"),
    [
        (PredictorConfig(), True),
        (PredictorConfig(inputs=("canvas", "picture")), True),
        (PredictorConfig(novelty=False), False),
        (PredictorConfig(inputs=("picture",)), False),
    ],
)
def test_novelty_raises_a_probability_where_it_has_a_say(config: PredictorConfig, heard: bool) -> None:
    network, some = predictor.Compact(10, 3, 2, config).eval(), views(1)
    novel = replace(some, novelties=some.novelties + 5)
    assert bool((network.probabilities(novel) > network.probabilities(some)).all()) == heard


def test_the_discriminant_is_that_of_scikit_learn() -> None:
    rng = generator()
    mixed = torch.eye(4) + 0.3 * torch.rand(4, 4, generator=rng)
    defective = torch.randn(200, 4, generator=rng) @ mixed + torch.tensor([1.0, 0.0, 0.5, -1.0])
    normal = torch.randn(200, 4, generator=rng) @ mixed
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5])
    theirs.fit(torch.cat([normal, defective]).double().numpy(), [0] * 200 + [1] * 200)
    weights, bias = discriminant(defective, normal, shrinkage=0.0)
    assert weights.tolist() == pytest.approx(theirs.coef_[0].tolist(), rel=1e-3)
    assert bias.item() == pytest.approx(theirs.intercept_.item(), rel=1e-3)


def test_the_discriminant_survives_a_single_defective_square() -> None:
    weights, bias = discriminant(torch.rand(1, 6), torch.rand(20, 6))
    assert weights.isfinite().all()
    assert bias.isfinite()


def test_the_published_predictor_sees_15_cells_far() -> None:
    network = predictor.Published().eval()
    profiles = torch.rand(1, 10, 40, 40, requires_grad=True)
    network(profiles)[0, 20, 20].backward()
    rows = profiles.grad[0].abs().sum(dim=(0, 2)).nonzero()
    assert (int(rows.min()), int(rows.max())) == (5, 35)


def test_a_policy_of_zero_preference_takes_each_action_equally() -> None:
    policy = Policy(16, load_config("light").policy)
    nn.init.zeros_(policy.actor.weight)
    nn.init.zeros_(policy.actor.bias)
    assert policy(torch.rand(2, 6, 16, 16))[0].probs.allclose(torch.full((2, 9), 1 / 9))


def test_a_bottleneck_keeps_all_channels_at_rate_0(rng: torch.Generator) -> None:
    bottleneck = Bottleneck(8)
    bottleneck.drop(0.0, rng)
    codes = torch.rand(2, 8, 3, 3)
    assert bottleneck(codes).equal(codes)


def test_dropped_channels_contribute_nothing(rng: torch.Generator) -> None:
    network = autoencoder.Compact(3, width=4, bottleneck=8, stages=1)
    network.bottleneck.drop(0.5, rng)
    dropped = network.bottleneck.kept[0, :, 0, 0] == 0
    assert 0 < dropped.sum() < 8
    codes = torch.rand(1, 8, 4, 4)
    changed = codes + dropped[:, None, None]
    assert network.bottleneck(changed).equal(network.bottleneck(codes))


def test_kept_channels_make_up_for_dropped_ones(rng: torch.Generator) -> None:
    bottleneck = Bottleneck(20_000)
    bottleneck.drop(0.3, rng)
    assert float(bottleneck.kept.mean()) == pytest.approx(1.0, abs=0.02)


def test_the_same_generator_drops_the_same_channels() -> None:
    one, other = Bottleneck(50), Bottleneck(50)
    one.drop(0.5, generator(4))
    other.drop(0.5, generator(4))
    assert one.kept.equal(other.kept)


def test_the_choice_of_channels_is_part_of_the_state(rng: torch.Generator) -> None:
    bottleneck, other = Bottleneck(50), Bottleneck(50)
    bottleneck.drop(0.5, rng)
    other.load_state_dict(bottleneck.state_dict())
    assert other.kept.equal(bottleneck.kept)


def test_the_reconstruction_loss_is_the_mean_squared_error() -> None:
    patches, rebuilt = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 3.0]]]])
    assert reconstruction_loss(patches, rebuilt) == 5


def test_the_prediction_loss_with_equal_weights_is_the_cross_entropy() -> None:
    logits, coverage = torch.randn(2, 5, 5), torch.rand(2, 5, 5)
    expected = F.binary_cross_entropy_with_logits(logits, coverage)
    assert prediction_loss(logits, coverage).item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_prediction_loss_weighs_normal_cells_as_by_hand() -> None:
    logits, coverage = torch.tensor([[[0.0, math.log(3)]]]), torch.tensor([[[1.0, 0.0]]])
    by_hand = -(math.log(0.5) + 0.2 * math.log(1 - 0.75)) / 2
    assert prediction_loss(logits, coverage, normal_weight=0.2).item() == pytest.approx(by_hand)


def test_the_dice_part_is_as_by_hand() -> None:
    logits, coverage = torch.tensor([[[0.0, math.log(3)]]]), torch.tensor([[[1.0, 0.0]]])
    dice = (2 * 0.5 + 1) / (0.5 + 0.75 + 1 + 1)
    both = prediction_loss(logits, coverage, dice_weight=2.0) - prediction_loss(logits, coverage)
    assert both.item() == pytest.approx(2 * (1 - dice))


def test_a_very_sure_wrong_prediction_has_a_finite_loss() -> None:
    loss = prediction_loss(torch.full((1, 2, 2), 500.0), torch.zeros(1, 2, 2), dice_weight=1.0)
    assert loss.isfinite()


def test_the_weight_of_normal_cells_falls_to_zero_and_stays_there() -> None:
    weights = [normal_weight(SCRIPT.predictor, update) for update in (0, 4500, 9000, 20_000)]
    assert weights == [1.0, 0.5, 0.0, 0.0]


def test_without_decay_normal_cells_keep_their_weight() -> None:
    assert normal_weight(PredictorConfig(), 1_000_000) == 1.0


def test_networks_built_from_the_same_seed_are_equal() -> None:
    def weights() -> torch.Tensor:
        with seeded(3):
            network = autoencoder.build(AutoencoderConfig(), channels=3)
        return nn.utils.parameters_to_vector(network.parameters())

    assert weights().equal(weights())


def test_seeding_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    with seeded(3):
        torch.rand(5)
    assert torch.get_rng_state().equal(before)


def test_derived_seeds_do_not_collide() -> None:
    seeds = {derive(seed, use, index) for seed in range(20) for use in range(8) for index in range(40)}
    assert len(seeds) == 20 * 8 * 40


def test_the_ranker_is_linear_in_what_it_is_set_from(rng: torch.Generator) -> None:
    config, some = PredictorConfig(ranking=1.0, novelty=False), views(cell=4)
    network = predictor.Compact(10, 3, 4, config).eval()
    seen = network.discriminated_by(some).movedim(1, -1).flatten(0, 2)
    defective = seen[torch.randperm(len(seen), generator=rng)[:20]] + 1
    network.discriminate(defective, seen)
    weights = discriminant(defective, seen)[0]
    values = ((seen - seen.mean(dim=0)) @ weights).view(2, 1, 16, 16)
    odds = F.interpolate(values / values.std(correction=0), size=64, mode="bilinear") - predictor.UNUSUAL
    assert network.probabilities(some).allclose(odds[:, 0].sigmoid(), atol=1e-5)


def test_an_image_read_by_its_own_statistics_does_not_depend_on_others_or_on_the_running_ones() -> None:
    network = autoencoder.Published(own_statistics=True).eval()
    images = torch.rand(3, 3, 64, 64, generator=generator())
    with torch.no_grad():
        alone = network(images[:1])
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.fill_(7.0)  # type: ignore[union-attr]
        torch.testing.assert_close(network(images)[:1], alone, atol=1e-5, rtol=1e-4)


def test_an_image_s_own_statistics_are_those_of_a_batch_of_it_alone() -> None:
    own, batch = autoencoder.Published(own_statistics=True).eval(), autoencoder.Published().train()
    batch.load_state_dict(own.state_dict())
    image = torch.rand(1, 3, 72, 72, generator=generator())
    with torch.no_grad():
        torch.testing.assert_close(own(image), batch(image), atol=1e-4, rtol=1e-4)
