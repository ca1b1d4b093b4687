"""Resizing as products of matrices, for exported graphs: every runtime multiplies alike.

Of the antialiasing that ONNX's own operator asks for, OpenVINO does nothing
(https://github.com/openvinotoolkit/openvino/issues/35893).
"""

from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

BANDS = 16
"""Parts of the output, each made from its own part of the input: whole matrices would be mostly zeros."""

Planes: TypeAlias = Float[Tensor, "... _h _w"]


class Resampling(nn.Module):
    """`resampled` as a module without weights, so that a graph can tell which of its nodes resize."""

    def forward(self, planes: Planes, height: int, width: int) -> Planes:
        """As `resampled`."""
        return resampled(planes, height, width)


def resampled(planes: Planes, height: int, width: int) -> Float[Tensor, "... {height} {width}"]:
    """Planes (…, h, w) at another size: bilinear with antialiasing, within rounding of torch's own.

    >>> resampled(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), 1, 2)
    tensor([[0.7143, 2.2857]])
    """
    return _rows(_rows(planes, height).transpose(-1, -2), width).transpose(-1, -2)


def _rows(planes: Planes, new: int) -> Float[Tensor, "... {new} _w"]:
    """Planes with `new` rows; each is a mean of the old ones near it, whose weights fall linearly.

    All positions are in units of half a row of both grids, `1 / (2 old new)`, so that they are whole numbers.
    """
    old = planes.shape[-2]
    reach = 2 * torch.sym_max(old, new)
    per_band = (new + BANDS - 1) // BANDS
    most = ((per_band - 1) * old + reach) // new + 2
    rows = torch.arange(BANDS * per_band).clamp(max=new - 1).view(BANDS, per_band)
    centres = (2 * rows + 1) * old
    first = (centres[:, 0] - reach - new).clamp(min=0) // (2 * new)
    sources = first[:, None] + torch.arange(most)
    apart = (2 * sources + 1)[:, None] * new - centres[:, :, None]
    weights = (reach - apart.abs()).clamp(min=0) * (sources < old)[:, None]
    weights = weights / weights.sum(dim=-1, keepdim=True)
    near = planes.index_select(-2, sources.clamp(max=old - 1).flatten())
    near = near.view(*planes.shape[:-2], BANDS, most, planes.shape[-1])
    rows_of_bands: Tensor = weights.to(planes) @ near
    return rows_of_bands.flatten(-3, -2)[..., :new, :]
