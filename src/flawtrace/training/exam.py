"""Which examples each predictor learns from in the last fit, and on which it is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from flawtrace.data import Sample, Split
from flawtrace.data.pieces import images_of, worked_on
from flawtrace.ground.config import Config
from flawtrace.ground.devices import batches
from flawtrace.ground.groups import ENOUGH
from flawtrace.ground.learner import derive, generator
from flawtrace.ground.shapes import Canvases, Masks, Pictures
from flawtrace.method import Material, Prepared, Reader, Views, covered, encode, of_other_days
from flawtrace.pictures.augmentation import Pasted, paste
from flawtrace.pictures.images import read_image
from flawtrace.pictures.made_up import make_up
from flawtrace.pictures.region import inside, within
from flawtrace.training.fitting import Examples, Lesson, folds


@dataclass(frozen=True)
class Exam:
    """Rows of the labelled examples (images, then copies) and of all normal ones, and who may see them.

    Labels and normal images alike are divided into folds: member i never sees fold i, and is judged on it.
    """

    labelled: Examples
    normal: Examples
    folds: list[int]
    """Of the labelled images."""
    unmasked: Examples
    """Images of defects without a mask, which no member sees."""
    made_up: Examples
    """Normal images with made-up defects: to learn from without labels, and to judge by beside few."""
    made_onto: Int[Tensor, " m"]
    """Rows of the normal images that they were."""
    normal_folds: Int[Tensor, " n"]
    order: Int[Tensor, " n"]
    """Of the normal rows, by chance: a member is shown the first ones that it may see."""
    as_taken: Bool[Tensor, " n"]
    """Normal rows that show their image as it is, not as another day's camera might have taken it."""
    sources: Int[Tensor, " n"]
    """Number of the image that each normal row shows, or shows a tile of."""
    set_aside: Bool[Tensor, " n"]
    """Normal rows from which nobody learns, because they look defective."""
    few: bool = False
    """Whether labels are too few to judge by alone."""

    @property
    def num_labelled(self) -> int:
        """Without copies."""
        return len(self.folds)

    def held_out(self, member: int) -> list[int]:
        """Labelled images that the member never sees."""
        return [index for index, fold in enumerate(self.folds) if fold == member]

    def seen(self, member: int) -> list[int]:
        return [index for index, fold in enumerate(self.folds) if fold != member]

    def shown(self, member: int, count: int) -> Int[Tensor, " m"]:
        """At most `count` normal rows that the member learns from."""
        allowed = (self.normal_folds != member) & ~self.set_aside
        return self.order[allowed[self.order]][:count]

    def imagined(self, member: int) -> Int[Tensor, " m"]:
        """Made-up rows that the member may learn from: on normal images that it may see."""
        return (self.normal_folds[self.made_onto] != member).nonzero()[:, 0]

    def held_out_made_up(self, member: int) -> Int[Tensor, " m"]:
        """Made-up rows that judge a member where labels are few: on normal images of its fold."""
        return ((self.normal_folds[self.made_onto] == member) & self.few).nonzero()[:, 0]

    def unseen(self, member: int) -> Int[Tensor, " m"]:
        """Normal rows that the member never sees."""
        return (self.normal_folds == member).nonzero()[:, 0]


