"""The groups of settings, each with its meaning, frozen, refusing what cannot work by itself."""

from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Encoder: TypeAlias = Literal["features", "pixels"]
Preset: TypeAlias = Literal["light", "paper"]
SamplerName: TypeAlias = Literal["learned", "random-walk", "uniform", "edge-guided"]
ProtocolName: TypeAlias = Literal["five-per-type", "k-per-type", "one-third", "unseen-type"]
RuntimeName: TypeAlias = Literal["torch", "onnx", "openvino"]
PredictorInput: TypeAlias = Literal["profile", "canvas", "picture"]
Border: TypeAlias = Literal["continued", "black"]
NoveltyOf: TypeAlias = Literal["reconstruction", "canvas", "nothing"]
"""What novelty is measured on: how the last snapshot misses the canvas, the canvas itself, or nothing."""
UnitInterval: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class VariationConfig(Settings):
    """What normal images vary in; None is measured on them when training begins."""

    ways: tuple[Annotated[int, Field(ge=0, le=7)], ...] | None = None
    """Ways round in which a part is seen: 0 as it is, 1 to 3 by quarter turns, 4 to 7 the same mirrored."""
    angle: Annotated[float, Field(ge=0, le=180)] | None = None
    """Degrees by which copies of labelled images are turned at most, either way."""
    shift: UnitInterval | None = None
    """Share of the side by which copies are shifted at most."""
    scale: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share by which copies are larger or smaller at most."""
    shear: Annotated[float, Field(ge=0, le=60)] | None = None
    """Degrees by which copies are sheared at most; two thirds of the angle where it is measured."""
    light: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share by which copies are brighter or darker at most."""
    border: Border = "continued"
    """What comes into a copy from outside the image: the image mirrored at its border, or black."""
    other_days: UnitInterval = 0.5
    """Share of the normal images, and of the copies, that are learnt from as another day's camera might take
    them: moved and lit a little, and blurred, compressed or noisy."""

    @model_validator(mode="after")
    def ways_go_together(self) -> "VariationConfig":
        if self.ways is not None and (0 not in self.ways or sorted(set(self.ways)) != list(self.ways)):
            raise ValueError(f"ways {self.ways} must begin with 0 and name each way once, in order")
        return self


class SamplerConfig(Settings):
    kind: SamplerName = "learned"
    """Who chooses the patches: the trained policy, or one of the fixed strategies it is compared with."""
    walkers: PositiveInt = 32
    """Patches per autoencoder update; each comes from its own walker on its own image."""
    patch_side: PositiveInt = 32
    """Pixels along a patch."""
    crop_side: PositiveInt = 64
    """Pixels along the crop around a patch that the policy observes."""
    stride: PositiveInt = 12
    """Pixels that one move shifts the patch."""

    @model_validator(mode="after")
    def moves_leave_no_gap(self) -> "SamplerConfig":
        if self.stride >= self.patch_side:
            raise ValueError(
                f"stride ({self.stride}) must be below patch_side ({self.patch_side}), "
                "or a rollout leaves gaps that no patch covers"
            )
        return self


class PolicyConfig(Settings):
    widths: tuple[PositiveInt, ...] = (16, 32, 32)
    """Channels of the convolutions, 3x3 with stride 2."""
    hidden: PositiveInt = 128
    """Units of the fully connected layer that actor and critic share."""
    batch_norm: bool = False
    """Normalise over the batch after each convolution."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""
    discount: UnitInterval = 0.9
    """gamma: what a reward one step later is worth."""
    trace: UnitInterval = 0.9
    """lambda of generalized advantage estimation."""
    clip: PositiveFloat = 0.2
    """How far a probability ratio may leave 1 before PPO's objective stops following it."""
    epochs: PositiveInt = 4
    """Times that PPO goes through the steps of a cycle."""
    minibatch: PositiveInt = 512
    """Steps of walkers per step of the optimizer."""
    entropy_weight: NonNegativeFloat = 0.02
    """What it is worth to the policy to stay undecided."""
    value_weight: NonNegativeFloat = 0.5
    """Weight of the critic's loss."""
    learns_from: NonNegativeInt = 0
    """First update of a cycle whose steps the policy learns from."""


class RewardConfig(Settings):
    clone: NonNegativeFloat = 1.0
    """Weight of R_clone, the texture under the patch."""
    standardized_texture: bool = True
    """Measure texture in deviations from the mean patch: a raw mean hardly moves its sigmoid."""
    cover: NonNegativeFloat = 1.0
    """Weight of R_cover, which pays for ground not yet visited."""
    prediction: NonNegativeFloat = 1.0
    """Weight of R_pred, which pays when the predictor does well on the profiles that result."""
    prediction_as: Literal["value", "decrease"] = "decrease"
    """R_pred is minus the predictor's loss (the paper), or how far the autoencoder alone brought it down: the
    predictor's loss as it left the last observation, minus the same predictor's on the profiles of now."""
    credit: Literal["shared", "per-patch"] = "shared"
    """R_pred is the same for all walkers, or what each walker's own patch does to the predictor's loss, to
    first order; `prediction_as` plays no part then."""
    decay: PositiveInt = 5000
    """Autoencoder updates over which beta falls from 1 to 0."""


