"""The vocabulary of tensor shapes: signatures read as sentences, tests check them.

Axes: b images of a batch, c channels, h and w rows and columns, k snapshots of a loss profile,
n walkers (one per patch of a batch), t steps of a rollout.
"""

from typing import TypeAlias

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

Image: TypeAlias = Float[Tensor, "c h w"]
Picture: TypeAlias = UInt8[Tensor, "h w 3"]
"""As files and screens have it."""
Images: TypeAlias = Float[Tensor, "b c h w"]
Mask: TypeAlias = Bool[Tensor, "h w"]
Masks: TypeAlias = Bool[Tensor, "b h w"]
Coverage: TypeAlias = Float[Tensor, "b h w"]
"""Share of each cell that a mask covers, in [0, 1]."""

Canvases: TypeAlias = Float[Tensor, "b features grid grid"]
"""What the autoencoder reconstructs, where the images that it shows have other sizes."""

Pictures: TypeAlias = Float[Tensor, "b 3 side side"]
"""Images in colour at the size at which they are judged, where canvases have another."""

ErrorMaps: TypeAlias = Float[Tensor, "b h w"]
ScaleErrors: TypeAlias = Float[Tensor, "b scales h w"]
"""Error maps, one for each scale of what is reconstructed."""
LossProfiles: TypeAlias = Float[Tensor, "b k h w"]
Logits: TypeAlias = Float[Tensor, "b h w"]
AnomalyMap: TypeAlias = Float[Tensor, "h w"]

Patches: TypeAlias = Float[Tensor, "n c side side"]
Observations: TypeAlias = Float[Tensor, "n c crop crop"]
Surveys: TypeAlias = Float[Tensor, "b planes rows columns"]
"""What is known of images under each of the candidates for a patch."""
Points: TypeAlias = Int[Tensor, "n 2"]
"""Centres as (row, column), in cells."""
Actions: TypeAlias = Int[Tensor, " n"]
PerImage: TypeAlias = Float[Tensor, " b"]
PerWalker: TypeAlias = Float[Tensor, " n"]
PerStep: TypeAlias = Float[Tensor, "t n"]
Scalar: TypeAlias = Float[Tensor, ""]
