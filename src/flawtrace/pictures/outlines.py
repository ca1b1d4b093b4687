"""Shapes that defects have: lines, blobs and clouds, drawn by chance.

Lengths are in pixels, or shares of the shorter side where it says so.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.spatial import KDTree

Plane: TypeAlias = Float[np.ndarray, "h w"]


def somewhere(height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "2"]:
    """A point (row, column) that is not near the border."""
    found: np.ndarray = rng.uniform(0.2, 0.8, 2) * np.array([height, width])
    return found


def bent_line(side: int, rng: np.random.Generator) -> Float[np.ndarray, "p 2"]:
    """Points (row, column), three to a pixel, of a gently bending line whose middle is the origin."""
    num_points = max(int(3 * rng.uniform(0.25, 0.6) * side), 8)
    wobble = gaussian_filter1d(rng.normal(0, 1, num_points), num_points / 12, mode="nearest")
    bend = np.linspace(0, rng.uniform(-1.2, 1.2), num_points)
    heading = rng.uniform(0, 2 * np.pi) + bend + 0.25 * wobble / wobble.std()
    points = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=1) / 3, axis=0)
    centred: np.ndarray = points - points[num_points // 2]
    return centred


def stroke(
    height: int,
    width: int,
    path: Float[np.ndarray, "p 2"],
    rng: np.random.Generator,
    radii: tuple[float, float] = (0.002, 0.0045),
) -> Plane:
    """Alpha of a soft-edged line along `path` that grows out of nothing, presses unevenly and fades.

    Its radius lies between two shares of the shorter side.
    """
    side = min(height, width)
    distance, nearest = KDTree(path).query(np.indices((height, width)).reshape(2, -1).T)
    along = np.linspace(0, 1, len(path))
    pressure = gaussian_filter1d(rng.normal(0, 1, len(path)), len(path) / 20 + 1, mode="nearest")
    strength = smoothstep(6 * along) * smoothstep(4 * (1 - along)) * (0.8 + 0.2 * pressure / pressure.std())
    radius = max(rng.uniform(*radii) * side, 0.5)
    alpha: Plane = strength.clip(0, 1)[nearest] * smoothstep((2.4 * radius - distance) / (1.6 * radius))
    return alpha.reshape(height, width)


def blob(height: int, width: int, radius: float, roughness: float, rng: np.random.Generator) -> Plane:
    """Pixels from the outline of a ragged, slanted blob; positive inside."""
    y, x = np.indices((height, width)) - somewhere(height, width, rng)[:, None, None]
    slant, stretch = rng.uniform(0, np.pi), rng.uniform(1, 1.6)
    u = (np.cos(slant) * x + np.sin(slant) * y) / stretch
    v = np.cos(slant) * y - np.sin(slant) * x
    angle = np.arctan2(v, u)
    waves = np.arange(2, 8)
    heights = rng.normal(0, roughness, len(waves)) / waves**1.3
    phases = rng.uniform(0, 2 * np.pi, len(waves))
    bumps = (heights[:, None, None] * np.cos(waves[:, None, None] * angle + phases[:, None, None])).sum(
        axis=0
    )
    inside: Plane = radius * (1 + bumps).clip(0.5, 1.5) - np.hypot(u, v)
    return inside


def clouds(height: int, width: int, scale: float, rng: np.random.Generator) -> Plane:
    """Smooth noise of standard deviation 1 whose bumps are about `scale` pixels wide."""
    noise = gaussian_filter(rng.normal(0, 1, (height, width)), scale)
    found: Plane = noise / noise.std()
    return found


def smoothstep(values: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and smooth in between."""
    t = values.clip(0, 1)
    step: np.ndarray = t * t * (3 - 2 * t)
    return step
