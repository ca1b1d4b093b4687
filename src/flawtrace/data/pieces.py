"""What training takes of a split: so many normal images, and tiles where images are cut into them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from flawtrace.data.errors import DataError, HiddenDefectError, VanishedDefectError
from flawtrace.data.masks import mask_of
from flawtrace.data.samples import Sample, Split, vouched_for
from flawtrace.ground.config import Config
from flawtrace.ground.groups import Polygons
from flawtrace.ground.learner import derive
from flawtrace.ground.shapes import Image, Mask
from flawtrace.ground.wording import counted
from flawtrace.pictures.images import fit, fit_mask, image_size
from flawtrace.pictures.mask_files import read_mask
from flawtrace.pictures.region import inside, within
from flawtrace.pictures.tiles import Size, boxes, working_size

Item = TypeVar("Item")

LABELLED_TILES = 4
"""Of a labelled image: the one that shows most of the defect, and others that show some of it."""


def pieces(split: Split, config: Config) -> Split:
    """The split with what is trained on: at most `normal_limit` normal images, or tiles of images.

    Of normal images those that are `vouched_for` are taken. Tiles of labelled images all show a defect; the
    others are left out, and so are images of defects without a mask, of which no tile is known to show one.
    With a region, normal tiles show some of it.

    Raises:
        VanishedDefectError, HiddenDefectError: a labelled defect has no pixel left at the working size, or
            in the region.
    """
    rng = np.random.default_rng(derive(config.seed, 10))
    normal = tuple(_normal(vouched_for(split.normal), config, rng))
    if config.tile_side is None:
        return replace(split, normal=normal)
    labelled = tuple(tile for sample in split.labelled for tile in _showing(sample, config, rng))
    return replace(split, normal=normal, labelled=labelled, unmasked=())


def passed_over(split: Split, config: Config) -> Iterator[str]:
    """What a person should know of images in the split that teach other than they may seem to."""
    if config.tile_side is not None and split.unmasked:
        yield (
            f"Defects without a mask are not learnt from: {counted(len(split.unmasked), 'image')}, of which "
            "nobody knows on which tiles the defect shows. Draw their masks, or train without tiles."
        )
    ignored = sum(sample.ignored is not None for sample in split.normal)
    if ignored and ignored == len(split.normal):
        yield (
            "All normal images have ignored pixels. They are learnt from whole, as if everything in them "
            "were normal. Add normal images without ignored pixels."
        )
    elif ignored:
        yield (
            f"Normal images with ignored pixels are not learnt from: {ignored} of {len(split.normal)}. "
            "What is ignored may be a defect."
        )


def common_size(samples: Sequence[Sample], *configs: Config) -> Size:
    """The working size of the largest of the images, both ways, and of the largest under these settings."""
    sizes = [size_of(sample, config) for config in configs for sample in samples]
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def size_of(sample: Sample, config: Config) -> Size:
    """The working size of the sample's image, whole; reads the file's header."""
    return working_size(image_size(sample.image), config)


def worked_on(image: Image, config: Config) -> Float[Tensor, "c _h _w"]:
    """An image at its working size, whole; black outside of the region of interest."""
    return within(fit(image, *working_size((image.shape[1], image.shape[2]), config)), config.region)


def mask_at(sample: Sample, size: Size, region: Polygons | None = None) -> Mask:
    """The sample's mask at a working size, whole, as far as it lies in the region of interest."""
    if not sample.mask:
        return torch.zeros(size).bool()
    mask = fit_mask(mask_of(sample), *size)
    if sample.ignored:
        mask = mask & ~ignored_at(sample, size)
    return mask if region is None else mask & inside(region, *size)


def lost(sample: Sample, size: Size, region: Polygons | None) -> DataError:
    """Why nothing is left of a sample's defect at a working size."""
    assert sample.mask is not None, f"{sample.image} has no defect that can be lost"
    hidden = region is not None and mask_at(sample, size).any()
    return HiddenDefectError(sample.mask) if hidden else VanishedDefectError(sample.mask, size)


def ignored_at(sample: Sample, size: Size) -> Mask:
    """Pixels at a working size, of the whole image, that nobody vouches for, not even in part."""
    if not sample.ignored:
        return torch.zeros(size).bool()
    touched: Mask = fit(read_mask(sample.ignored)[None].float(), *size)[0] > 0
    return touched


def images_of(samples: Sequence[Sample]) -> list[Path]:
    """The images of samples, each once, in their order."""
    return list(dict.fromkeys(sample.image for sample in samples))


def sources_of(samples: Sequence[Sample]) -> Int[Tensor, " n"]:
    """The number of each sample's image."""
    number = {image: index for index, image in enumerate(images_of(samples))}
    return torch.tensor([number[sample.image] for sample in samples], dtype=torch.long)


def _normal(samples: Sequence[Sample], config: Config, rng: np.random.Generator) -> list[Sample]:
    """As many from each image, drawn; in the order of the images."""
    limit = config.normal_limit
    drawn = sorted(_some(range(len(samples)), limit, rng))
    if config.tile_side is None:
        return [samples[index] for index in drawn]
    share = -(-limit // max(1, len(drawn)))
    images = [samples[index] for index in drawn]
    tiles = [tile for image in images for tile in _some(_in_region(image, config), share, rng)]
    return [tiles[index] for index in sorted(_some(range(len(tiles)), limit, rng))]


def _showing(sample: Sample, config: Config, rng: np.random.Generator) -> list[Sample]:
    """Tiles on which the sample's defect shows."""
    assert sample.mask is not None, f"{sample.image} is labelled and has no mask"
    size = size_of(sample, config)
    tiles, mask = _tiles(sample, size, config), mask_at(sample, size, config.region)
    areas = [int(tile.part(mask).sum()) for tile in tiles]
    largest = int(np.argmax(areas))
    if areas[largest] == 0:
        raise lost(sample, size, config.region)
    others = [index for index, area in enumerate(areas) if area and index != largest]
    return [tiles[index] for index in sorted([largest, *_some(others, LABELLED_TILES - 1, rng)])]


def _in_region(sample: Sample, config: Config) -> list[Sample]:
    """Tiles that show some of the region of interest; the others are black."""
    size = size_of(sample, config)
    tiles = _tiles(sample, size, config)
    if config.region is None:
        return tiles
    region = inside(config.region, *size)
    return [tile for tile in tiles if tile.part(region).any()]


def _tiles(sample: Sample, size: Size, config: Config) -> list[Sample]:
    return [replace(sample, box=box) for box in boxes(size, config.image_side)]


def _some(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """`count` of the items in random order, or all as they are."""
    if len(items) <= count:
        return list(items)
    return [items[index] for index in rng.permutation(len(items))[:count]]
