"""Training images whose label is wrong are named, and others are not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from flawtrace.data.samples import Sample, Split
from flawtrace.detector import Calibration
from flawtrace.ground.files import read_json, write_json
from flawtrace.ground.shapes import ErrorMaps
from flawtrace.method.encoder import Pixels
from flawtrace.method.material import Material, covered
from flawtrace.method.predictor import Compact, Views
from flawtrace.method.reader import Reader
from flawtrace.report.page import write_report
from flawtrace.training.exam import Exam
from flawtrace.training.fitting import Examples
from flawtrace.training.judging import HeldOut
from flawtrace.training.suspects import (
    MOST,
    Suspect,
    Witnesses,
    named,
    suspects,
    told,
    worst,
    write_suspects,
)

SIDE = 64


class Bright(Compact):
    """Says that a pixel is defective where it is bright."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def probabilities(self, views: Views) -> ErrorMaps:
        return views.pictures.float().mean(dim=1)


def dark(count: int) -> torch.Tensor:
    return torch.full((count, 3, SIDE, SIDE), 0.1)


def material_of(normal: torch.Tensor, labelled: torch.Tensor, masks: torch.Tensor) -> Material:
    pictures = torch.cat([normal, labelled])
    cells = nn.functional.avg_pool2d(pictures, 2)
    return Material(
        canvases=cells.half(),
        images=cells,
        texture=cells[:, 0],
        coverage=torch.zeros_like(cells[:, 0]),
        labelled=cells[len(normal) :].half(),
        labelled_coverage=covered(masks, SIDE // 2),
        pictures=pictures.half(),
        labelled_pictures=labelled.half(),
        labelled_masks=masks,
        unmasked=cells[:0].half(),
        unmasked_pictures=pictures[:0].half(),
        sources=torch.arange(len(normal)),
        scales=(3,),
        num_normal=len(normal),
        num_labelled=len(labelled),
    )


def suspected(
    normal: torch.Tensor,
    labelled: torch.Tensor,
    masks: torch.Tensor,
    scores: torch.Tensor | None = None,
    aside: int = -1,
) -> list[Suspect]:
    """`scores` are those of the held-out normal images, last ones first; `aside` is a row."""
    material = material_of(normal, labelled, masks)
    reader = Reader(Pixels(2), [nn.Identity()], SIDE // 2, "nothing")
    views = reader.views(material.labelled, material.labelled_pictures)
    examples = Examples(views, masks, material.labelled_coverage)
    none = torch.zeros(0, dtype=torch.long)
    blank = torch.zeros(len(normal), SIDE, SIDE).bool()
    shown = reader.views(material.canvases[: len(normal)], normal.half())
    seen = Examples(shown, blank, covered(blank, SIDE // 2))
    nobody = examples[:0]
    rows = torch.arange(len(normal))
    folds = [0, 1, 0][: len(labelled)]
    exam = Exam(
        examples,
        seen,
        folds,
        nobody,
        nobody,
        none,
        rows % 2,
        rows,
        rows >= 0,
        rows,
        rows == aside,
    )
    samples = [Sample(Path(f"{index}.png")) for index in range(len(normal))]
    marked = [Sample(Path(f"{index}.png"), Path(f"{index}_mask.png"), "spot") for index in range(len(folds))]
    split = Split(tuple(samples), tuple(marked), ())
    scored = torch.zeros(len(rows)) if scores is None else scores
    held_out = HeldOut(
        seen.masks.float(), seen.masks, torch.zeros(len(rows), 4), scored, rows * 0, rows.flip(0)
    )
    return suspects(Witnesses([Bright(), Bright()], reader, Calibration(), 0.5), exam, held_out, split)


@pytest.fixture
def found() -> list[Suspect]:
    """A bright spot in normal image 2 and on labels 0 and 1, of which 1 is marked elsewhere."""
    normal, labelled = dark(5), dark(3)
    normal[2, :, 10:22, 10:22] = 0.9
    labelled[:2, :, 30:40, 30:40] = 0.9
    masks = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    masks[0, 28:42, 28:42] = masks[1, 2:10, 2:10] = masks[2, 2:10, 2:10] = True
    return suspected(normal, labelled, masks)


def test_a_defect_among_normal_images_and_a_mask_that_lies_elsewhere_are_named(found: list[Suspect]) -> None:
    assert [(one.name, one.defect_type, one.score) for one in found] == [
        ("2.png", None, pytest.approx(0.9, abs=1e-3)),
        ("1.png", "spot", pytest.approx(0.9, abs=1e-3)),
    ]
    assert found[1].mask[5, 5]
    assert named(found)[1]["type"] == "spot"


def test_without_labels_those_are_named_that_are_most_unlike_the_others() -> None:
    """By their scores, each held out; not more than so many of them, and in words that accuse nobody."""
    scores = torch.linspace(0, 1, 20)
    found = suspected(dark(20), dark(0), torch.zeros(0, SIDE, SIDE, dtype=torch.bool), scores)
    assert [one.name for one in found] == ["0.png", "1.png", "2.png"]
    assert all(one.unusual and not one.set_aside for one in found)
    (line,) = told(named(found), Path())
    assert "most unlike the others: 0.png, 1.png, 2.png." in line
    assert "wrong" not in line


def test_what_is_set_aside_without_a_mask_is_told_as_such() -> None:
    """Five images of defects without masks are enough to judge by."""
    none = torch.zeros(0, SIDE, SIDE, dtype=torch.bool)
    (found,) = suspected(dark(20), dark(0), none, aside=3)
    assert (found.name, found.set_aside, found.unusual) == ("3.png", True, False)
    (line,) = told(named([found]), Path())
    assert "1 normal image looks defective, and nothing was learnt from: 3.png" in line


def test_the_worst_come_first_and_not_more_than_so_many() -> None:
    amounts = torch.linspace(0, 1, 4 * MOST)
    assert worst(amounts, 0.5).tolist() == list(range(4 * MOST - 1, 3 * MOST - 1, -1))
    assert len(worst(amounts, 1.5)) == 0


def test_a_few_bright_pixels_in_a_normal_image_are_no_suspect() -> None:
    """The spots that labels show are of 100 pixels."""
    normal, labelled = dark(5), dark(3)
    normal[2, :, 10:12, 10:12] = 0.8
    labelled[:, :, 30:40, 30:40] = 0.9
    masks = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    masks[:, 28:42, 28:42] = True
    assert suspected(normal, labelled, masks) == []


def test_suspects_stand_in_the_report_with_their_pictures(
    found: list[Suspect], run: Path, tmp_path: Path
) -> None:
    for name in ("settings.json", "training.json", "log.jsonl"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    summary = read_json(tmp_path / "training.json") | {"suspects": named(found)}
    write_json(tmp_path / "training.json", summary)
    write_suspects(found, tmp_path)
    page = write_report(tmp_path).read_text()
    assert "Worth a second look" in page
    assert page.count("labelled as") == 2


def test_where_nobody_is_suspected_nothing_is_written(tmp_path: Path) -> None:
    write_suspects([], tmp_path)
    assert list(tmp_path.iterdir()) == []
