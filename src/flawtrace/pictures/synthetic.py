"""A made-up data set for the demo and the tests: photographed textures with rendered defects.

The photographs are `brick`, `grass` and `gravel` (512 x 512, grey) from the wheel of scikit-image, which is
installed anyway, so nothing is downloaded. All three are in the public domain (CC0): brick and gravel come
from cc0textures.com (Bricks25, Gravel04), grass from DeviantArt (linolafett, "Grass 01"), as the docstrings
of `skimage.data` say.

Lengths are shares of the image's shorter side, so that a defect looks the same at any size.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
import skimage.data
from jaxtyping import Bool, Float
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter

from flawtrace.ground.files import write_bytes
from flawtrace.pictures.errors import UnknownTextureError
from flawtrace.pictures.outlines import Plane, bent_line, blob, clouds, smoothstep, somewhere, stroke

Pixels: TypeAlias = Float[np.ndarray, "h w *c"]
"""Grey (h, w) or colour (h, w, 3), in [0, 1]."""
Colours: TypeAlias = Float[np.ndarray, "h w c"]
Mask: TypeAlias = Bool[np.ndarray, "h w"]
Painted: TypeAlias = tuple[np.ndarray, np.ndarray]
"""The image as if the defect were everywhere, and how much of it shows at each pixel (alpha, at most 1)."""

TEXTURES: dict[str, Callable[[], np.ndarray]] = {
    "brick": skimage.data.brick,
    "grass": skimage.data.grass,
    "gravel": skimage.data.gravel,
}
VISIBLE = 0.25
"""Share of a defect's strongest alpha from which the mask counts a pixel as changed."""


def make_dataset(
    root: Path,
    seed: int = 0,
    texture: str = "brick",
    side: int = 256,
    *,
    num_normal: int = 60,
    num_test_normal: int = 12,
    num_per_type: int = 10,
) -> Path:
    """Write a data set in the layout of MVTec AD below `root`, and return `root`.

    Training images are windows of the photograph's left half, test images of its right half. Each image
    depends on the seed, its folder and its number only: a larger data set begins with the smaller one.

    Raises:
        UnknownTextureError: `texture` is not in `TEXTURES`.
    """
    left, right = _halves(texture)
    for index in range(num_normal):
        _write(root / "train" / "good" / f"{index:03}.png", _photograph(left, side, _rng(seed, 0, index)))
    for index in range(num_test_normal):
        _write(root / "test" / "good" / f"{index:03}.png", _photograph(right, side, _rng(seed, 1, index)))
    for folder, defect_type in enumerate(PAINTERS, start=2):
        for index in range(num_per_type):
            rng = _rng(seed, folder, index)
            image, mask = render_defect(_photograph(right, side, rng), defect_type, rng)
            _write(root / "test" / defect_type / f"{index:03}.png", image)
            _write(root / "ground_truth" / defect_type / f"{index:03}_mask.png", mask.astype(float))
    return root


