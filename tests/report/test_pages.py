"""The other pages: predictions, suggestions, two detectors compared; and the captions of overlays."""

import shutil
from pathlib import Path

import pytest
import torch

from flawtrace import verbs
from flawtrace.pictures.images import read_image, write_picture
from flawtrace.report import Shown, captioned, contact_sheet, gallery

THRESHOLDS = {"outline": 0.3, "peak": 0.5, "defect": 0.5, "unsure": 0.2}


@pytest.mark.parametrize("size", [(32, 32), (40, 400), (400, 24), (1200, 900)])
def test_a_caption_lies_below_the_picture_and_moves_no_pixel(size: tuple[int, int]) -> None:
    picture = torch.randint(0, 255, (*size, 3), dtype=torch.uint8)
    shown = captioned(picture, "DEFECT", 0.987)
    assert torch.equal(shown[: size[0]], picture)
    assert shown.shape[1] == size[1]
    strip = shown[size[0] :]
    assert (strip != strip[0, 0]).any()  # there is writing
    assert (strip[:, -1].int() - strip[0, 0].int()).abs().max() < 40  # and it is not cut off


def test_captions_of_verdicts_differ_in_colour_and_words() -> None:
    picture = torch.zeros(32, 320, 3, dtype=torch.uint8)
    strips = [captioned(picture, verdict, 0.5)[32:] for verdict in ("OK", "UNSURE", "DEFECT")]
    assert len({tuple(strip[0, 0].tolist()) for strip in strips}) == 3


def test_overlays_of_predictions_carry_the_verdict_and_maps_do_not(
    run: Path, category: Path, tmp_path: Path
) -> None:
    verbs.predict(run, category / "test/hole/000.png", tmp_path)
    height, width = read_image(category / "test/hole/000.png").shape[1:]
    assert read_image(tmp_path / "masks/000.png").shape[1:] == (height, width)
    overlay = read_image(tmp_path / "overlays/000.png")
    assert overlay.shape[2] == width
    assert overlay.shape[1] > height


def test_the_gallery_says_what_it_shows_and_links_to_pictures_beside_it() -> None:
    page = gallery(
        "found",
        [
            Shown("a.png", "OK", 0.1, "", "a.png"),
            Shown("sub/b.png", "DEFECT", 0.9, "", "sub/b #1.png", regions=2),
            Shown("c.png", "ERROR", None, "cannot be read", None),
        ],
        THRESHOLDS,
    )
    assert page.index("sub/b.png") < page.index("c.png") < page.index(">a.png")
    assert 'href="sub/b%20%231.png"' in page
    assert "2 regions outlined" in page
    assert "DEFECT from the solid mark on\n    (0.500), UNSURE from the dotted one (0.200)" in page
    assert "they begin at half of the value" in page
    assert "http" not in page


def test_a_moved_folder_of_predictions_still_shows_them(run: Path, category: Path, tmp_path: Path) -> None:
    verbs.predict(run, category / "test/hole", tmp_path / "found")
    moved = shutil.move(tmp_path / "found", tmp_path / "elsewhere")
    page = (Path(moved) / "overlays/index.html").read_text()
    assert str(tmp_path) not in page
    assert page.count("<img") == len(list(Path(moved).glob("overlays/*.png")))


def test_a_sheet_keeps_the_aspect_of_images_and_says_where_they_lie(tmp_path: Path) -> None:
    file = tmp_path / "wide.png"
    write_picture(file, torch.zeros(20, 60, 3, dtype=torch.uint8))
    page = contact_sheet([(file, "UNSURE", "the detector is unsure")])
    assert str(file) in page
    assert "object-fit: contain" in page
    assert "flawtrace refit" in page


def test_a_sheet_without_suggestions_says_so() -> None:
    assert "Nothing to suggest" in contact_sheet([])


def test_a_comparison_begins_with_counts_of_both(run: Path, category: Path, tmp_path: Path) -> None:
    found = verbs.compare(run, run, category, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    count = sum(case.prediction.verdict == "DEFECT" for case in found.after.cases if case.sample.anomalous)
    assert f"<b>{count} → {count} of {found.after.num_anomalous}</b> defects found" in page
    assert "is not clearly better or worse" in page
    assert "No verdict changed." in page
    assert "http" not in page
