"""Walkers: where the patches of an update come from, and what is known of the images they walk on."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from flawtrace.ground.shapes import Actions, ErrorMaps, Images, Observations, PerWalker, Points, Surveys
from flawtrace.method.patches import (
    NEXT_IMAGE,
    add_boxes,
    clamp,
    crop,
    lattice,
    mean_under,
    means_around,
    put_boxes,
    random_centers,
    shift,
)

CHANNELS = 6
"""Planes of an observation: red, green, blue, reconstruction error, visits, static map."""
SURVEYED = 5
"""Planes of a survey: reconstruction error, visits, static map, texture, distance from the memory."""


@dataclass(frozen=True)
class Places:
    """One patch per walker: the image's index and the patch's centre in it, in cells.

    Both are on the processor, where they are drawn, wherever the images are.
    """

    images: Int[Tensor, " n"]
    centers: Points


@dataclass(frozen=True)
class Geometry:
    """Sides in cells."""

    walkers: int
    patch: int
    crop: int
    stride: int


@dataclass(frozen=True)
class Terrain:
    """What surveys show of images, beside what walkers see, that no cycle changes."""

    texture: ErrorMaps
    """Standardized over the patches, since means of colour under a patch tell nothing of it."""
    distances: ErrorMaps
    """From the memory of normal images, in deviations."""


class Walkers:
    """`n` walkers on `b` images, and the memory of one cycle: visits and errors, cell by cell.

    The error of a cell is the one last measured under a patch (0 where no patch has been): training
    measures it anyway, so the observation costs nothing more.
    """

    def __init__(
        self, images: Images, statics: ErrorMaps, geometry: Geometry, terrain: Terrain | None = None
    ) -> None:
        self.geometry = geometry
        self.statics = statics
        self._terrain = terrain or Terrain(torch.zeros_like(statics), torch.zeros_like(statics))
        self._images = images
        self.visits = torch.zeros_like(statics)
        self.errors = torch.zeros_like(statics)
        self.places = Places(torch.zeros(0, dtype=torch.long), torch.zeros(0, 2, dtype=torch.long))
        self._order = torch.arange(len(images))
        self._cursor = 0

    def begin(self, rng: torch.Generator) -> None:
        """Forget the last cycle, and stand at a random place of the next images in a new random order."""
        self.visits.zero_()
        self.errors.zero_()
        self._order = torch.randperm(len(self._images), generator=rng)
        self._cursor = 0
        count = self.geometry.walkers
        self.places = Places(self._next_images(count), self._random_centers(count, rng))

    def observe(self) -> Observations:
        """The crop around each walker."""
        memory = torch.stack([self.errors, self.visits, self.statics], dim=1)
        planes = [
            crop(plane, self.places.images, self.places.centers, self.geometry.crop)
            for plane in (self._images, memory)
        ]
        return torch.cat(planes, dim=1)

    def survey(self, count: int, rng: torch.Generator) -> tuple[Int[Tensor, " b"], Surveys]:
        """`count` random images, or all if there are no more; and means under each of their candidates.

        Candidates lie on a lattice, as far apart as one move takes a walker: less than the side of a patch,
        so that neighbours overlap, and every cell is under one at least.
        """
        images = torch.randperm(len(self._images), generator=rng)[:count]
        rows = images.to(self.statics.device)
        terrain = self._terrain
        planes = (self.errors, self.visits, self.statics, terrain.texture, terrain.distances)
        shown = torch.stack([plane[rows] for plane in planes], dim=1)
        return images, means_around(shown, *self._lattices, self.geometry.patch)

    def candidates(self, images: Int[Tensor, " b"], picks: Int[Tensor, " n"]) -> Places:
        """The candidates of these numbers, counted image by image, and in an image row by row."""
        rows, columns = self._lattices
        spots = picks % (len(rows) * len(columns))
        centers = torch.stack([rows[spots // len(columns)], columns[spots % len(columns)]], dim=1)
        return Places(images[picks // (len(rows) * len(columns))], centers)

    def moved(self, actions: Actions, rng: torch.Generator) -> Places:
        """Where the walkers' own actions take them; the first patch of an image is at a random place."""
        geometry, (height, width) = self.geometry, self.statics.shape[1:]
        leaving = actions == NEXT_IMAGE
        images = self.places.images.clone()
        images[leaving] = self._next_images(int(leaving.sum()))
        fresh = self._random_centers(len(actions), rng)
        shifted = shift(self.places.centers, actions, geometry.stride, height, width, side=geometry.patch)
        return Places(images, torch.where(leaving[:, None], fresh, shifted))

    def anywhere(self, rng: torch.Generator) -> Places:
        """A random place of a random image for each walker."""
        count = self.geometry.walkers
        images = torch.randint(len(self._images), (count,), generator=rng)
        return Places(images, self._random_centers(count, rng))

    def by_static_map(self, rng: torch.Generator) -> Places:
        """A random image for each walker, and a centre drawn in proportion to its static map."""
        images = self.anywhere(rng).images
        height, width = self.statics.shape[1:]
        weights = self.statics[images].flatten(1).cpu() + 1e-6
        cells = torch.multinomial(weights, 1, generator=rng)[:, 0]
        centers = torch.stack([cells // width, cells % width], dim=1)
        return Places(images, clamp(centers, height, width, self.geometry.patch))

    def go(self, places: Places) -> None:
        """Stand there, and count the visit to every cell under the patches."""
        self.places = places
        add_boxes(self.visits, places.images, places.centers, self.geometry.patch)

    def remember(self, errors: Float[Tensor, "n side side"]) -> None:
        """Note the reconstruction error under each walker's patch."""
        put_boxes(self.errors, self.places.images, self.places.centers, errors)

    def visited(self) -> Float[Tensor, "rows columns"]:
        """How often patches were taken from each cell, in all images together, on the processor."""
        return self.visits.sum(dim=0).cpu()

    def visits_under(self, places: Places) -> PerWalker:
        """Mean number of visits so far under each patch."""
        return mean_under(self.visits, places.images, places.centers, self.geometry.patch)

    def state(self) -> dict[str, Any]:
        return {
            "visits": self.visits,
            "errors": self.errors,
            "images": self.places.images,
            "centers": self.places.centers,
            "order": self._order,
            "cursor": self._cursor,
        }

    def load(self, state: dict[str, Any]) -> None:
        device = self.statics.device
        self.visits = state["visits"].to(device)
        self.errors = state["errors"].to(device)
        self.places = Places(state["images"], state["centers"])
        self._order = state["order"]
        self._cursor = state["cursor"]

    @property
    def _lattices(self) -> tuple[Int[Tensor, " rows"], Int[Tensor, " columns"]]:
        height, width = self.statics.shape[1:]
        patch, stride = self.geometry.patch, self.geometry.stride
        return lattice(height, patch, stride), lattice(width, patch, stride)

    def _next_images(self, count: int) -> Int[Tensor, " n"]:
        positions = (self._cursor + torch.arange(count)) % len(self._order)
        self._cursor = (self._cursor + count) % len(self._order)
        return self._order[positions]

    def _random_centers(self, count: int, rng: torch.Generator) -> Points:
        height, width = self.statics.shape[1:]
        return random_centers(count, height, width, self.geometry.patch, rng)