def deal(
    sources: Int[Tensor, " n"], config: Config, before: Mapping[int, int] | None = None
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """The fold of each normal row, and an order of the rows, both by chance.

    `sources` numbers the image of each row: tiles of one image are in one fold. Images that were in a fold
    `before` stay there; each of the others goes where there are fewest.
    """
    images = int(sources.max()) + 1 if len(sources) else 0
    known = before or {}
    sizes = np.bincount(list(known.values()), minlength=config.predictor.folds)
    folds_of_images = torch.zeros(images, dtype=torch.long)
    for image in torch.randperm(images, generator=generator(derive(config.seed, 5))).tolist():
        if (fold := known.get(image)) is None:
            fold = int(sizes.argmin())
            sizes[fold] += 1
        folds_of_images[image] = fold
    order = torch.randperm(len(sources), generator=generator(derive(config.seed, 11)))
    return folds_of_images[sources], order


def learnt_reader(
    snapshots: Sequence[nn.Module], prepared: Prepared, config: Config, set_aside: Bool[Tensor, " n"]
) -> Reader:
    """A reader that knows what is normal from all normal images but those that are set aside."""
    material = prepared.material
    reader = Reader.of(config, prepared.encoder, snapshots).to(material.canvases.device)
    rows = (~set_aside).nonzero()[:, 0]
    reader.learn_normal(material.canvases[rows], material.sources[rows])
    return reader


def examine(
    reader: Reader,
    material: Material,
    split: Split,
    config: Config,
    set_aside: Bool[Tensor, " n"],
    *,
    before: Mapping[int, int] | None = None,
) -> Exam:
    """Views of all labelled images and copies, and of all normal images, whose folds `before` stay."""
    side, normal = config.image_side, slice(0, material.num_normal)
    none, unknown = (
        material.labelled_masks.new_zeros(count, side, side)
        for count in (material.num_normal, len(material.unmasked))
    )
    normal_folds, order = deal(material.sources, config, before)
    pictures = material.pictures[normal]
    folds = folds_of(split.labelled, config.predictor.folds)
    few = len(images_of(split.labelled)) < ENOUGH
    imagined = config.predictor.made_up if few or config.predictor.self_supervised else 0
    made = make_up(pictures.cpu(), imagined, generator(derive(config.seed, 13)))
    made = _in_region(made, config)
    return Exam(
        replace(
            _examples(reader, material.labelled, material.labelled_pictures, material.labelled_masks),
            ignored=material.labelled_ignored,
        ),
        _examples(reader, material.canvases[normal], pictures, none, own=material.sources),
        folds,
        _examples(reader, material.unmasked, material.unmasked_pictures, unknown),
        _shown(reader, made, material.sources[made.onto]),
        made.onto,
        normal_folds,
        order,
        ~torch.tensor(of_other_days(material.num_normal, config.variation.other_days), dtype=torch.bool),
        material.sources,
        set_aside,
        few,
    )


def as_they_are(
    rows: Int[Tensor, " m"], reader: Reader, material: Material, split: Split, config: Config
) -> Examples:
    """Views of normal rows as their images were taken, whatever day they were learnt as."""
    samples = [split.normal[int(row)] for row in rows]
    images = torch.stack([one.part(worked_on(read_image(one.image), config)) for one in samples])
    nowhere = torch.zeros(len(rows), *images.shape[2:], dtype=torch.bool)
    return _shown(reader, Pasted(images, nowhere, rows), material.sources[rows])


def lesson(member: int, exam: Exam, reader: Reader, material: Material, config: Config) -> Lesson:
    """What a member learns from: labels, copies, normal images and pasted defects, all without its fold."""
    settings = config.predictor
    rows = torch.tensor(material.with_copies(exam.seen(member)), dtype=torch.long)
    labelled = exam.labelled[rows]
    normal = exam.normal[exam.shown(member, settings.normal_images)]
    made_up = exam.made_up[rows[:0] if len(rows) and not settings.self_supervised else exam.imagined(member)]
    if not settings.pasted or not len(rows):
        return Lesson(labelled, normal, exam.labelled[rows[:0]], made_up)
    allowed = exam.shown(member, material.num_normal)
    onto, numbers = material.pictures[allowed], material.sources[allowed]
    if not len(onto):  # all normal images are in the member's fold
        onto = labelled.views.pictures
        numbers = torch.full((len(onto),), -1)
    rng = generator(derive(config.seed, 7, member))
    made = paste(labelled.views.pictures.cpu(), labelled.masks.cpu(), onto.cpu(), settings.pasted, rng)
    made = _in_region(made, config)
    return Lesson(labelled, normal, _shown(reader, made, numbers[made.onto]), made_up)


def _in_region(made: Pasted, config: Config) -> Pasted:
    """What is pasted or made up, as far as it counts; of tiles nobody knows where in the image they lie."""
    if config.region is None or config.tile_side is not None:
        return made
    masks = made.masks & inside(config.region, *made.masks.shape[1:])
    return Pasted(within(made.images, config.region), masks, made.onto)


def _shown(reader: Reader, made: Pasted, own: Int[Tensor, " n"]) -> Examples:
    """Views of images with pasted or made-up defects, on normal images of these numbers."""
    device = reader.novelty.place.device
    canvases = torch.cat([encode(reader.encoder, images) for images in batches(made.images.to(device))])
    return _examples(reader, canvases, made.images.half().to(device), made.masks.to(device), own=own)


def folds_of(labelled: Sequence[Sample], count: int) -> list[int]:
    """The fold of each labelled sample; tiles of one image are in one fold."""
    type_of = {sample.image: str(sample.defect_type) for sample in labelled}
    fold_of = dict(zip(type_of, folds(list(type_of.values()), count), strict=True))
    return [fold_of[sample.image] for sample in labelled]


def _examples(
    reader: Reader, canvases: Canvases, pictures: Pictures, masks: Masks, own: Int[Tensor, " n"] | None = None
) -> Examples:
    """Views of images; `own` says which normal images they show, where the memory may know these."""
    numbers = (torch.full((len(canvases),), -1) if own is None else own).to(canvases.device)
    parts = zip(batches(canvases), batches(pictures), batches(numbers), strict=True)
    shown = [reader.views(*part) for part in parts]
    profiles, novelties, distances = (
        torch.cat([getattr(views, name) for views in shown])
        for name in ("profiles", "novelties", "distances")
    )
    views = Views(profiles, novelties, distances, canvases, pictures)
    return Examples(views, masks, covered(masks, canvases.shape[2]))
