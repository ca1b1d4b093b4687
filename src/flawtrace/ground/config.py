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
    PredictorConfig,
    Preset,
    ProfileConfig,
    RewardConfig,
    SamplerConfig,
    Settings,
    UnitInterval,
    VariationConfig,
)


class Config(Settings):
    """Everything that decides a training run, besides the images."""

    preset: Preset = "light"
    """For two processor cores, or the published sizes."""
    seed: NonNegativeInt = 42
    """Decides which images are labelled, and every draw of the training."""
    labels: PositiveInt = 5
    """Labelled images drawn per defect type, or all of a type that has fewer."""
    copies: NonNegativeInt = 6
    """Randomly flipped, rotated, shifted and sheared copies of each labelled image."""
    encoder: Encoder = "features"
    """What the autoencoder reconstructs: features of a small frozen network, or the pixels (the paper)."""
    orientations: Literal[1, 2, 4, 8] = 2
    """Ways round in which the frozen network sees an image, to average its features: as it is; and upside
    down; and both mirrored; and all that by quarter turns."""
    image_side: PositiveInt = 256
    """Pixels along the square that every image, or every tile of it, is resized to."""
    tile_side: PositiveInt | None = None
    """Pixels along the overlapping tiles that images are cut into; None sees each image as a whole."""
    normal_limit: PositiveInt = 500
    """Normal images, or tiles of them, that are trained on at most; of more, so many are drawn."""
    cell: PositiveInt = 4
    """Pixels along one cell of the canvas, the grid that the autoencoder reconstructs."""
    max_false_alarms: UnitInterval | None = None
    """Share of held-out normal images (or tiles) that may reach the threshold; None: wherever F1 is best."""
    max_misses: UnitInterval | None = None
    """Share of held-out defect images (or tiles) that may be OK; None: wherever both errors are fewest."""
    score: Literal["evidence", "maximum"] = "evidence"
    """What an image's score is: evidence weighed by held-out images, or the highest value of its map."""
    cycles: PositiveInt = 12
    """Cycles over which policy and predictor learn, before the one that makes the detector."""
    updates: PositiveInt = 100
    """Autoencoder updates of a cycle."""
    last_updates: PositiveInt = 1000
    """Autoencoder updates of the last cycle, which makes the detector."""
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

    def observed(self, updates: int) -> tuple[int, ...]:
        """Updates of a cycle of `updates`, counted from 1, after which error maps are taken.

        >>> Config().observed(100)[:4], Config().observed(1000)[-3:]
        ((2, 3, 6, 11), (169, 412, 1000))
        """
        if self.profile.spacing == "consecutive":
            return tuple(range(1, updates + 1))
        ratio = (updates / 2) ** (1 / max(1, self.profile.observations - 1))
        return tuple(sorted({round(2 * ratio**power) for power in range(self.profile.observations)}))


def _misfits(config: Config) -> Iterator[str]:
    """What settings of different groups keep from working together; each group looks after itself."""
    yield from _off_the_grid(config)
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
        yield f"orientations ({orientations}) must be 1 with encoder = pixels: no network sees them"
    if not sampler.patch_side <= sampler.crop_side <= config.image_side:
        yield (
            f"sampler.patch_side ({sampler.patch_side}), sampler.crop_side ({sampler.crop_side}) and "
            f"image_side ({config.image_side}) must be in growing order"
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
            f"the autoencoder makes one code of {step} cells, so a patch ({patch} cells) and the canvas "
            f"({config.grid} cells) must be multiples of {step}"
        )
    if published and patch < 64:
        yield f"the published autoencoder needs patches of at least 64 cells, not {patch}"


def _too_short_for_the_profile(config: Config) -> Iterator[str]:
    for name, updates in (("updates", config.updates), ("last_updates", config.last_updates)):
        if (count := len(config.observed(updates))) < config.profile.length:
            yield (
                f"a cycle of {updates} updates has {count} observations, fewer than profile.length "
                f"({config.profile.length}): raise {name} or profile.observations"
            )
