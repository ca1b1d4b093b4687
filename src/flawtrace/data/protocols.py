"""Which images are labelled and which are for testing: the protocols by name, and splits as files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flawtrace.data.errors import NoTypeToLeaveOutError
from flawtrace.data.samples import Category, Sample, Split, vouched_for
from flawtrace.data.splits import divided, draw_split, in_turn
from flawtrace.ground.errors import DamagedFileError
from flawtrace.ground.files import read_json, write_json
from flawtrace.ground.groups import ProtocolName

LABELS = 5
"""Labelled images per defect type, where the protocol does not vary them (the paper's number)."""
CURVE = (1, 2, 5, 10)
"""Labelled images per defect type in `k-per-type`, unless others are asked for."""
CURVE_IN_ALL = (0, 1, 2, 5, 10)
"""Labelled images of all types together in `k-in-all`, likewise."""


@dataclass(frozen=True)
class Trial:
    """One split of one category: every method is trained and tested on exactly these images."""

    category: str
    root: Path
    protocol: ProtocolName
    seed: int
    split: Split
    labels: int | None = None
    """Per defect type, or in `k-in-all` of all types together; None where the protocol takes a share."""
    left_out: str | None = None
    """The defect type that has no label, and alone is tested."""

    @property
    def name(self) -> str:
        """Unique among the trials of different categories, protocols and seeds; fit for a file's name."""
        count = f"-{self.labels}"
        variants = {"k-per-type": count, "k-in-all": count, "unseen-type": f"-{self.left_out}"}
        variant = variants.get(self.protocol, "")
        return f"{self.category}-{self.protocol}{variant}-{self.seed}"

    @property
    def facts(self) -> dict[str, Any]:
        """What a result says about its trial."""
        return {
            "trial": self.name,
            "category": self.category,
            "protocol": self.protocol,
            "labels": self.labels,
            "left_out": self.left_out,
            "seed": self.seed,
            "num_normal": sum(not sample.anomalous for sample in self.split.test),
            "num_anomalous": sum(sample.anomalous for sample in self.split.test),
            "num_labelled": len(self.split.labelled),
        }


def trials(
    category: Category, protocol: ProtocolName, seeds: Sequence[int], curve: Sequence[int] | None = None
) -> Iterator[Trial]:
    """The trials of one category under a protocol; `curve` are the numbers of labels, where these vary.

    - `five-per-type`: the paper's; five labelled images of each defect type drawn by seed, the rest tested.
    - `k-per-type`: the same with as many as `curve` says, for accuracy against labels. A smaller draw is part
      of a larger one, and of every type at least one image is left to test.
    - `k-in-all`: as many as `curve` says of all types together, from none on, one type after the other. A
      smaller draw is part of a larger one, and all are tested on the images that the largest leaves.
    - `one-third`: the first third of each type in natural order is labelled, whatever the seed.
    - `unseen-type`: one type after the other gets no label, and only that type and normal images are tested.

    Raises:
        TooFewImagesError: a type has fewer images than labels.
        NoTypeToLeaveOutError: `unseen-type` with fewer than two types.
    """
    name = category.root.resolve().name
    for seed in seeds:
        base = Trial(name, category.root, protocol, seed, Split((), (), ()))
        if protocol == "five-per-type":
            drawn = draw_split(category, LABELS, seed).labelled
            yield replace(base, split=_split(category, set(drawn)), labels=LABELS)
        elif protocol == "k-per-type":
            for labels in curve or CURVE:
                yield replace(base, split=_at_most(category, labels, seed), labels=labels)
        elif protocol == "k-in-all":
            counts = curve or CURVE_IN_ALL
            order = in_turn(category, seed)
            largest = _split(category, set(order[: max(counts)]))
            for labels in counts:
                drawn = tuple(sample for sample in largest.labelled if sample in set(order[:labels]))
                yield replace(base, split=replace(largest, labelled=drawn), labels=labels)
        elif protocol == "one-third":
            yield replace(base, split=_first_third(category))
        else:
            for left_out in _several_types(category):
                split = _without(draw_split(category, LABELS, seed), category, left_out)
                yield replace(base, split=split, labels=LABELS, left_out=left_out)


def write_split(path: Path, trial: Trial) -> None:
    """The trial's images by name, relative to the category's folder, for any program to read.

    Normal images are those that are `vouched_for`. Where defects of an image have a mask each,
    `more_masks` are the others; where pixels of it do not count, `ignored` marks them.
    """
    split = trial.split
    document = trial.facts | {
        "normal": [_relative(sample.image, trial.root) for sample in vouched_for(split.normal)],
        "labelled": [_listed(sample, trial.root) for sample in split.labelled],
        "test": [_listed(sample, trial.root) for sample in split.test],
    }
    write_json(path, document)


def read_split(path: Path, root: Path) -> Split:
    """The split that `write_split` wrote, with its images in the folder `root`.

    Raises:
        DamagedFileError: the file is missing or no split.
    """
    document = read_json(path)
    try:
        normal = tuple(Sample(root / name) for name in document["normal"])
        labelled, test = (
            tuple(_sample(row, root) for row in document[part]) for part in ("labelled", "test")
        )
    except (KeyError, TypeError) as error:
        raise DamagedFileError(path, f"it is not a split file: {error!r}") from error
    return Split(normal, labelled, test)


def _at_most(category: Category, labels: int, seed: int) -> Split:
    """`labels` of each type, or all but one where there are not that many."""
    types = category.defect_types.values()
    drawn = [
        draw_split(replace(category, anomalous=samples), min(labels, len(samples) - 1), seed).labelled
        for samples in types
    ]
    return _split(category, {sample for samples in drawn for sample in samples})


def _first_third(category: Category) -> Split:
    types = category.defect_types.values()
    return _split(category, {sample for samples in types for sample in samples[: max(1, len(samples) // 3)]})


def _without(split: Split, category: Category, left_out: str) -> Split:
    """The labels of the other types; tested on all images of this one, and the normal ones."""
    labelled = tuple(sample for sample in split.labelled if sample.defect_type != left_out)
    elsewhere = tuple(sample for sample in category.test_anomalous if sample.defect_type == left_out)
    test = category.test_normal + elsewhere + category.defect_types[left_out]
    return Split(split.normal, labelled, test)


def _split(category: Category, labelled: set[Sample]) -> Split:
    return replace(divided(category, labelled), unmasked=())


def _several_types(category: Category) -> tuple[str, ...]:
    types = tuple(category.defect_types)
    if len(types) < 2:
        raise NoTypeToLeaveOutError(category.root, types)
    return types


def _listed(sample: Sample, root: Path) -> dict[str, Any]:
    mask = _relative(sample.mask, root) if sample.mask else None
    row = {"image": _relative(sample.image, root), "mask": mask, "defect_type": sample.defect_type}
    more = {"more_masks": [_relative(one, root) for one in sample.more_masks]} if sample.more_masks else {}
    ignored = {"ignored": _relative(sample.ignored, root)} if sample.ignored else {}
    return {**row, **more, **ignored}


def _sample(row: dict[str, Any], root: Path) -> Sample:
    return Sample(
        root / row["image"],
        root / row["mask"] if row["mask"] else None,
        row["defect_type"],
        more_masks=tuple(root / name for name in row.get("more_masks", ())),
        ignored=root / row["ignored"] if "ignored" in row else None,
    )


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
