"""Training images whose label is doubtful: defects among the normal ones, masks that lie elsewhere.

Without any label nobody knows what a defect looks like; then those normal images are named that are most
unlike the others, as the member says that never saw them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Int
from torch import Tensor, nn

from flawtrace.data import Sample, Split, below
from flawtrace.ground.files import write_bytes
from flawtrace.ground.run_files import PICTURES_NAME
from flawtrace.ground.shapes import AnomalyMap, ErrorMaps, Image, Mask, Masks, PerImage
from flawtrace.ground.wording import counted
from flawtrace.method import Predictor, Reader
from flawtrace.training.exam import Exam
from flawtrace.training.fitting import Examples, predict
from flawtrace.training.judging import HeldOut

MOST = 8
"""Suspects of each kind that are kept, the worst first."""
UNUSUAL = 0.15
"""Share of the normal images that are named at most where no label says what a defect looks like."""
FEW = 0.1
"""Share of the labelled images in which little is marked; what shows no more than these is no suspect."""


@dataclass(frozen=True)
class Suspect:
    """One training image that is worth a second look."""

    name: str
    file: Path
    defect_type: str | None
    """None says that it was given as normal."""
    score: float
    """Highest value of its map where the label says that nothing is."""
    picture: Image
    anomaly_map: AnomalyMap
    mask: Mask
    set_aside: bool = False
    """Whether nobody learnt from it, because it looks defective."""
    unusual: bool = False
    """Whether it is merely among those most unlike the others: no label says what a defect looks like."""


@dataclass(frozen=True)
class Witnesses:
    """Who says what training images show, and from which value on that is a defect."""

    members: Sequence[Predictor]
    reader: Reader
    calibration: nn.Module
    threshold: float

    @torch.no_grad()
    def votes(self, examples: Examples) -> ErrorMaps:
        """What all members together say of some images, as a detector sees them: with the whole memory."""
        canvases = examples.views.canvases
        views = replace(examples.views, distances=self.reader.distances(self.reader.memory, canvases))
        maps = [member.eval().probabilities(views) for member in self.members]
        return self._calibrated(torch.stack(maps).mean(dim=0))

    def alone(self, member: int, examples: Examples) -> ErrorMaps:
        """What one member says; nothing of ignored pixels."""
        maps = self._calibrated(predict(self.members[member], examples))
        return maps if examples.ignored is None else maps.masked_fill(examples.ignored.cpu(), 0)

    def _calibrated(self, said: ErrorMaps) -> ErrorMaps:
        maps: ErrorMaps = self.calibration(said)
        return maps.cpu()

    def marked(self, maps: ErrorMaps) -> PerImage:
        """How much of each image is called defective: the sum of what exceeds the threshold."""
        excess: Tensor = (maps - self.threshold).clamp(min=0).sum(dim=(1, 2))
        return excess


def suspects(witnesses: Witnesses, exam: Exam, held_out: HeldOut, split: Split) -> list[Suspect]:
    """Normal images that are set aside, then others that show as much as a labelled defect, then labels that
    show it beside their mask. Without a mask to compare with, if nothing is set aside, the normal images
    that are most unusual.

    As much: no less than a tenth of the labelled images in which anything is marked. A labelled image is
    judged by the member that did not learn from it. On normal images all members vote, though some of these
    were shown to them as normal, where a defect is harder to see.
    """
    if not (exam.num_labelled or exam.set_aside.any()):
        return list(_unusual(witnesses, exam, held_out, split))
    folds = [exam.held_out(member) for member in range(len(witnesses.members))]
    examples = [exam.labelled[torch.tensor(rows, dtype=torch.long)] for rows in folds]
    maps = torch.cat([witnesses.alone(*pair) for pair in enumerate(examples)])
    amounts = witnesses.marked(maps)
    if not (amounts.any() or exam.set_aside.any()):
        return []
    least = float(torch.quantile(amounts[amounts > 0], FEW)) if amounts.any() else math.inf
    masks = torch.cat([some.masks for some in examples]).cpu()
    rows = [row for fold in folds for row in fold]
    return [
        *_normal(witnesses, least, exam, split),
        *_labelled(witnesses, least, (rows, maps, masks), exam.labelled, split),
    ]


def named(found: Sequence[Suspect]) -> list[dict[str, Any]]:
    """Without pictures, as plain values."""
    return [
        {
            "name": one.name,
            "file": str(one.file),
            "type": one.defect_type,
            "score": round(one.score, 4),
            "set_aside": one.set_aside,
            "unusual": one.unusual,
        }
        for one in found
    ]


def by_reason(suspects: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Those that a training `named`: set `aside`, merely `unusual`, or with a doubtful `label`.

    >>> {reason: len(some) for reason, some in by_reason([{"unusual": True}, {}]).items()}
    {'aside': 0, 'unusual': 1, 'label': 1}
    """
    found: dict[str, list[Mapping[str, Any]]] = {"aside": [], "unusual": [], "label": []}
    for one in suspects:
        found["aside" if one.get("set_aside") else "unusual" if one.get("unusual") else "label"].append(one)
    return found


