from collections.abc import Callable
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.method.patches import crop
from flawtrace.method.walkers import CHANNELS, SURVEYED, Geometry, Places, Terrain, Walkers

actions = st.lists(st.lists(st.integers(0, 8), min_size=4, max_size=4), max_size=10)
NEXT = torch.zeros(4, dtype=torch.long)


def made(num_images: int = 9, count: int = 4) -> Walkers:
    images = torch.rand(num_images, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    geometry = Geometry(walkers=count, patch=8, crop=16, stride=4)
    return Walkers(
        images, torch.rand(num_images, 24, 24, generator=torch.Generator().manual_seed(4)), geometry
    )


def begun(rng: torch.Generator, num_images: int = 9, count: int = 4) -> Walkers:
    walkers = made(num_images, count)
    walkers.begin(rng)
    return walkers


def inside(places: Places) -> bool:
    return bool((places.centers >= 4).all() and (places.centers <= 20).all())


@given(st.integers(0, 100), st.integers(1, 5), st.integers(1, 20))
def test_every_image_is_met_before_any_repeats(seed: int, count: int, num_images: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    walkers = begun(rng, num_images, count)
    met = walkers.places.images.tolist()
    while len(met) < num_images:
        walkers.go(walkers.moved(torch.zeros(count, dtype=torch.long), rng))
        met += walkers.places.images.tolist()
    assert len(set(met[:num_images])) == num_images


def test_a_shift_stays_on_its_image(rng: torch.Generator) -> None:
    walkers = begun(rng)
    assert walkers.moved(torch.tensor([1, 4, 6, 8]), rng).images.equal(walkers.places.images)


def test_only_the_walker_that_leaves_takes_the_next_image(rng: torch.Generator) -> None:
    walkers = begun(rng)
    before = walkers.places.images
    after = walkers.moved(torch.tensor([1, 0, 6, 8]), rng).images
    assert (after != before).tolist() == [False, True, False, False]


@given(st.integers(0, 100), actions)
def test_walkers_keep_their_patches_in_the_grid(seed: int, choices: list[list[int]]) -> None:
    rng = torch.Generator().manual_seed(seed)
    walkers = begun(rng)
    for chosen in choices:
        walkers.go(walkers.moved(torch.tensor(chosen), rng))
        assert inside(walkers.places)


@given(st.integers(0, 100), actions)
def test_visits_are_patches_times_their_area(seed: int, choices: list[list[int]]) -> None:
    rng = torch.Generator().manual_seed(seed)
    walkers = begun(rng)
    for chosen in choices:
        walkers.go(walkers.moved(torch.tensor(chosen), rng))
    assert walkers.visits.sum() == len(choices) * 4 * 8**2


def test_visits_under_a_patch_are_those_before_it(rng: torch.Generator) -> None:
    walkers = begun(rng)
    assert not walkers.visits_under(walkers.places).any()
    walkers.go(walkers.places)
    assert walkers.visits_under(walkers.places).tolist() == [1, 1, 1, 1]


def test_an_error_is_remembered_under_its_patch(rng: torch.Generator) -> None:
    walkers = begun(rng)
    errors = torch.rand(4, 8, 8)
    walkers.remember(errors)
    row, column = (walkers.places.centers[2] - 4).tolist()
    remembered = walkers.errors[walkers.places.images[2], row : row + 8, column : column + 8]
    assert remembered.equal(errors[2])


def test_an_observation_shows_image_error_visits_and_static_map(rng: torch.Generator) -> None:
    walkers = begun(rng)
    walkers.go(walkers.places)
    walkers.remember(torch.full((4, 8, 8), 0.25))
    observation = walkers.observe()
    center = observation[:, :, 8, 8]
    row, column = walkers.places.centers[0].tolist()
    assert observation.shape == (4, CHANNELS, 16, 16)
    assert center[:, 3:5].tolist() == [[0.25, 1.0]] * 4
    assert center[0, 5] == walkers.statics[walkers.places.images[0], row, column]


def test_a_survey_shows_the_means_under_each_candidate(rng: torch.Generator) -> None:
    terrain = Terrain(torch.rand(5, 24, 20), torch.rand(5, 24, 20))
    images, statics = torch.rand(5, 3, 24, 20), torch.rand(5, 24, 20)
    walkers = Walkers(images, statics, Geometry(walkers=4, patch=8, crop=16, stride=5), terrain)
    walkers.begin(rng)
    walkers.go(walkers.places)
    walkers.remember(torch.rand(4, 8, 8))
    shown, survey = walkers.survey(3, rng)
    assert survey.shape == (3, SURVEYED, 5, 4)
    places = walkers.candidates(shown, torch.arange(3 * 5 * 4))
    planes = torch.stack(
        [walkers.errors, walkers.visits, walkers.statics, terrain.texture, terrain.distances], dim=1
    )
    means = crop(planes, places.images, places.centers, 8).mean(dim=(2, 3))
    assert survey.movedim(1, -1).flatten(0, 2).allclose(means, atol=1e-6)


def test_a_survey_shows_each_image_once(rng: torch.Generator) -> None:
    walkers = begun(rng)
    assert sorted(walkers.survey(100, rng)[0].tolist()) == list(range(9))
    assert len(set(walkers.survey(4, rng)[0].tolist())) == 4


@given(st.integers(8, 30), st.integers(1, 8))
def test_every_cell_lies_under_a_candidate(side: int, stride: int) -> None:
    geometry = Geometry(walkers=1, patch=8, crop=8, stride=stride)
    walkers = Walkers(torch.zeros(1, 3, side, side), torch.zeros(1, side, side), geometry)
    _, survey = walkers.survey(1, torch.Generator())
    count = survey.shape[2] * survey.shape[3]
    walkers.go(walkers.candidates(torch.zeros(1, dtype=torch.long), torch.arange(count)))
    assert walkers.visits.min() >= 1
    assert walkers.visits.sum() == 64 * count


def test_a_new_cycle_forgets_visits_and_errors(rng: torch.Generator) -> None:
    walkers = begun(rng)
    walkers.go(walkers.places)
    walkers.remember(torch.ones(4, 8, 8))
    walkers.begin(rng)
    assert not walkers.visits.any()
    assert not walkers.errors.any()


def test_patches_from_anywhere_lie_in_the_grid(rng: torch.Generator) -> None:
    walkers = begun(rng, count=200)
    places = walkers.anywhere(rng)
    assert inside(places)
    assert set(places.images.tolist()) == set(range(9))


def test_patches_by_the_static_map_lie_where_it_is_high(rng: torch.Generator) -> None:
    walkers = begun(rng, count=200)
    walkers.statics.zero_()
    walkers.statics[:, 10:12, 6:8] = 1
    centers = walkers.by_static_map(rng).centers
    hits = ((centers >= torch.tensor([10, 6])) & (centers < torch.tensor([12, 8]))).all(dim=1)
    assert hits.float().mean() > 0.99


def test_walkers_loaded_from_a_file_go_on_as_if_never_stopped(
    rng: torch.Generator, saved: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    walkers, other = begun(rng), made()
    walkers.go(walkers.moved(NEXT, rng))
    walkers.remember(torch.rand(4, 8, 8))
    other.load(saved(walkers.state()))
    for each in (walkers, other):
        each.go(each.moved(torch.tensor([0, 3, 0, 5]), torch.Generator().manual_seed(9)))
    assert walkers.observe().equal(other.observe())
