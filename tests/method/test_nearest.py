"""The memory: what normal images showed is near, what they never showed is far, and places matter."""

import torch

from flawtrace.method.memory import KEPT, REACH, Memory


def canvases(count: int, rng: torch.Generator) -> torch.Tensor:
    """Eight channels on 32 x 32 cells; left and right half differ."""
    values = 0.1 * torch.randn(count, 8, 32, 32, generator=rng)
    values[:, 0, :, :16] += 1
    return values


def fitted(count: int, rng: torch.Generator) -> Memory:
    memory = Memory(8, 32)
    memory.fit(canvases(count, rng).half())
    return memory


def test_normal_images_are_about_as_far_as_they_are_from_each_other(rng: torch.Generator) -> None:
    found = fitted(60, rng)(canvases(20, rng))
    assert found.mean().abs() < 0.5
    assert 0.5 < found.std() < 2


def test_what_was_never_shown_is_far_where_it_is(rng: torch.Generator) -> None:
    memory, strange = fitted(60, rng), canvases(1, rng)
    strange[:, 3, 8:12, 8:12] += 2
    found = memory(strange)[0]
    row, column = divmod(int(found.argmax()), found.shape[1])
    assert 8 <= row < 12
    assert 8 <= column < 12
    assert found.max() > 5


def test_what_is_normal_in_one_place_is_strange_in_another(rng: torch.Generator) -> None:
    memory, mirrored = fitted(60, rng), canvases(5, rng).flip(-1)
    found = memory(mirrored)
    assert found[:, :, :8].mean() > 3 + memory(canvases(5, rng))[:, :, :8].mean()


def test_distances_are_those_to_the_nearest_kept_vector_around(rng: torch.Generator) -> None:
    memory, image = fitted(30, rng), canvases(1, rng)
    vectors = memory._vectors(image)
    distances = memory._nearest(vectors)[0]
    side = vectors.shape[2]
    bank = memory.bank.float().view(side, side, -1, KEPT)
    for row, column in [(0, 0), (0, side - 1), (7, 9), (side - 1, 4)]:
        rows = slice(max(0, row - REACH), row + REACH + 1)
        columns = slice(max(0, column - REACH), column + REACH + 1)
        near = bank[rows, columns].permute(2, 0, 1, 3).flatten(1)
        expected = (vectors[0, :, row, column, None] - near).norm(dim=0).min()
        assert torch.isclose(distances[row, column], expected, atol=1e-4)


def test_an_image_that_is_kept_does_not_find_itself(rng: torch.Generator) -> None:
    """Else a predictor would learn that normal is only what is nearer than any new image can be."""
    memory, shown = Memory(8, 32), canvases(30, rng).half()
    memory.fit(shown, torch.arange(30) + 100)
    unlike = memory(canvases(30, rng)).mean()
    assert memory(shown).mean() < unlike - 2
    assert (memory(shown, torch.arange(30) + 100).mean() - unlike).abs() < 0.3
    assert memory(shown, torch.full((30,), -1)).equal(memory(shown))


def test_where_nothing_but_the_image_itself_is_kept_nothing_is_known(rng: torch.Generator) -> None:
    memory, shown = Memory(8, 32), canvases(1, rng).half()
    memory.fit(shown, torch.tensor([7]))
    assert not memory(shown, torch.tensor([7])).any()


def test_one_image_is_enough_to_begin_with(rng: torch.Generator) -> None:
    memory = fitted(1, rng)
    assert memory(canvases(2, rng)).isfinite().all()


def test_an_unfitted_memory_knows_no_distance(rng: torch.Generator) -> None:
    assert not Memory(8, 32)(canvases(1, rng)).any()
