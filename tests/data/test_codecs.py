"""Masks as run lengths, brushes and polygons: they come back, and agree with readers of other people."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as reference
from scipy.ndimage import binary_dilation, binary_erosion

from flawtrace.data.formats.annotated import Outline
from flawtrace.data.formats.brush import from_brush, to_brush
from flawtrace.data.formats.figures import box, circle, ellipse, filled, painted, points_of, turned
from flawtrace.data.formats.run_lengths import from_coco, lengths, to_coco, unrolled
from flawtrace.data.formats.tracing import polygons_of

sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))
masks = sizes.flatmap(lambda size: arrays(bool, size))
"""Any at all: with holes, several regions, and pixels that touch at a corner."""


@given(masks)
def test_run_lengths_of_coco_agree_with_its_own_library(mask: np.ndarray) -> None:
    theirs = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert to_coco(mask) == theirs["counts"].decode()
    assert (from_coco(theirs["counts"].decode(), mask.shape) == mask).all()


@given(masks)
def test_run_lengths_that_are_not_compressed_come_back(mask: np.ndarray) -> None:
    assert (from_coco(lengths(mask.T.ravel()), mask.shape) == mask).all()
    assert (unrolled(lengths(mask.ravel()), mask.shape) == mask).all()


@given(st.lists(st.integers(-5, 2**40), max_size=6), sizes)
def test_run_lengths_of_another_size_are_refused(runs: list[int], size: tuple[int, int]) -> None:
    if sum(runs) != size[0] * size[1] or min(runs, default=0) < 0:
        with pytest.raises(ValueError, match="pixels"):
            unrolled(runs, size)


def decoded_elsewhere(packed: list[int]) -> list[int]:
    """A brush, read as the packing library's documentation says, with one large integer for its bits."""
    bits, left = int.from_bytes(bytes(packed)), 8 * len(packed)

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & (1 << count) - 1

    count, word = take(32), take(5) + 1
    kinds = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        if take(1):
            length = take(kinds[take(2)]) + 1
            values += [take(word)] * length
        else:
            values += [take(word) for _ in range(take(kinds[take(2)]) + 1)]
    return values


@given(masks)
def test_another_reader_finds_the_same_in_a_brush(mask: np.ndarray) -> None:
    values = np.array(decoded_elsewhere(to_brush(mask))).reshape(*mask.shape, 4)
    assert (values == 255 * mask[..., None]).all()


@given(masks)
def test_a_brush_comes_back(mask: np.ndarray) -> None:
    assert (from_brush(to_brush(mask), mask.shape) == mask).all()


def test_a_brush_of_long_runs_comes_back() -> None:
    mask = np.zeros((400, 300), bool)
    mask[100:300] = True
    assert (from_brush(to_brush(mask), mask.shape) == mask).all()


def test_values_one_by_one_are_read_in_a_brush() -> None:
    """As other programs write short runs: 0, then how many, then each."""
    alpha = [0, 255, 255, 0]
    head = f"{16:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    runs = "".join("0" + "00" + f"{3:03b}" + f"{value:08b}" * 4 for value in alpha)
    bits = (head + runs).ljust(-(-len(head + runs) // 8) * 8, "0")
    packed = [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]
    assert from_brush(packed, (2, 2)).tolist() == [[False, True], [True, False]]


@given(st.binary(max_size=40))
def test_a_damaged_brush_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="brush"):
        from_brush(list(content), (3, 5))


@given(masks)
def test_polygons_of_a_mask_fill_it_again(mask: np.ndarray) -> None:
    again = np.zeros_like(mask)
    for polygon in polygons_of(mask):
        again |= filled(polygon, mask.shape)
    assert (again == mask).all()


def filled_elsewhere(rings: list[list[float]], size: tuple[int, int]) -> np.ndarray:
    """By COCO's own library."""
    merged = reference.merge(reference.frPyObjects(rings, *size))
    return from_coco(merged["counts"].decode(), size)


@given(masks)
def test_another_program_fills_our_polygons_within_a_pixel(mask: np.ndarray) -> None:
    if rings := [polygon.ravel().tolist() for polygon in polygons_of(mask)]:
        theirs = filled_elsewhere(rings, mask.shape)
        around = np.ones((3, 3), bool)
        assert not (theirs & ~binary_dilation(mask, around)).any()
        assert not (binary_erosion(mask, around) & ~theirs).any()


@given(st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=3, max_size=3))
def test_a_polygon_is_filled_as_in_coco_within_a_pixel(points: list[tuple[float, float]]) -> None:
    size = (20, 20)
    ours = filled(points_of(points), size)
    theirs = filled_elsewhere([[value for point in points for value in point]], size)
    around = np.ones((3, 3), bool)
    assert not (binary_erosion(ours, around) & ~theirs).any()
    assert not (binary_erosion(theirs, around) & ~ours).any()


def test_a_straight_edge_needs_no_points_between_its_corners() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:35] = True
    (polygon,) = polygons_of(mask)
    assert len(polygon) == 8


def test_a_pixel_belongs_to_a_figure_when_its_middle_does() -> None:
    assert painted(box(1.0, 1.0, 3.0, 2.0), (4, 4), 1.0).nonzero()[1].tolist() == [1, 2]
    assert painted(circle(np.array([2.5, 2.5]), np.array([3.7, 2.5])), (5, 5), 1.0).sum() == 5
    assert painted(ellipse(10.0, 10.0, 8.0, 4.0), (20, 20), 1.0).sum() == pytest.approx(np.pi * 32, rel=0.03)


def test_a_box_is_turned_clockwise_about_its_corner() -> None:
    found = painted(turned(box(10.0, 2.0, 16.0, 4.0), 90.0, 10.0, 2.0), (12, 20), 1.0)
    assert (found == painted(box(8.0, 2.0, 10.0, 8.0), (12, 20), 1.0)).all()


@given(st.floats(1, 6), st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=4))
def test_a_line_is_in_one_piece_however_thin(width: float, points: list[tuple[float, float]]) -> None:
    assert len(polygons_of(binary_dilation(_line(width, points), np.ones((3, 3))))) == 1


def test_a_line_has_the_width_that_was_asked_for() -> None:
    assert _line(4.0, [(0, 10), (20, 10)]).sum(axis=0).tolist() == [4] * 20


def _line(width: float, points: list[tuple[float, float]]) -> np.ndarray:
    return painted(Outline("line", points_of(points)), (20, 20), width)
