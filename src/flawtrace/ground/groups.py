"""The groups of settings, each with its meaning, frozen, refusing what cannot work by itself."""

from typing import Annotated, Literal, TypeAlias, get_args

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
Preset: TypeAlias = Literal["light", "paper", "script"]
SamplerName: TypeAlias = Literal["learned", "selecting", "random-walk", "uniform", "edge-guided"]
ProtocolName: TypeAlias = Literal["five-per-type", "k-per-type", "k-in-all", "one-third", "unseen-type"]
RuntimeName: TypeAlias = Literal["torch", "onnx", "openvino"]
RuntimeChoice: TypeAlias = Literal["auto", "torch", "onnx", "openvino"]
"""`auto` is the fastest that is installed and can run the detector at hand."""
InputKind: TypeAlias = Literal["float", "uint8"]
"""What an exported file takes: images (b, 3, h, w) in [0, 1], or (b, h, w, 3) from 0 to 255."""
PredictorInput: TypeAlias = Literal["profile", "canvas", "memory", "picture"]
ENOUGH = 5
"""Images of defects from which on what was learnt of them is taken at its word: beside fewer, what holds
without any still holds.
"""
FAINTEST = 0.1
"""Weight of what holds without labels, however many there are: it speaks for types that none shows."""
SETTLED = "inputs", "recall", "self_supervised", "memory_side"
"""Settings of predictors that follow from the number of labels where they are left open."""
ALL_INPUTS: tuple[PredictorInput, ...] = get_args(PredictorInput)
SELF_SUPERVISED_INPUTS: tuple[PredictorInput, ...] = ("profile", "memory")
"""What does not show what made-up defects look like, only how far a place is from normal."""
Border: TypeAlias = Literal["continued", "black"]
NoveltyOf: TypeAlias = Literal["reconstruction", "canvas", "nothing"]
"""What novelty is measured on: how the last snapshot misses the canvas, the canvas itself, or nothing."""
Polygons: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]
"""Corners (x, y) in shares of width and height; where polygons overlap, an even number of them is outside."""
UnitInterval: TypeAlias = Annotated[float, Field(ge=0, le=1)]
LARGEST_SEED = 2**63 - 1
Seed: TypeAlias = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class VariationConfig(Settings):
    """What normal images vary in; None is measured on them when training begins."""

    ways: tuple[Annotated[int, Field(ge=0, le=7)], ...] | None = None
    """Orientations in which a part is seen: 0 as it is, 1 to 3 by quarter turns, 4 to 7 the same mirrored."""
    angle: Annotated[float, Field(ge=0, le=180)] | None = None
    """Largest angle, in degrees, by which copies of labelled images are rotated, either way."""
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
    """Share of the normal images, and of the copies, that are altered as if taken on another day: slightly
    moved and brightened or darkened, and blurred, compressed or noisy."""

    @model_validator(mode="after")
    def ways_go_together(self) -> "VariationConfig":
        if self.ways is not None and (0 not in self.ways or sorted(set(self.ways)) != list(self.ways)):
            raise ValueError(f"ways {self.ways} must begin with 0 and name each way once, in order")
        return self


class SamplerConfig(Settings):
    kind: SamplerName = "learned"
    """What chooses the training patches. learned: a policy that moves walkers over the images. selecting: a
    policy that sees whole images and gives every patch its probability. The others are fixed strategies for
    comparison."""
    walkers: PositiveInt = 32
    """Patches per autoencoder update. Each is taken by a walker, a position that moves over an image."""
    patch_side: PositiveInt = 32
    """Side of a patch, in pixels."""
    crop_side: PositiveInt = 64
    """Side of the crop around a patch that the policy observes, in pixels."""
    stride: PositiveInt = 12
    """Pixels by which one move shifts the patch; `selecting` chooses among positions this far apart."""

    @model_validator(mode="after")
    def moves_leave_no_gap(self) -> "SamplerConfig":
        if self.stride >= self.patch_side:
            raise ValueError(
                f"stride ({self.stride}) must be below patch_side ({self.patch_side}), "
                "or the moves leave gaps that no patch covers"
            )
        return self


