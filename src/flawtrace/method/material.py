"""From samples in folders to the tensors that training works on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice, repeat
from operator import attrgetter

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from flawtrace.data import Sample, Split, evenly
from flawtrace.data.pieces import ignored_at, lost, mask_at, size_of, worked_on
from flawtrace.ground.config import Config
from flawtrace.ground.devices import PROCESSOR, at_once, sent
from flawtrace.ground.groups import VariationConfig
from flawtrace.ground.learner import derive, generator
from flawtrace.ground.shapes import Canvases, Image, Images, Mask, Masks
from flawtrace.method.encoder import Features, Pixels, build
from flawtrace.method.errors import BlankImagesError
from flawtrace.method.patches import edges
from flawtrace.pictures.augmentation import augment
from flawtrace.pictures.disturbance import another_day
from flawtrace.pictures.images import digest, read_image
from flawtrace.pictures.region import inside, within
from flawtrace.pictures.traits import OF_SIZE, Ranges, Traits, blank, ranges, traits
from flawtrace.pictures.variation import settled

CALIBRATION = 100
"""Normal images from which the encoder takes its statistics, at most; evenly spread over all."""


@dataclass(frozen=True)
class Material:
    """What a cycle works on: every training image, and the labelled ones whose profiles are followed.

    Walkers walk on `canvases`, normal images first, then labelled ones.
    """

    canvases: Canvases
    """In half precision."""
    images: Float[Tensor, "b 3 grid grid"]
    """The same images in colour, one pixel per cell."""
    texture: Float[Tensor, "b grid grid"]
    """Sobel magnitude of the same images at full size, mean per cell."""
    coverage: Float[Tensor, "b grid grid"]
    """Share of each cell that is defective; zero for normal images, which carry no mask."""
    labelled: Float[Tensor, "followed features grid grid"]
    """Canvases of the labelled images, then of their copies, image by image."""
    labelled_coverage: Float[Tensor, "followed grid grid"]
    pictures: Float[Tensor, "b 3 side side"]
    """The images of `canvases` in colour at full size, in half precision."""
    labelled_pictures: Float[Tensor, "followed 3 side side"]
    """Those of `labelled`, likewise."""
    labelled_masks: Bool[Tensor, "followed side side"]
    """Of `labelled`, at full size."""
    unmasked: Float[Tensor, "u features _ _"]
    """Of images of defects without a mask, which nobody but the judge learns from."""
    unmasked_pictures: Float[Tensor, "u 3 _ _"]
    sources: Int[Tensor, " normal"]
    """Number of the image that each normal row shows, or shows a tile of."""
    scales: tuple[int, ...]
    """Channels of each scale of the canvases."""
    num_normal: int
    num_labelled: int
    labelled_ignored: Bool[Tensor, "followed side side"] | None = None
    """Pixels of `labelled` that are neither learnt from nor judged by; None if there are none."""

    @property
    def masks(self) -> Masks:
        """Of the labelled images."""
        return self.labelled_masks[: self.num_labelled]

    def with_copies(self, indices: Sequence[int]) -> list[int]:
        """Rows of `labelled` that show the labelled images of these indices, or copies of them."""
        if not self.num_labelled:
            return []
        copies = len(self.labelled) // self.num_labelled - 1
        rows = list(indices)
        for index in indices:
            first = self.num_labelled + index * copies
            rows += range(first, first + copies)
        return rows


@dataclass(frozen=True)
class Loading:
    """How far reading and encoding is."""

    done: int
    total: int


@dataclass(frozen=True)
class Prepared:
    material: Material
    rows: tuple[str, ...]
    """Content of the image that each row shows, or shows a tile of: normal, labelled, then unmasked ones."""
    encoder: Pixels | Features
    """Calibrated on the normal images; it made the canvases."""
    familiar: Ranges
    """Of the traits of all training images, or of the region of interest in them; with tiles, without those
    of size."""
    variation: VariationConfig
    """What normal images vary in: as it was set, or else as it was measured."""
    num_blank: int = 0
    """Images of a single colour."""

    @property
    def digests(self) -> tuple[str, ...]:
        """Content of every training image, by which evaluation knows it again."""
        return tuple(dict.fromkeys(self.rows))

    @property
    def normal_digests(self) -> tuple[str, ...]:
        """Content of the normal images; `digests` begins with them."""
        return tuple(dict.fromkeys(self.rows[: self.material.num_normal]))


def prepare(
    split: Split,
    config: Config,
    device: torch.device = PROCESSOR,
    encoder: Pixels | Features | None = None,
) -> Iterator[Loading | Prepared]:
    """Read, resize and encode all training images; yields its progress, and at last what it prepared.

    What normal images vary in is measured first, wherever the settings leave it open; an encoder is
    calibrated on normal images, unless one is given.

    Raises:
        BlankImagesError: no normal image shows anything.
        VanishedDefectError, HiddenDefectError: a labelled defect has no pixel left at the working size, or
            in the region.
    """
    total = len(split.normal) + len(split.labelled) * (1 + config.copies) + len(split.unmasked)
    calibration = torch.stack(
        [_in_region(piece.shown, config) for piece in _read(evenly(split.normal, CALIBRATION), config)]
    )
    variation = settled(config.variation, calibration)
    config = config.model_copy(update={"variation": variation})
    if encoder is None:
        encoder = build(config).to(device)
        encoder.calibrate(calibration.to(device))
    rng = generator(derive(config.seed, 12))
    samples = [*split.normal, *split.labelled, *split.unmasked]
    shelf: dict[str, Tensor] = {}
    found: list[_Piece] = []
    pieces = _read(samples, config)
    spoils = chain(of_other_days(len(split.normal), variation.other_days), repeat(False))
    while batch := list(islice(pieces, at_once(device))):
        shown = [
            _in_region(another_day(piece.shown, rng) if spoilt else piece.shown, config)
            for piece, spoilt in zip(batch, islice(spoils, len(batch)), strict=True)
        ]
        part = _part(encoder, sent(torch.stack(shown), device))
        _shelve(part, shelf, len(found), len(samples))
        found += [replace(piece, shown=piece.shown[:, :0, :0]) for piece in batch]
        yield Loading(len(found), total)
    if all(piece.blank for piece in found[: len(split.normal)]):
        raise BlankImagesError(split.normal[0].image)

    last = len(split.normal) + len(split.labelled)
    kept = _Part(**{name: rows[:last] for name, rows in shelf.items()})
    labelled = kept.pictures[len(split.normal) :].float().cpu()
    masks = torch.zeros(len(labelled), *labelled.shape[2:], dtype=torch.bool)
    for index, sample in enumerate(split.labelled):
        masks[index] = _mask(sample, config)
    copied, copied_masks = augment(
        labelled, masks, config.copies, variation, generator(derive(config.seed, 6))
    )
    ignored = _ignored(split.labelled, labelled, config, variation)
    if config.region is not None and config.tile_side is None:
        copied = within(copied, config.region)
        copied_masks = copied_masks & inside(config.region, *copied_masks.shape[1:])
    followed = [kept.canvases[len(split.normal) :]]
    for images in torch.split(copied, at_once(device)):
        followed.append(encode(encoder, sent(images, device)))
        yield Loading(len(found) + sum(map(len, followed[1:])), total)

    grid, all_masks = kept.canvases.shape[2], torch.cat([masks, copied_masks])
    coverage = covered(all_masks, grid).to(device)
    none = coverage.new_zeros(len(split.normal), grid, grid)
    material = Material(
        canvases=kept.canvases,
        images=kept.images,
        texture=kept.texture,
        coverage=torch.cat([none, coverage[: len(labelled)]]),
        labelled=torch.cat(followed),
        labelled_coverage=coverage,
        pictures=kept.pictures,
        labelled_pictures=torch.cat([labelled, copied]).half().to(device),
        labelled_masks=all_masks.to(device),
        labelled_ignored=None if ignored is None else ignored.to(device),
        unmasked=shelf["canvases"][last:],
        unmasked_pictures=shelf["pictures"][last:],
        sources=_numbered([piece.digest for piece in found[: len(split.normal)]]),
        scales=encoder.scales,
        num_normal=len(split.normal),
        num_labelled=len(labelled),
    )
    of_images = {piece.digest: piece for piece in found}
    familiar = ranges(piece.traits for piece in of_images.values())
    if config.tile_side is not None:
        familiar = {name: familiar[name] for name in familiar if name not in OF_SIZE}
    num_blank = sum(piece.blank for piece in of_images.values())
    yield Prepared(material, tuple(piece.digest for piece in found), encoder, familiar, variation, num_blank)


def _numbered(contents: Sequence[str]) -> Int[Tensor, " n"]:
    """The number of the image that each row shows: a copy under another name is the same image."""
    number = {content: index for index, content in enumerate(dict.fromkeys(contents))}
    return torch.tensor([number[content] for content in contents], dtype=torch.long)


def of_other_days(num_normal: int, share: float) -> list[bool]:
    """Which normal images are learnt from as another day's camera might take them: a share of them, evenly.

    >>> of_other_days(4, 0.5)
    [False, True, False, True]
    """
    return [int((index + 1) * share) > int(index * share) for index in range(num_normal)]


@torch.no_grad()
def encode(encoder: Pixels | Features, images: Images) -> Canvases:
    """Canvases in half precision, which holds exactly what the encoder gives."""
    canvases: Tensor = encoder(images)
    return canvases.half()


def covered(masks: Masks, grid: int) -> Float[Tensor, "b {grid} {grid}"]:
    """Share of each cell of a `grid` x `grid` canvas that the mask covers."""
    return F.adaptive_avg_pool2d(masks[:, None].float(), grid)[:, 0]


@dataclass(frozen=True)
class _Piece:
    """A sample as a square at working size, and what is known of its whole image.

    A tile is black outside of the region of interest, which it cannot tell by itself; a whole image is not
    yet, so that another day's camera moves what lies there, and not the region.
    """

    shown: Image
    digest: str
    traits: Traits
    blank: bool


def _read(samples: Sequence[Sample], config: Config) -> Iterator[_Piece]:
    """Each sample; its image is decoded once."""
    for path, parts in groupby(samples, key=attrgetter("image")):
        image = read_image(path)
        facts = digest(image), traits(image, config.region), blank(image)
        whole = worked_on(image, config if config.tile_side else config.model_copy(update={"region": None}))
        for sample in parts:
            yield _Piece(sample.part(whole), *facts)


def _in_region(image: Image, config: Config) -> Image:
    """A whole image as far as it counts; a tile already is."""
    return image if config.tile_side else within(image, config.region)


def _ignored(
    labelled: Sequence[Sample], images: Images, config: Config, variation: VariationConfig
) -> Bool[Tensor, "followed h w"] | None:
    """Ignored pixels of labelled images at working size, then of their copies, which move with these."""
    if not any(sample.ignored for sample in labelled):
        return None
    seen = [sample.part(ignored_at(sample, size_of(sample, config))) for sample in labelled]
    originals = torch.stack(seen)
    _, copied = augment(images, originals, config.copies, variation, generator(derive(config.seed, 6)))
    return torch.cat([originals, copied])


@dataclass(frozen=True)
class _Part:
    """What training keeps of a batch of images."""

    canvases: Canvases
    pictures: Float[Tensor, "b 3 side side"]
    images: Float[Tensor, "b 3 grid grid"]
    texture: Float[Tensor, "b grid grid"]


def _part(encoder: Pixels | Features, images: Images) -> _Part:
    canvases = encode(encoder, images)
    grid = canvases.shape[2]
    texture = F.adaptive_avg_pool2d(edges(images)[:, None], grid)[:, 0]
    return _Part(canvases, images.half(), F.adaptive_avg_pool2d(images, grid), texture)


def _shelve(part: _Part, shelf: dict[str, Tensor], first: int, count: int) -> None:
    """Put the part's rows where they belong among `count`, so that nothing is in memory twice."""
    for name, rows in vars(part).items():
        if name not in shelf:
            shelf[name] = rows.new_empty(count, *rows.shape[1:])
        shelf[name][first : first + len(rows)] = rows


def _mask(sample: Sample, config: Config) -> Mask:
    """The sample's mask at working size."""
    assert sample.mask is not None, f"{sample.image} is labelled and has no mask"
    size = size_of(sample, config)
    mask = sample.part(mask_at(sample, size, config.region))
    if not mask.any():
        raise lost(sample, size, config.region)
    return mask
