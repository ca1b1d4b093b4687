"""Reasons not to trust a detector, in plain words, with what to do about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flawtrace.detector.facts import Facts
from flawtrace.ground.wording import counted

HARDLY_FOUND = 0.3
"""Pixel F1 on held-out labels below which the threshold is worth little."""
HARDLY_SEPARATED = 0.8
"""AUROC of held-out images below which verdicts are worth little, however many images of a kind there are."""
MANY_MISSES = 0.5
"""Share of held-out defect images called OK from which on the detector is of little use."""
MANY_ALARMS = 0.2
"""Share of normal images called defective from which on nobody will use the detector."""
DEAD = 0.05
"""Entropy of the policy, in nats, below which it chooses the same everywhere; nine equal actions have 2.2."""


@dataclass(frozen=True)
class Doubt:
    """Why a detector should not be trusted, and what helps."""

    finding: str
    """In a few words."""
    advice: str
    """In full sentences, the finding among them."""


def doubts(facts: Facts, seen_as: str = "image") -> Iterator[Doubt]:
    """From what a detector knows about itself; what it sees, and was held out, is an image or a tile."""
    best = facts.validation.get("pixel_f1_max", 1.0)
    separated = facts.validation.get("image_auroc", 1.0)
    missed, found = (facts.misses.get(name, 0) for name in ("alarms", "images"))
    alarms, images = (facts.false_alarms.get(name, 0) for name in ("alarms", "images"))
    if best < HARDLY_FOUND:
        yield Doubt(
            f"its best pixel F1 on held-out labels is {best:.3f}",
            f"The detector hardly finds the defects on held-out labelled images: the best pixel F1 there is "
            f"{best:.3f}, so its threshold means little. More labels per type help most. For small defects, "
            "use --tile-side; --encoder features finds more than pixels.",
        )
    elif separated < HARDLY_SEPARATED or missed > found * MANY_MISSES:
        yield Doubt(
            f"it calls {missed} of {counted(found, f'held-out defect {seen_as}')} OK",
            f"The detector hardly tells defective {seen_as}s from normal ones: of {found} held-out defect "
            f"{seen_as}s it calls {missed} OK, of {images} normal ones {alarms} DEFECT. More labels per type "
            "help most; with a limit on one kind of error (--max-false-alarms, --max-misses), allow more.",
        )
    if alarms > images * MANY_ALARMS:
        yield Doubt(
            f"it calls {alarms} of {counted(images, f'held-out normal {seen_as}')} DEFECT",
            f"{alarms} of {counted(images, f'held-out normal {seen_as}')} are reported as defective. Are all "
            "normal images free of defects? --max-false-alarms sets a limit, but then more defects are "
            "missed.",
        )


def image_doubts(num_blank: int) -> Iterator[str]:
    """About the images of a training."""
    if num_blank:
        yield (
            f"{counted(num_blank, 'training image is', 'training images are')} blank (a single colour); "
            "`flawtrace inspect` lists them. Remove them and train again."
        )


def policy_doubts(log: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """From the log of a training: whether the policy still chose when it was last taught."""
    entropies = [row["entropy"] for row in log if row.get("entropy") is not None]
    if entropies and entropies[-1] < DEAD:
        yield (
            f"The sampling policy has collapsed: its entropy fell to {entropies[-1]:.3f} nats, so it makes "
            "the same choice everywhere and no longer learns. Raise --policy.entropy_weight, or use a fixed "
            "strategy (--sampler uniform), which needs no policy."
        )