class PolicyConfig(Settings):
    widths: tuple[PositiveInt, ...] = (16, 32, 32)
    """Channels of the convolutions (3x3, stride 2) of the policy that moves walkers."""
    hidden: PositiveInt = 128
    """Units of its fully connected layer, shared by actor and critic."""
    batch_norm: bool = False
    """Use batch normalisation after each of its convolutions."""
    channels: PositiveInt = 16
    """Channels of the policy of `selecting`, which is fully convolutional."""
    shown: PositiveInt = 32
    """Images among whose patches `selecting` chooses at an update, drawn anew; all if there are no more."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""
    discount: UnitInterval = 0.9
    """Discount factor gamma: weight of a reward one step later."""
    trace: UnitInterval = 0.9
    """lambda of generalized advantage estimation."""
    clip: PositiveFloat = 0.2
    """PPO's clipping range: how far a probability ratio may differ from 1."""
    epochs: PositiveInt = 4
    """Passes of PPO over the steps of a cycle (the training of one autoencoder)."""
    minibatch: PositiveInt = 512
    """Patches per optimizer step."""
    entropy_weight: NonNegativeFloat = 0.02
    """Weight of the entropy bonus, which keeps the policy exploring."""
    value_weight: NonNegativeFloat = 0.5
    """Weight of the critic's loss."""
    learns_from: NonNegativeInt = 0
    """First update of a cycle from which the policy learns."""


class RewardConfig(Settings):
    clone: NonNegativeFloat = 1.0
    """Weight of R_clone, the texture under the patch."""
    standardized_texture: bool = True
    """Standardise texture over the patches; a raw mean hardly changes the reward's sigmoid."""
    cover: NonNegativeFloat = 1.0
    """Weight of R_cover, which rewards visiting new areas."""
    prediction: NonNegativeFloat = 1.0
    """Weight of R_pred, which rewards loss profiles on which the predictor does well."""
    prediction_as: Literal["value", "decrease"] = "decrease"
    """value: R_pred is minus the predictor's loss (the paper). decrease: R_pred is how much the autoencoder
    alone reduced it, that is, the loss of the same predictor on the previous profiles minus that on the
    current ones."""
    credit: Literal["shared", "per-patch"] = "shared"
    """shared: R_pred is the same for all walkers. per-patch: R_pred is a first-order estimate of how each
    walker's own patch changes the predictor's loss; `prediction_as` then has no effect."""
    decay: PositiveInt = 5000
    """Autoencoder updates over which beta, the weight of exploration, falls from 1 to 0."""


class AutoencoderConfig(Settings):
    kind: Literal["published", "compact"] = "compact"
    """published: the paper's network. compact: a smaller one."""
    width: PositiveInt = 64
    """Hidden channels of the compact autoencoder."""
    bottleneck: PositiveInt = 16
    """Channels of the compact autoencoder's code."""
    stages: PositiveInt = 1
    """How often the compact autoencoder halves the resolution."""
    statistics: Literal["running", "own"] = "running"
    """By which the published network, trained on patches, normalises whole images: the running ones of the
    patches, or those of each image itself."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""
    diversity: Literal["reset", "bottleneck_dropout"] = "reset"
    """Start each cycle with a new autoencoder, or keep one and drop bottleneck channels at random."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of bottleneck channels dropped at an update, for `bottleneck_dropout`."""


class ProfileConfig(Settings):
    length: PositiveInt = 4
    """Number of observations that make up a loss profile."""
    spacing: Literal["consecutive", "last", "logarithmic"] = "logarithmic"
    """Record error maps after every update, after the last ones of a cycle only, or after updates in
    geometric progression."""
    observations: PositiveInt = 8
    """Number of updates per cycle after which error maps are recorded, for `last` and `logarithmic`."""
    by_scale: bool = True
    """Keep the errors of the feature scales apart: one error map per scale at each observation."""
    tracked: PositiveInt = 12
    """Labelled images, including copies, whose loss profiles are recorded during a cycle."""