def render_defect(image: Pixels, defect_type: str, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A copy of `image` with one defect, and the mask of the pixels where it shows (never empty).

    Raises:
        ValueError: `defect_type` is not `scratch`, `hole` or `stain`.
    """
    if defect_type not in PAINTERS:
        raise ValueError(f"No defect is called {defect_type!r}; expected one of: {', '.join(PAINTERS)}.")
    colours = image.reshape(*image.shape[:2], -1)
    painted, alpha = PAINTERS[defect_type](colours, rng)
    blended = colours + alpha[..., None] * (painted - colours)
    return blended.clip(0, 1).reshape(image.shape).astype(image.dtype), alpha > VISIBLE * alpha.max()


def _scratch(image: Colours, rng: np.random.Generator) -> Painted:
    """A thin bent groove, bright or dark and lit from one side, now and then with a fainter one beside it."""
    height, width = image.shape[:2]
    side = min(height, width)
    path = bent_line(side, rng) + somewhere(height, width, rng)
    groove = stroke(height, width, path, rng)
    if rng.random() < 0.4:
        beside = path + rng.uniform(-0.03, 0.03, 2) * side
        part = beside[rng.integers(0, len(path) // 2) :][: len(path) // 2]
        groove = np.maximum(groove, 0.7 * stroke(height, width, part, rng))
    bright = rng.uniform(0.12, 0.2) * rng.choice([-1, 1.2], p=[0.35, 0.65])
    lit = _contrast(image) * (bright + 0.06 * _relief(groove, rng))
    return _smeared(image, 0.01 * side) + lit[..., None], groove


def _hole(image: Colours, rng: np.random.Generator) -> Painted:
    """A dark chipped-out blob: the far wall catches light, the near one lies in shadow, the rim is rubbed."""
    height, width = image.shape[:2]
    side = min(height, width)
    inside = blob(height, width, rng.uniform(0.028, 0.06) * side, 0.3, rng)
    inside += 0.003 * side * clouds(height, width, 0.01 * side, rng)
    depth = smoothstep(inside / (0.018 * side))
    light = _relief(gaussian_filter(depth, 0.006 * side), rng)
    floor = _smeared(image, 0.008 * side) * rng.uniform(0.25, 0.45) / _contrast(image)
    painted = image + depth[..., None] * (floor - image) + 0.16 * light[..., None]
    return painted, smoothstep(1 + inside / (0.012 * side))


def _stain(image: Colours, rng: np.random.Generator) -> Painted:
    """A soft uneven discolouration that darkens (oil) or lightens (salt) and gathers at its edge."""
    height, width = image.shape[:2]
    side = min(height, width)
    inside = blob(height, width, rng.uniform(0.07, 0.14) * side, 0.5, rng)
    inside += 0.014 * side * clouds(height, width, 0.03 * side, rng)
    body = smoothstep(0.5 + inside / (0.06 * side))
    edge = body * (1 - smoothstep(inside / (0.08 * side)))
    alpha = body * (0.75 + 0.12 * clouds(height, width, 0.02 * side, rng).clip(-2, 2)) + 0.25 * edge
    strength = _contrast(image) * rng.uniform(0.18, 0.32) * rng.uniform(0.8, 1.2, image.shape[2])
    towards = rng.choice([0.0, 0.9], p=[0.7, 0.3])
    return image + strength * (towards - image), alpha.clip(0, 1)


PAINTERS: dict[str, Callable[[Colours, np.random.Generator], Painted]] = {
    "scratch": _scratch,
    "hole": _hole,
    "stain": _stain,
}


def _relief(depth: Plane, rng: np.random.Generator) -> Plane:
    """How much light a slope catches, in [-1, 1], for a lamp from a random side."""
    towards = rng.uniform(0, 2 * np.pi)
    down, right = np.gradient(depth)
    slope: Plane = np.sin(towards) * down + np.cos(towards) * right
    return slope / max(float(np.abs(slope).max()), 1e-9)


def _smeared(image: Colours, radius: float) -> Colours:
    smeared: Colours = gaussian_filter(image, (radius, radius, 0))
    return smeared


def _contrast(image: Colours) -> float:
    """From 1 on a calm texture to 1.6 on a busy one, where only a stronger defect can be seen."""
    side = min(image.shape[:2])
    return float(np.interp((image - _smeared(image, 0.02 * side)).std(), [0.07, 0.12], [1, 1.6]))


def _halves(texture: str) -> tuple[Picture.Image, Picture.Image]:
    if texture not in TEXTURES:
        raise UnknownTextureError(texture, list(TEXTURES))
    photograph = TEXTURES[texture]()
    middle = photograph.shape[1] // 2
    return Picture.fromarray(photograph[:, :middle]), Picture.fromarray(photograph[:, middle:])


def _photograph(part: Picture.Image, side: int, rng: np.random.Generator) -> Plane:
    """A window of `part` as a line's camera sees it: place, distance, side, lamp and noise vary a little."""
    window = rng.uniform(0.66, 0.8) * min(part.size)
    left, top = rng.uniform(0, 1, 2) * (part.width - window, part.height - window)
    resized = part.resize((side, side), Picture.Resampling.BICUBIC, (left, top, left + window, top + window))
    image: Plane = np.asarray(resized) / 255
    image = image[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    lamp = np.add.outer(*rng.uniform(-0.05, 0.05, (2, 1)) * np.linspace(-1, 1, side))
    image = image * (rng.uniform(0.92, 1.08) + lamp) + rng.uniform(-0.03, 0.03)
    return (image + rng.normal(0, 0.008, image.shape)).clip(0, 1)


def _rng(seed: int, folder: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, folder, index])


def _write(path: Path, image: Plane) -> None:
    encoded = BytesIO()
    Picture.fromarray(np.round(image * 255).astype(np.uint8)).save(encoded, "PNG")
    write_bytes(path, encoded.getvalue())
