from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.data.errors import VanishedDefectError
from flawtrace.data.pieces import LABELLED_TILES, common_size, images_of, mask_at, passed_over, pieces
from flawtrace.data.samples import Sample, Split
from flawtrace.ground.config import Config
from flawtrace.method.predictor import Views
from flawtrace.pictures.errors import TilesTooSmallError
from flawtrace.pictures.images import as_picture, write_mask, write_picture
from flawtrace.pictures.tiles import working_size
from flawtrace.training.exam import Exam, deal, folds_of
from flawtrace.training.fitting import Examples

CONFIG = Config(image_side=64, tile_side=64, normal_limit=5, sampler={"crop_side": 64})  # type: ignore[arg-type]


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Eight normal images of 64 x 200 pixels, and two of which the right half is defective."""

    def sample(name: str, defective: bool) -> Sample:
        write_picture(tmp_path / f"{name}.png", as_picture(torch.rand(3, 64, 200)))
        if not defective:
            return Sample(tmp_path / f"{name}.png")
        mask = torch.zeros(64, 200, dtype=torch.bool)
        mask[10:20, 100:] = True
        write_mask(tmp_path / f"{name}_mask.png", mask)
        return Sample(tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png", "dent")

    normal = tuple(sample(f"n{index}", defective=False) for index in range(8))
    return Split(normal, (sample("a", defective=True), sample("b", defective=True)), ())


def test_few_normal_images_are_taken_as_they_are(split: Split) -> None:
    assert pieces(split, CONFIG.model_copy(update={"tile_side": None, "normal_limit": 8})) == split


def test_of_many_normal_images_so_many_are_drawn_by_seed(split: Split) -> None:
    config = CONFIG.model_copy(update={"tile_side": None})
    drawn = [pieces(split, config.model_copy(update={"seed": seed})).normal for seed in (1, 1, 2)]
    assert [len(samples) for samples in drawn] == [5, 5, 5]
    assert drawn[0] == drawn[1] != drawn[2]
    assert list(drawn[0]) == sorted(drawn[0], key=split.normal.index)


def test_so_many_tiles_are_drawn_from_as_many_images_as_can_be(split: Split) -> None:
    tiles = pieces(split, CONFIG).normal
    assert len(tiles) == len(images_of(tiles)) == 5
    assert all(tile.box is not None for tile in tiles)


def test_all_tiles_are_taken_where_there_are_few(split: Split) -> None:
    tiles = pieces(split, CONFIG.model_copy(update={"normal_limit": 100})).normal
    assert len(tiles) == 8 * 4
    assert len(set(tiles)) == len(tiles)


def test_normal_tiles_show_some_of_the_region_of_interest(split: Split) -> None:
    """Of four tiles the second to last begins at pixel 91; the region is between 60 % and 90 % of 200."""
    corners = ((0.6, 0.1), (0.9, 0.1), (0.9, 0.9), (0.6, 0.9))
    config = CONFIG.model_copy(update={"normal_limit": 100, "region": (corners,)})
    tiles = pieces(split, config).normal
    assert len(images_of(tiles)) == 8
    assert {tile.box.left for tile in tiles if tile.box} == {91, 136}


def test_what_is_not_learnt_from_is_told(split: Split) -> None:
    assert not list(passed_over(split, CONFIG))
    unmasked = replace(split, unmasked=(Sample(Path("c.png"), None, "dent"),))
    assert not list(passed_over(unmasked, CONFIG.model_copy(update={"tile_side": None})))
    assert "not learnt from: 1 image," in next(passed_over(unmasked, CONFIG))
    assert pieces(unmasked, CONFIG).unmasked == ()
    doubtful = [replace(sample, ignored=Path("i.png")) for sample in split.normal]
    assert "3 of 8" in next(passed_over(replace(split, normal=(*doubtful[:3], *split.normal[3:])), CONFIG))
    assert next(passed_over(replace(split, normal=tuple(doubtful)), CONFIG)).startswith("All normal images")


def test_labelled_tiles_show_a_defect(split: Split) -> None:
    tiles = pieces(split, CONFIG).labelled
    assert images_of(tiles) == images_of(split.labelled)
    for tile in tiles:
        assert tile.box is not None
        assert tile.box.of(mask_at(tile, (64, 200))).any()
    assert {tile.box.left for tile in tiles if tile.box} == {45, 91, 136}


def test_a_long_defect_has_a_few_tiles_and_the_fullest_is_among_them(tmp_path: Path) -> None:
    mask = torch.zeros(64, 1000, dtype=torch.bool)
    mask[5, :] = mask[5:40, 930:] = True
    write_picture(tmp_path / "a.png", as_picture(torch.rand(3, 64, 1000)))
    write_mask(tmp_path / "a_mask.png", mask)
    sample = Sample(tmp_path / "a.png", tmp_path / "a_mask.png", "scratch")
    tiles = pieces(Split((), (sample,), ()), CONFIG).labelled
    assert len(tiles) == LABELLED_TILES
    assert 1000 - 64 in {tile.box.left for tile in tiles if tile.box}


def test_tiles_of_one_image_are_in_one_fold(split: Split) -> None:
    tiles = pieces(split, CONFIG).labelled
    found = {(tile.image, fold) for tile, fold in zip(tiles, folds_of(tiles, 2), strict=True)}
    assert len(tiles) == 6
    assert sorted(fold for _, fold in found) == [0, 1]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(0, 20))
def test_tiles_of_one_image_are_in_one_fold_and_each_fold_has_as_many_images(
    counts: list[int], seed: int
) -> None:
    sources = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    folds, order = deal(sources, CONFIG.model_copy(update={"seed": seed}))
    of_images = [set(folds[sources == image].tolist()) for image in range(len(counts))]
    assert all(len(found) == 1 for found in of_images)
    sizes = [sum(fold in found for found in of_images) for fold in range(CONFIG.predictor.folds)]
    assert max(sizes) - min(sizes) <= 1
    assert sorted(order.tolist()) == list(range(len(sources)))


@given(st.integers(1, 30), st.integers(0, 15), st.integers(0, 9))
def test_images_stay_in_their_folds_and_new_ones_fill_up(old: int, new: int, seed: int) -> None:
    config = CONFIG.model_copy(update={"seed": seed})
    before = dict(enumerate(deal(torch.arange(old), config)[0].tolist()))
    folds = deal(torch.arange(old + new), config, before)[0].tolist()
    assert folds[:old] == [*before.values()]
    sizes = [folds.count(fold) for fold in range(config.predictor.folds)]
    assert max(sizes) - min(sizes) <= 1


def test_a_member_is_judged_on_what_it_is_never_shown() -> None:
    sources = torch.arange(40)
    folds, order = deal(sources, CONFIG)
    maps, cells = torch.zeros(0, 3, 4, 4), torch.zeros(0, 4, 4)
    views = Views(maps, cells, cells, maps, torch.zeros(0, 3, 8, 8))
    none = Examples(views, torch.zeros(0, 8, 8).bool(), torch.zeros(0, 4, 4))
    exam = Exam(none, none, [0, 1, 2], none, none, folds[:0], folds, order, folds >= 0, sources, folds < 0)
    for member in range(3):
        shown, unseen = exam.shown(member, 100), exam.unseen(member)
        assert set(shown.tolist()).isdisjoint(unseen.tolist())
        assert len(shown) + len(unseen) == 40
        assert len(exam.shown(member, 5)) == 5


def test_tiles_that_enlarge_an_image_beyond_all_bounds_are_refused() -> None:
    with pytest.raises(
        TilesTooSmallError, match=r"tiles of 2 pixels.*131,072 x 131,072.*\n.*\n.*--tile-side"
    ):
        working_size((4096, 4096), CONFIG.model_copy(update={"tile_side": 2}))


def test_a_defect_too_small_for_the_tiles_is_told(tmp_path: Path) -> None:
    mask = torch.zeros(640, 2000, dtype=torch.bool)
    mask[3, 3] = True
    write_picture(tmp_path / "a.png", as_picture(torch.rand(3, 640, 2000)))
    write_mask(tmp_path / "a_mask.png", mask)
    sample = Sample(tmp_path / "a.png", tmp_path / "a_mask.png", "pit")
    with pytest.raises(VanishedDefectError, match=r"200 x 64 pixels.*\n.*\n.*--tile-side"):
        pieces(Split((), (sample,), ()), CONFIG.model_copy(update={"tile_side": 640}))


def test_images_of_several_sizes_have_one_working_size(split: Split, tmp_path: Path) -> None:
    write_picture(tmp_path / "tall.png", as_picture(torch.rand(3, 300, 70)))
    assert common_size([*split.normal, Sample(tmp_path / "tall.png")], CONFIG) == (300, 200)
    assert common_size(split.normal, CONFIG.model_copy(update={"tile_side": None})) == (64, 64)