class PredictorConfig(Settings):
    kind: Literal["published", "compact"] = "compact"
    """published: the paper's network. compact: one that also sees the autoencoder's input and the pixels."""
    log_floor: PositiveFloat | None = None
    """Show the published predictor log(error + log_floor), centred and scaled, instead of the error; None:
    the error as it is (the paper)."""
    inputs: tuple[PredictorInput, ...] | None = None
    """Inputs of the compact predictor: loss profile, canvas (what the autoencoder reconstructs), distance
    from the memory of normal images at the same place, pixels. None: all of them; without labels, profile
    and memory, which do not show what made-up defects look like."""
    width: PositiveInt = 32
    """Channels of the compact predictor at 1/4 of the resolution; it has half as many at 1/2."""
    ranking: UnitInterval = 0.05
    """Weight of the compact predictor's ranker, which orders pixels where the segmenter gives about 0."""
    recall: UnitInterval | None = None
    """Weight of the memory's own voice beside the compact predictor. None: 0.5 / (1 + n) with n labels, as
    much as one of them, and 0.1 from four on."""
    self_supervised: UnitInterval | None = None
    """Weight of a second compact predictor, which learns from made-up defects alone. None: as much as
    `recall` has by default; 0 without labels, where the only predictor already learns from these."""
    memory_side: PositiveInt | None = None
    """Places along an image, each with what normal images showed there, in the memory; at most one to a cell.
    None: 32."""
    novelty: bool = True
    """Let the ranker use novelty: how far a position is from those of normal images."""
    lr: PositiveFloat = 3e-3
    """Adam's learning rate; with `one_cycle`, its peak during the last fit."""
    one_cycle: bool = True
    """Use a one-cycle learning-rate schedule in the last fit instead of a constant rate."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay (AdamW) of the last fit, which trains the detector's predictors."""
    turns: bool = True
    """Rotate and mirror the predictor's inputs at random in the last fit."""
    batch: PositiveInt = 8
    """Images or square crops per training step of a predictor."""
    steps_per_observation: PositiveInt = 2
    """Predictor steps after each observation in a cycle, once a full profile is recorded."""
    dice_weight: NonNegativeFloat = 1.0
    """Weight of the Dice loss relative to the cross-entropy."""
    normal_decay: PositiveInt | None = None
    """Updates over which alpha, the weight of normal pixels, falls from 1 to 0; None keeps it at 1."""
    steps: PositiveInt = 1000
    """Training steps per predictor in the last fit."""
    crop_side: PositiveInt = 128
    """Side of the square crops used in the last fit, in pixels; half of the crops cover a defect."""
    normal_images: NonNegativeInt = 100
    """Normal images used in the last fit of each member, at most; those of its fold are not shown to it."""
    pasted: NonNegativeInt = 100
    """Normal images with pasted defects, made for each predictor from the labels it is trained on."""
    made_up: NonNegativeInt = 200
    """Normal images with made-up defects: predictors without labels learn from them, and the second ones
    beside few; with fewer than five labels maps are calibrated on them too."""
    set_aside: bool = True
    """Fit again without the normal images that look defective to predictors which never saw them."""
    folds: PositiveInt = 3
    """Parts (folds) that the labels are divided into; each predictor is validated on one it never sees."""
    members: PositiveInt = 3
    """Predictors that the detector averages; each leaves out a different fold."""

    @model_validator(mode="after")
    def every_member_has_its_fold(self) -> "PredictorConfig":
        if self.folds < 2 or self.members > self.folds:
            raise ValueError(
                f"folds ({self.folds}) must be at least 2 and members ({self.members}) at most folds: "
                "each predictor leaves one fold out"
            )
        return self

    def settled(self, num_labelled: int) -> "PredictorConfig":
        """With nothing left open, for so many labelled images: the settings `SETTLED` follow from that."""
        inputs = self.inputs or (ALL_INPUTS if num_labelled else SELF_SUPERVISED_INPUTS)
        fading = max(0.5 / (1 + num_labelled), FAINTEST)
        second = fading if num_labelled and self.alone(inputs) and self.kind == "compact" else 0.0
        found = {
            "inputs": inputs,
            "recall": fading if self.recall is None else self.recall,
            "self_supervised": second if self.self_supervised is None else self.self_supervised,
            "memory_side": self.memory_side or 32,
        }
        return self.model_copy(update=found)

    @staticmethod
    def alone(inputs: tuple[PredictorInput, ...]) -> tuple[PredictorInput, ...]:
        """Those of these inputs that a predictor sees which learns without labels."""
        return tuple(name for name in SELF_SUPERVISED_INPUTS if name in inputs)

    @property
    def novelty_of(self) -> NoveltyOf:
        """What there is of what the compact predictor may see; the published one knows no novelty."""
        if not self.novelty or self.kind == "published":
            return "nothing"
        if self.sees("profile"):
            return "reconstruction"
        return "canvas" if self.sees("canvas") else "nothing"

    def sees(self, part: PredictorInput) -> bool:
        """Whether the predictor looks at it; the published one looks at the profile alone."""
        return part in (self.inputs or ALL_INPUTS) if self.kind == "compact" else part == "profile"

    @model_validator(mode="after")
    def sees_something(self) -> "PredictorConfig":
        if self.inputs is not None and len(set(self.inputs)) < max(1, len(self.inputs)):
            raise ValueError(
                f"inputs ({', '.join(self.inputs)}) must name at least one input, and none twice"
            )
        return self
