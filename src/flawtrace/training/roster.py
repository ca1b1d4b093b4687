"""Which images and masks a run was started with, by content, and what has changed in their folder since."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flawtrace.data import Sample, Split
from flawtrace.ground.errors import DamagedFileError
from flawtrace.ground.files import content_of, read_json, write_json
from flawtrace.ground.run_files import IMAGES_NAME
from flawtrace.ground.wording import counted
from flawtrace.training.errors import DataChangedError


@dataclass(frozen=True)
class Entry:
    """An image: where it lies, and what tells its content and that of its masks from others."""

    image: str
    content: str
    masks: str


@dataclass(frozen=True)
class Changes:
    """What a folder holds now and did not when a run was started, counted in images and masks."""

    defects: int = 0
    masks: int = 0
    """Drawn or corrected since, of images that were there."""
    normal: int = 0
    gone: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __str__(self) -> str:
        """In words.

        >>> str(Changes(defects=1, masks=2))
        '1 new image of a defect, 2 new or corrected masks'
        """
        words = (
            (self.defects, "new image of a defect", "new images of defects"),
            (self.masks, "new or corrected mask", None),
            (self.normal, "new normal image", None),
            (self.gone, "missing image", None),
        )
        return ", ".join(counted(*word) for word in words if word[0])


@dataclass(frozen=True)
class Roster:
    """The images of a split."""

    normal: tuple[Entry, ...]
    labelled: tuple[Entry, ...]
    left: tuple[Entry, ...]
    """Images with masks that are not used as labels."""
    unmasked: tuple[Entry, ...]

    @classmethod
    def of(cls, split: Split) -> "Roster":
        """Reads every file, decodes none."""
        left = [sample for sample in split.test if sample.anomalous]
        return cls(*map(_entries, (split.normal, split.labelled, left, split.unmasked)))

    @classmethod
    def read(cls, run: Path) -> "Roster | None":
        """What `write` left in a run's folder; None in one of an earlier version.

        Raises:
            DamagedFileError: the file holds something else.
        """
        if not (file := run / IMAGES_NAME).exists():
            return None
        parts = read_json(file)
        try:
            return cls(**{name: tuple(Entry(**entry) for entry in part) for name, part in parts.items()})
        except (AttributeError, TypeError) as error:
            raise DamagedFileError(file, f"it is not a list of images: {error!r}") from error

    def write(self, run: Path) -> None:
        write_json(run / IMAGES_NAME, asdict(self))

    @property
    def defects(self) -> tuple[Entry, ...]:
        return self.labelled + self.left + self.unmasked

    def changes(self, now: "Roster") -> Changes:
        """What `now` holds that is not here."""
        known = {entry.content: entry.masks for entry in self.normal + self.defects}
        there = {entry.content for entry in now.normal + now.defects}
        seen = [entry for entry in now.defects if entry.content in known]
        return Changes(
            defects=len(now.defects) - len(seen),
            masks=sum(bool(entry.masks) and entry.masks != known[entry.content] for entry in seen),
            normal=sum(entry.content not in known for entry in now.normal),
            gone=len(known.keys() - there),
        )

    def with_known(self, split: Split) -> Split:
        """The split, with normal images of this roster for training that a folder which has grown now keeps
        for testing: which ones it keeps is drawn.
        """
        known = {entry.content for entry in self.normal}
        kept = [sample for sample in split.test if not sample.anomalous]
        back = tuple(sample for sample in kept if content_of(sample.image) in known)
        test = tuple(sample for sample in split.test if sample not in set(back))
        return replace(split, normal=split.normal + back, test=test)

    def restored(self, split: Split, now: "Roster", run: Path) -> Split:
        """The split of this roster, taken from a split of what is there `now`.

        Raises:
            DataChangedError: an image or a mask that the run learns from is gone or has changed.
        """
        samples = [*split.normal, *split.labelled, *(s for s in split.test if s.anomalous), *split.unmasked]
        there: dict[tuple[str, str], dict[str, Sample]] = {}
        for entry, sample in zip(now.normal + now.defects, samples, strict=True):
            there.setdefault((entry.content, entry.masks), {})[entry.image] = sample

        def found(entries: Iterable[Entry]) -> tuple[Sample, ...]:
            """By path among those of the same content, as a folder may have been moved."""
            same = [(entry, there.get((entry.content, entry.masks))) for entry in entries]
            if any(samples is None for _, samples in same):
                raise DataChangedError(run, str(replace(self.changes(now), defects=0, normal=0)))
            return tuple(
                samples.get(entry.image, next(iter(samples.values()))) for entry, samples in same if samples
            )

        labelled = found(self.labelled)
        test = tuple(sample for sample in split.labelled + split.test if sample not in set(labelled))
        return Split(found(self.normal), labelled, test, found(self.unmasked))


def _entries(samples: Iterable[Sample]) -> tuple[Entry, ...]:
    return tuple(_entry(sample) for sample in samples)


def _entry(sample: Sample) -> Entry:
    files = (sample.mask, *sample.more_masks, sample.ignored)
    masks = "+".join(content_of(file) for file in files if file)
    return Entry(str(sample.image.resolve()), content_of(sample.image), masks)