def told(suspects: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """What to do about those that a training `named`, by their place in `folder`."""
    aside, unusual, others = ([_place(one, folder) for one in some] for some in by_reason(suspects).values())
    lines = []
    if aside:
        look = counted(len(aside), "normal image looks", "normal images look")
        lines.append(
            f"{look} defective, and nothing was learnt from: {', '.join(aside)}. Take them out or label "
            "them; if they are good parts, they are false alarms, and counted as such."
        )
    if unusual:
        lines.append(
            f"Look at the normal images that are most unlike the others: {', '.join(unusual)}. No label says "
            "what a defect looks like, and one that is taken for normal lets its like pass: take such "
            "images out, or label them."
        )
    if others:
        lines.append(f"Check the labels of these training images; they look wrong: {', '.join(others)}")
    return lines


def _place(suspect: Mapping[str, Any], folder: Path) -> str:
    """Where an image lies in the folder, since two may have one name, and which tile is meant, if one is."""
    file = Path(suspect["file"])
    return f"{below(folder, file)}{suspect['name'].removeprefix(file.name)}"


def write_suspects(found: Sequence[Suspect], run: Path) -> None:
    """Pictures in 8 bits, maps in half precision; no file where there is nobody to suspect."""
    if not found:
        return
    tensors = {
        "pictures": (torch.stack([one.picture for one in found]) * 255).round().to(torch.uint8),
        "maps": torch.stack([one.anomaly_map for one in found]).half(),
        "masks": torch.stack([one.mask for one in found]),
    }
    write_bytes(run / PICTURES_NAME, safetensors.torch.save(tensors))


def _normal(witnesses: Witnesses, least: float, exam: Exam, split: Split) -> Iterator[Suspect]:
    """All that are set aside, then others that are worst."""
    normal, aside = exam.normal, exam.set_aside
    amounts = torch.cat([witnesses.marked(witnesses.votes(normal[some])) for some in normal.batches])
    order = torch.argsort(amounts, descending=True, stable=True)
    for row in torch.cat([order[aside[order]], worst(amounts.masked_fill(aside, 0), least)]):
        (anomaly_map,) = witnesses.votes(normal[row[None]])
        yield replace(_nowhere_marked(int(row), anomaly_map, exam, split), set_aside=bool(aside[row]))


def _unusual(witnesses: Witnesses, exam: Exam, held_out: HeldOut, split: Split) -> Iterator[Suspect]:
    """The normal images with the highest scores, each by the member that never saw it."""
    rows, scores = held_out.rows[held_out.normal], held_out.scores[held_out.normal]
    for place in worst(scores, least=0.0)[: round(UNUSUAL * len(rows))]:
        row = rows[place]
        (anomaly_map,) = witnesses.alone(int(exam.normal_folds[row]), exam.normal[row[None]])
        yield replace(_nowhere_marked(int(row), anomaly_map, exam, split), unusual=True)


def _nowhere_marked(row: int, anomaly_map: AnomalyMap, exam: Exam, split: Split) -> Suspect:
    """The normal image of this row."""
    picture = exam.normal.views.pictures[row].float().cpu()
    return _suspect(split.normal[row], picture, anomaly_map, torch.zeros_like(anomaly_map).bool())


def _labelled(
    witnesses: Witnesses,
    least: float,
    judged: tuple[list[int], ErrorMaps, Masks],
    labelled: Examples,
    split: Split,
) -> Iterator[Suspect]:
    rows, maps, masks = judged
    inside, beside = (witnesses.marked(maps.where(where, 0.0)) for where in (masks, ~masks))
    for place in worst(beside.where(inside == 0, 0.0), least):
        picture = labelled.views.pictures[rows[int(place)]].float().cpu()
        yield _suspect(split.labelled[rows[int(place)]], picture, maps[place], masks[place])


def worst(amounts: PerImage, least: float) -> Int[Tensor, " m"]:
    """Where most is marked, as far as it is so much.

    >>> worst(torch.tensor([0.1, 5.0, 0.0, 9.0]), least=1.0).tolist()
    [3, 1]
    """
    order = torch.argsort(amounts, descending=True, stable=True)[:MOST]
    return order[amounts[order] >= least]


def _suspect(sample: Sample, picture: Image, anomaly_map: AnomalyMap, mask: Mask) -> Suspect:
    score = float(anomaly_map.where(~mask, 0.0).max())
    return Suspect(sample.name, sample.image, sample.defect_type, score, picture, anomaly_map, mask)
