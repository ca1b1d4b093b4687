"""Geometry of patches on a grid of cells, and the static map of an image; pure functions.

A `canvas` is what the autoencoder reconstructs: pixels, or features of a frozen network. Its cells
are the unit of every coordinate here. A centre (row, column) covers the `side` rows from
row - side // 2 on: with an even side up to, not including, row + side / 2.
"""

import torch
from jaxtyping import Float, Int, Shaped
from kornia.filters import box_blur, gaussian_blur2d, sobel
from torch import Tensor
from torch.nn.functional import avg_pool2d

from flawtrace.ground.shapes import Actions, ErrorMaps, Images, PerWalker, Points

MOVES = torch.tensor([[0, 0], [0, -1], [0, 1], [-1, 0], [1, 0], [-1, -1], [1, -1], [-1, 1], [1, 1]])
"""(row, column) direction of each action; action 0 goes to the next image instead."""

NEXT_IMAGE = 0


def clamp(centers: Points, height: int, width: int, side: int) -> Points:
    """Move `centers` as little as possible so that boxes of `side` fit in the grid.

    >>> clamp(torch.tensor([[2, 90]]), height=64, width=128, side=16)
    tensor([[ 8, 90]])
    """
    half = side // 2
    low = torch.full_like(centers, half)
    high = centers.new_tensor([height - side + half, width - side + half]).expand_as(centers)
    return centers.clamp(low, high)


def shift(centers: Points, actions: Actions, stride: int, height: int, width: int, *, side: int) -> Points:
    """Where `actions` 1 to 8 take the centres; action 0 leaves them."""
    moved = centers + stride * MOVES.to(centers.device)[actions]
    return clamp(moved, height, width, side)


def random_centers(count: int, height: int, width: int, side: int, rng: torch.Generator) -> Points:
    """Centres spread evenly over all places where a box of `side` fits."""
    half = side // 2
    rows = torch.randint(half, height - side + half + 1, (count,), generator=rng)
    columns = torch.randint(half, width - side + half + 1, (count,), generator=rng)
    return torch.stack([rows, columns], dim=1)


def lattice(cells: int, side: int, stride: int) -> Int[Tensor, " n"]:
    """Centres along an axis of `cells` cells: from the first box of `side` that fits to the last.

    They are `stride` apart, only the last two may be closer; with a `stride` of at most `side` no cell is
    left out.

    >>> lattice(14, side=8, stride=4)
    tensor([ 4,  8, 10])
    """
    half = side // 2
    last = cells - side + half
    return torch.tensor([*range(half, last, stride), last])


def means_around(
    planes: Images, rows: Int[Tensor, " rows"], columns: Int[Tensor, " columns"], side: int
) -> Float[Tensor, "b c rows columns"]:
    """Mean of each plane under the box of `side` around each crossing of these rows and columns.

    A mean over a box is one over its rows of means over its columns, so both are products of matrices.
    """
    down, along = (
        _averaging(centers, cells, side).to(planes.device)
        for centers, cells in zip((rows, columns), planes.shape[2:], strict=True)
    )
    means: Tensor = down @ (planes @ along.T)
    return means


def crop(
    planes: Shaped[Tensor, "b c h w"], indices: Int[Tensor, " n"], centers: Points, side: int
) -> Float[Tensor, "n c side side"]:
    """The box of `side` around each centre, from the plane of each index, as float32.

    Outside the grid the nearest cell is repeated.
    """
    height, width = planes.shape[2:]
    images, rows, columns = _boxes(planes, indices, centers, side)
    picked = planes[images, :, rows.clamp(0, height - 1), columns.clamp(0, width - 1)]
    return picked.permute(0, 3, 1, 2).float()


def add_boxes(visits: ErrorMaps, indices: Int[Tensor, " n"], centers: Points, side: int) -> None:
    """Count one more visit to every cell under each box, in place; boxes must lie in the grid."""
    one = torch.ones((), device=visits.device)
    visits.index_put_(_boxes(visits, indices, centers, side), one, accumulate=True)