class AutoencoderConfig(Settings):
    kind: Literal["published", "compact"] = "compact"
    """The paper's network, or a small one."""
    width: PositiveInt = 64
    """Channels inside the compact autoencoder."""
    bottleneck: PositiveInt = 16
    """Channels of the compact autoencoder's code."""
    stages: PositiveInt = 1
    """Times the compact autoencoder halves the resolution."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""
    diversity: Literal["reset", "bottleneck_dropout"] = "reset"
    """A new autoencoder for every cycle, or one that goes on and drops channels of its bottleneck."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of bottleneck channels dropped at an update, with `bottleneck_dropout`."""


class ProfileConfig(Settings):
    length: PositiveInt = 4
    """Error maps in a loss profile."""
    spacing: Literal["consecutive", "logarithmic"] = "logarithmic"
    """Error maps after every update, or after updates in geometric progression."""
    observations: PositiveInt = 8
    """Updates of a cycle after which error maps are taken, with `logarithmic`."""
    by_scale: bool = True
    """Keep the errors of each scale of the features apart: each observation has a map per scale."""
    tracked: PositiveInt = 12
    """Labelled images (copies count) whose profiles are followed during a cycle."""


class PredictorConfig(Settings):
    kind: Literal["published", "compact"] = "compact"
    """The paper's network, or one that sees canvas and pixels too."""
    inputs: tuple[PredictorInput, ...] = ("profile", "canvas", "picture")
    """What the compact predictor sees: the loss profile, what the autoencoder reconstructs, the pixels."""
    width: PositiveInt = 32
    """Channels of the compact predictor at a quarter of the resolution; half of them at half of it."""
    ranking: UnitInterval = 0.05
    """Weight of the part of the compact predictor that decides where its segmenter is silent."""
    novelty: bool = True
    """Let how unlike normal images a cell is have a say in that part."""
    lr: PositiveFloat = 3e-3
    """Adam's learning rate; in the last fit its greatest value, with `one_cycle`."""
    one_cycle: bool = True
    """Let the learning rate of the last fit rise and fall once, instead of keeping it."""
    weight_decay: NonNegativeFloat = 0.01
    """Of the last fit, decoupled from the learning rate's steps (AdamW)."""
    turns: bool = True
    """Turn and mirror canvases and profiles at random in the last fit."""
    batch: PositiveInt = 8
    """Profiles per step."""
    steps_per_observation: PositiveInt = 2
    """Steps after each observation of a cycle, once the profile is full."""
    dice_weight: NonNegativeFloat = 1.0
    """Weight of the Dice loss beside the cross-entropy."""
    normal_decay: PositiveInt | None = None
    """Updates over which the weight alpha of normal pixels falls from 1 to 0; None keeps it at 1."""
    steps: PositiveInt = 1000
    """Steps of the last fit, on the detector's own snapshots."""
    crop_side: PositiveInt = 128
    """Pixels along the squares on which the last fit trains; half of them are laid over a defect."""
    normal_images: NonNegativeInt = 100
    """Normal images shown to the predictor in the last fit, at most half of those there are."""
    pasted: NonNegativeInt = 100
    """Normal images with labelled defects pasted on, made for each predictor from the labels it sees."""
    folds: PositiveInt = 3
    """Parts the labels are divided into; a predictor never sees one of them, and is judged on it."""
    members: PositiveInt = 3
    """Predictors that the detector averages, each blind to another fold."""

    @model_validator(mode="after")
    def every_member_has_its_fold(self) -> "PredictorConfig":
        if self.folds < 2 or self.members > self.folds:
            raise ValueError(
                f"folds ({self.folds}) must be at least 2 and members ({self.members}) at most folds: "
                "each predictor leaves one fold out"
            )
        return self

    @property
    def novelty_of(self) -> NoveltyOf:
        """What there is of what the compact predictor may see; the published one knows no novelty."""
        if not self.novelty or self.kind == "published":
            return "nothing"
        if "profile" in self.inputs:
            return "reconstruction"
        return "canvas" if "canvas" in self.inputs else "nothing"

    @model_validator(mode="after")
    def sees_something(self) -> "PredictorConfig":
        if not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise ValueError(
                f"inputs ({', '.join(self.inputs)}) must name at least one thing, and none twice"
            )
        return self
