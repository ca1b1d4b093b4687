"""Everything that decides a training run, besides the images: frozen, and refusing what cannot work."""

from collections.abc import Iterator
from typing import Literal

from pydantic import (
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from flawtrace.ground.groups import (
    AutoencoderConfig,
    Encoder,
    PolicyConfig,
    Polygons,
    PredictorConfig,
    Preset,
    ProfileConfig,
    RewardConfig,
    SamplerConfig,
    Seed,
    Settings,
    UnitInterval,
    VariationConfig,
)


class Config(Settings):
    """Everything that decides a training run, besides the images."""

    preset: Preset = "light"
    """light is made for two processor cores; paper has the published networks under a schedule on which they
    find defects; script does what the published program does."""
    seed: Seed = 42
    """Random seed for choosing the labelled images and for training."""
    labels: NonNegativeInt = 5
    """Labelled images drawn per defect type; all images if a type has fewer; 0: learn from normal images."""
    copies: NonNegativeInt = 6
    """Copies made of each labelled image, as different as normal images are from each other (`variation`)."""
    encoder: Encoder = "features"
    """What the autoencoder reconstructs: features of a small frozen network, or the pixels (the paper)."""
    orientations: Literal[1, 2, 4, 8] = 2
    """Orientations of an image over which the features are averaged. 1: as it is; 2: also upside down; 4:
    both also mirrored; 8: also all quarter turns."""
    image_side: PositiveInt = 256
    """Side of the square that every image (or tile) is resized to, in pixels."""
    tile_side: PositiveInt | None = None
    """Side of the overlapping tiles that images are cut into, in pixels; None uses whole images."""
    region: Polygons | None = None
    """Polygons around what counts in an image, with corners (x, y) in shares of its sides; None: all."""
    normal_limit: PositiveInt = 500
    """Maximum number of normal images (or tiles) to train on; if there are more, a random draw of them."""
    cell: PositiveInt = 4
    """Side in pixels of one cell of the canvas, the grid that the autoencoder reconstructs."""
    max_false_alarms: UnitInterval | None = None
    """Maximum share of held-out normal images (tiles) that are called defective; None: no limit."""
    max_misses: UnitInterval | None = None
    """Maximum share of held-out defect images (tiles) that are called OK; None: no limit."""
    score: Literal["evidence", "maximum"] = "evidence"
    """An image's score: evidence weighed on held-out images, or the maximum of its anomaly map."""
    cycles: PositiveInt = 12
    """Training cycles (one autoencoder each) for policy and predictor, before the one for the detector."""
    updates: PositiveInt = 100
    """Autoencoder updates per cycle."""
    last_updates: PositiveInt = 1000
    """Autoencoder updates of the last cycle, from which the detector's snapshots are taken."""
    variation: VariationConfig = VariationConfig()
    sampler: SamplerConfig = SamplerConfig()
    policy: PolicyConfig = PolicyConfig()
    reward: RewardConfig = RewardConfig()
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    profile: ProfileConfig = ProfileConfig()
    predictor: PredictorConfig = PredictorConfig()

    @model_validator(mode="after")
    def everything_fits(self) -> "Config":
        for reason in _misfits(self):
            raise ValueError(reason)
        return self

    @property
    def grid(self) -> int:
        """Cells along the canvas."""
        return self.image_side // self.cell

    @property
    def seen_as(self) -> Literal["image", "tile"]:
        """What is looked at as one piece."""
        return "image" if self.tile_side is None else "tile"

    def observed(self, updates: int) -> tuple[int, ...]:
        """Updates of a cycle of `updates`, counted from 1, after which error maps are taken.

        >>> Config().observed(100)[:4], Config().observed(1000)[-3:]
        ((2, 3, 6, 11), (169, 412, 1000))
        """
        if self.profile.spacing == "consecutive":
            return tuple(range(1, updates + 1))
        if self.profile.spacing == "last":
            return tuple(range(max(0, updates - self.profile.observations) + 1, updates + 1))
        ratio = (updates / 2) ** (1 / max(1, self.profile.observations - 1))
        return tuple(sorted({round(2 * ratio**power) for power in range(self.profile.observations)}))


def _misfits(config: Config) -> Iterator[str]:
    """What settings of different groups keep from working together; each group looks after itself."""
    yield from _off_the_grid(config)
    yield from _too_few_to_select_from(config)
    yield from _unfit_for_the_predictor(config)
    yield from _unfit_for_the_autoencoder(config)
    if config.policy.learns_from >= config.updates:
        yield f"policy.learns_from ({config.policy.learns_from}) must be below updates ({config.updates})"
    yield from _too_short_for_the_profile(config)


def _off_the_grid(config: Config) -> Iterator[str]:
    sampler, cell, orientations = config.sampler, config.cell, config.orientations
    for name, pixels in (
        ("image_side", config.image_side),
        ("sampler.patch_side", sampler.patch_side),
        ("sampler.crop_side", sampler.crop_side),
        ("sampler.stride", sampler.stride),
        ("predictor.crop_side", config.predictor.crop_side),
    ):
        if pixels % cell:
            yield f"{name} ({pixels}) must be a multiple of cell ({cell})"
    if config.encoder == "features" and cell != 4:
        yield f"cell ({cell}) must be 4 with encoder = features, whose stride is 4"
    if config.encoder == "pixels" and orientations > 1:
        yield f"orientations ({orientations}) must be 1 with encoder = pixels, which uses no network"
    if not sampler.patch_side <= sampler.crop_side <= config.image_side:
        yield (
            f"sampler.patch_side ({sampler.patch_side}), sampler.crop_side ({sampler.crop_side}) and "
            f"image_side ({config.image_side}) must be in ascending order"
        )


def _too_few_to_select_from(config: Config) -> Iterator[str]:
    """A batch is drawn without replacement, if need be from a single image."""
    sampler = config.sampler
    along = -(-(config.image_side - sampler.patch_side) // sampler.stride) + 1
    if sampler.kind == "selecting" and sampler.walkers > along**2:
        yield (
            f"sampler.walkers ({sampler.walkers}) must be at most {along**2} with sampler.kind = selecting: "
            f"an image has {along} x {along} patches sampler.stride ({sampler.stride}) apart, and none is "
            "taken twice at an update"
        )


def _unfit_for_the_predictor(config: Config) -> Iterator[str]:
    if config.predictor.kind != "compact":
        return
    if config.cell not in (1, 2, 4):
        yield f"cell ({config.cell}) must be 1, 2 or 4 with predictor.kind = compact"
    for name, pixels in (
        ("image_side", config.image_side),
        ("predictor.crop_side", config.predictor.crop_side),
    ):
        if pixels % 4:
            yield f"{name} ({pixels}) must be a multiple of 4 with predictor.kind = compact"


def _unfit_for_the_autoencoder(config: Config) -> Iterator[str]:
    published, patch = config.autoencoder.kind == "published", config.sampler.patch_side // config.cell
    step = 8 if published else 2**config.autoencoder.stages
    if patch % step or config.grid % step:
        yield (
            f"the autoencoder encodes blocks of {step} x {step} cells, so the sides of a patch "
            f"({patch} cells) and of the canvas ({config.grid} cells) must be multiples of {step}"
        )
    if published and patch < 64:
        yield f"the published autoencoder needs patches of at least 64 cells, not {patch}"


def _too_short_for_the_profile(config: Config) -> Iterator[str]:
    for name, updates in (("updates", config.updates), ("last_updates", config.last_updates)):
        if (count := len(config.observed(updates))) < config.profile.length:
            yield (
                f"with {name} = {updates}, a cycle has {count} observations, fewer than profile.length "
                f"({config.profile.length}): raise {name} or profile.observations"
            )