def put_boxes(
    planes: ErrorMaps, indices: Int[Tensor, " n"], centers: Points, values: Float[Tensor, "n side side"]
) -> None:
    """Write each box of `values` over what was there, in place; where boxes overlap, the last one counts."""
    shown_by = (indices[:, None] == indices).int().argmax(dim=1)  # the first box on the same image
    spots = _boxes(planes, shown_by, centers, values.shape[1])
    numbers = torch.arange(values.numel(), device=planes.device).view(values.shape)
    last = numbers.new_zeros(len(indices), *planes.shape[1:])  # of all values for a cell, the one that counts
    last.view(-1).scatter_reduce_(0, _flat(last, spots), numbers.view(-1), "amax")
    planes.index_put_(_boxes(planes, indices, centers, values.shape[1]), values.flatten()[last[spots]])


def mean_under(planes: ErrorMaps, indices: Int[Tensor, " n"], centers: Points, side: int) -> PerWalker:
    """Mean of the plane under each box."""
    means: Tensor = crop(planes[:, None], indices, centers, side).mean(dim=(1, 2, 3))
    return means


def edges(images: Images) -> ErrorMaps:
    """Sobel magnitude of the blurred grey image: the texture that R_clone pays for."""
    grey = images.mean(dim=1, keepdim=True)
    blurred = gaussian_blur2d(grey, (5, 5), (1.0, 1.0))
    magnitudes: Tensor = sobel(blurred, normalized=False)
    return magnitudes[:, 0]


def standardized(texture: ErrorMaps, side: int) -> ErrorMaps:
    """`texture` such that its mean under a random patch of `side` has mean 0 and deviation 1."""
    under = avg_pool2d(texture[:, None], side, stride=1)
    return (texture - under.mean()) / (under.std() + 1e-8)


def static_maps(images: Images, errors: ErrorMaps) -> ErrorMaps:
    """The policy's fixed view of an image, in [0, 1].

    F = minmax(0.7 z(MAE) + 0.1 z(local variance 3x3) + 0.2 z(Sobel magnitude)), z and minmax per
    image, with the MAE of an autoencoder trained beforehand (the published script's weights).
    """
    grey = images.mean(dim=1, keepdim=True)
    variance = (box_blur(grey**2, (3, 3)) - box_blur(grey, (3, 3)) ** 2)[:, 0]
    gradient = sobel(grey, normalized=False)[:, 0]
    return _min_max(0.7 * _z(errors) + 0.1 * _z(variance) + 0.2 * _z(gradient))


def _averaging(centers: Int[Tensor, " n"], cells: int, side: int) -> Float[Tensor, "n {cells}"]:
    """Times a vector of `cells` cells: its means over the `side` cells around each centre."""
    first = (centers - side // 2)[:, None]
    cell = torch.arange(cells)
    return ((cell >= first) & (cell < first + side)).float() / side


def _boxes(planes: Tensor, indices: Int[Tensor, " n"], centers: Points, side: int) -> tuple[Tensor, ...]:
    """Indices of the cells under each box, on the planes' device: image, row, column."""
    indices, centers = indices.to(planes.device), centers.to(planes.device)
    reach = torch.arange(side, device=planes.device) - side // 2
    return indices[:, None, None], (centers[:, :1] + reach)[:, :, None], (centers[:, 1:] + reach)[:, None, :]


def _flat(planes: Tensor, where: tuple[Tensor, ...]) -> Int[Tensor, " cells"]:
    """The same cells as indices into all planes laid out in one row."""
    images, rows, columns = where
    return ((images * planes.shape[1] + rows) * planes.shape[2] + columns).flatten()


def _z(maps: ErrorMaps) -> ErrorMaps:
    mean, std = maps.mean(dim=(1, 2), keepdim=True), maps.std(dim=(1, 2), keepdim=True)
    return (maps - mean) / (std + 1e-8)


def _min_max(maps: ErrorMaps) -> ErrorMaps:
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low + 1e-8)
