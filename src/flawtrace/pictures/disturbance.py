"""What a camera may do to an image from one day to the next: position, light, focus, compression, noise.

Every function takes images (b, 3, h, w) in [0, 1] and gives as many, in [0, 1].
"""

import io
import math
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import get_affine_matrix2d, warp_affine
from PIL import Image as Pillow
from torch import Tensor

from flawtrace.ground.groups import Border
from flawtrace.ground.shapes import Image, Images
from flawtrace.pictures.images import as_picture

Each: TypeAlias = Float[Tensor, " b"]
"""One number for each image."""
PADDING: dict[Border, str] = {"continued": "reflection", "black": "zeros"}

ANGLE, SHIFT, SCALE, LIGHT, WARMTH = 3.0, 0.016, 0.03, 0.15, 0.05
"""At most, in degrees and shares, by which `another_day` turns, shifts, scales, lights and tints an image."""
BLUR, SHARP, QUALITY, NOISE = 1.5, 1.0, (40, 95), 0.02
"""Greatest standard deviation of its blur (pixels), greatest sharpening, JPEG qualities, greatest noise."""


def moved(
    images: Images,
    angle: Each,
    shift: Float[Tensor, "b 2"],
    scale: Each,
    *,
    shear: Float[Tensor, "b 2"] | None = None,
    border: Border = "continued",
) -> Images:
    """Turned by `angle` degrees, shifted by shares of the side (x, y), scaled, and sheared by degrees (x, y).

    What comes in from outside is the image mirrored at its border, or black.
    """
    count, _, height, width = images.shape
    sheared = {} if shear is None else {"sx": shear[:, 0].deg2rad(), "sy": shear[:, 1].deg2rad()}
    matrix = get_affine_matrix2d(
        shift * torch.tensor([width, height]),
        torch.tensor([[(width - 1) / 2, (height - 1) / 2]]).expand(count, 2),
        scale[:, None].expand(count, 2),
        angle,
        **sheared,
    )
    size = (height, width)
    changed: Images = warp_affine(
        images, matrix[:, :2], size, padding_mode=PADDING[border], align_corners=True
    )
    return changed


def lit(images: Images, factor: Each) -> Images:
    """Brighter or darker."""
    return (images * factor[:, None, None, None]).clamp(0, 1)


def blurred(images: Images, sigma: float) -> Images:
    """Out of focus: a Gaussian of `sigma` pixels."""
    side = 2 * math.ceil(3 * sigma) + 1
    changed: Images = gaussian_blur2d(images, (side, side), (sigma, sigma))
    return changed


def sharpened(images: Images, amount: float) -> Images:
    """Unsharp masking, as cameras do it: what a blur of one pixel takes away is added `amount` times."""
    return (images + amount * (images - blurred(images, 1.0))).clamp(0, 1)


def compressed(images: Images, quality: int) -> Images:
    """Through a JPEG file of this quality, from 1 to 95."""
    return torch.stack([_through_jpeg(image, quality) for image in images])


def noisy(images: Images, deviation: float, rng: torch.Generator) -> Images:
    """With Gaussian noise."""
    return (images + deviation * torch.randn(images.shape, generator=rng)).clamp(0, 1)


def tinted(images: Images, warmth: float) -> Images:
    """Under light of another colour temperature: red times 1 + `warmth`, blue times 1 - `warmth`."""
    return (images * torch.tensor([1 + warmth, 1.0, 1 - warmth])[:, None, None]).clamp(0, 1)


def another_day(image: Image, rng: torch.Generator) -> Image:
    """One image as another day might show it: moved, lit and tinted a little, and out of focus or such."""
    draws = (2 * torch.rand(6, generator=rng) - 1).tolist()
    images = moved(
        image[None],
        torch.tensor([ANGLE * draws[0]]),
        SHIFT * torch.tensor([draws[1:3]]),
        1 + torch.tensor([SCALE * draws[3]]),
    )
    images = tinted(lit(images, 1 + torch.tensor([LIGHT * draws[4]])), WARMTH * draws[5])
    return defocused(images, rng)[0]


def defocused(images: Images, rng: torch.Generator) -> Images:
    """Blurred, sharpened, compressed or noisy, by chance one of them."""
    kind, amount = int(torch.randint(4, (), generator=rng)), float(torch.rand((), generator=rng))
    if kind == 0:
        return blurred(images, max(0.1, BLUR * amount))
    if kind == 1:
        return compressed(images, round(QUALITY[0] + amount * (QUALITY[1] - QUALITY[0])))
    if kind == 2:
        return sharpened(images, SHARP * amount)
    return noisy(images, NOISE * amount, rng)


def _through_jpeg(image: Image, quality: int) -> Image:
    file = io.BytesIO()
    Pillow.fromarray(as_picture(image).numpy()).save(file, "JPEG", quality=quality)
    decoded = np.array(Pillow.open(file, formats=["JPEG"]))
    return torch.from_numpy(decoded).permute(2, 0, 1).float() / 255
