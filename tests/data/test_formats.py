"""Labels of other programs: what is written is read again, and agrees with independent readers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as reference

from flawtrace import verbs
from flawtrace.data import read_category
from flawtrace.data.formats import FORMATS, Annotated, Defect, LabelFormatError, Pictures, recognise
from flawtrace.data.formats.annotated import NoPictureError, PictureSizeError
from flawtrace.data.formats.outlines import box, circle, filled, polygons_of
from flawtrace.data.formats.run_lengths import from_brush, from_coco, to_brush, to_coco
from flawtrace.data.formats.writing import OccupiedError
from flawtrace.data.masks import mask_of
from flawtrace.verbs.labelling import UnknownFormatError

masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays(bool, size))


@given(masks)
def test_cocos_run_lengths_agree_with_its_own_library(mask: np.ndarray) -> None:
    theirs = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert to_coco(mask) == theirs["counts"].decode()
    assert (from_coco(theirs["counts"].decode(), *mask.shape) == mask).all()


@given(masks)
def test_a_brush_comes_back_pixel_by_pixel(mask: np.ndarray) -> None:
    assert (from_brush(to_brush(mask), *mask.shape) == mask).all()


def decoded_elsewhere(packed: list[int]) -> list[int]:
    """Label Studio's stream, read as its documentation says, with Python's integers for bits."""
    bits = int.from_bytes(bytes(packed))
    left = 8 * len(packed)

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & (1 << count) - 1

    count, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        if take(1):
            length = take(sizes[take(2)]) + 1
            values += [take(word)] * length
        else:
            values += [take(word) for _ in range(take(sizes[take(2)]) + 1)]
    return values


@given(masks)
def test_another_reader_finds_the_same_in_a_brush(mask: np.ndarray) -> None:
    values = np.array(decoded_elsewhere(to_brush(mask))).reshape(*mask.shape, 4)
    assert ((values[..., 3] > 0) == mask).all()


@given(masks)
def test_polygons_of_a_mask_fill_it_again(mask: np.ndarray) -> None:
    again = np.zeros_like(mask)
    for polygon in polygons_of(mask):
        again |= filled(polygon, mask.shape)
    assert (again == mask).all()


def test_a_hole_stays_a_hole_in_one_polygon() -> None:
    mask = np.ones((9, 9), dtype=bool)
    mask[3:6, 3:6] = False
    (polygon,) = polygons_of(mask)
    assert (filled(polygon, (9, 9)) == mask).all()


def test_a_pixel_belongs_to_a_box_when_its_middle_does() -> None:
    assert box(1.0, 1.0, 3.0, 2.0, (4, 4)).nonzero()[1].tolist() == [1, 2]
    assert circle(2.5, 2.5, 1.2, (5, 5)).sum() == 5


@pytest.mark.parametrize("form", FORMATS)
def test_a_product_comes_back_from_every_format(form: str, category: Path, tmp_path: Path) -> None:
    count = verbs.export_labels(category, tmp_path / "out", form)
    assert recognise(tmp_path / "out") == [form]
    found = verbs.import_labels(tmp_path / "out", tmp_path / "parts")
    before, after = read_category(category), read_category(tmp_path / "parts")
    assert count == len(before.samples) == len(after.samples)
    assert (found.format, found.defects) == (form, {"hole": 4, "scratch": 4, "stain": 4})
    pairs = zip(before.anomalous, after.anomalous, strict=True)
    assert all(mask_of(old).equal(mask_of(new)) for old, new in pairs)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(np.full((20, 30), 90, np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def labelme(photo: Path, **changes: Any) -> Path:
    shapes = [
        {"label": "dent", "shape_type": "rectangle", "points": [[12, 8], [4, 2]]},
        {"label": "scratch", "shape_type": "line", "points": [[0, 19], [29, 19]]},
    ]
    document = {"shapes": shapes, "imagePath": "..\\photos\\a.png", "imageHeight": 20, "imageWidth": 30}
    file = photo.with_suffix(".json")
    file.write_text(json.dumps(document | changes))
    return file


def test_shapes_of_labelme_are_filled_and_paths_of_windows_are_understood(photo: Path) -> None:
    (found,) = FORMATS["labelme"].read(labelme(photo), Pictures(photo.parent))
    areas = {defect.defect_type: int(defect.mask.sum()) for defect in found.defects}
    assert areas == {"dent": 48, "scratch": 30}


def test_an_image_of_several_types_is_filed_under_the_largest_and_said(photo: Path, tmp_path: Path) -> None:
    found = verbs.import_labels(labelme(photo), tmp_path / "parts")
    assert found.defects == {"dent": 1}
    assert "dent, scratch" in found.notes[0]


def test_labels_for_another_size_are_refused_with_both_sizes(photo: Path) -> None:
    with pytest.raises(PictureSizeError, match="are for 20 x 30 pixels"):
        list(FORMATS["labelme"].read(labelme(photo, imageHeight=30, imageWidth=20), Pictures(photo.parent)))


def test_labels_without_their_image_name_it(photo: Path) -> None:
    with pytest.raises(NoPictureError, match=r"b\.png"):
        list(FORMATS["labelme"].read(labelme(photo, imagePath="b.png"), Pictures(photo.parent)))


def test_pixels_to_ignore_are_kept_apart(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "SegmentationClass"
    folder.mkdir()
    classes = np.zeros((20, 30), np.uint8)
    classes[2:5, 2:5], classes[5, 2:5] = 1, 255
    Image.fromarray(classes).save(folder / "a.png")
    found = verbs.import_labels(tmp_path, tmp_path / "parts")
    assert found.format == "voc"
    (sample,) = read_category_with_normal(tmp_path / "parts", photo).anomalous
    assert mask_of(sample).sum() == 9
    assert sample.ignored == tmp_path / "parts/ignored/class_1/a.png"


def read_category_with_normal(parts: Path, photo: Path) -> Any:
    (parts / "normal").mkdir()
    (parts / "normal/n.png").write_bytes(photo.read_bytes())
    return read_category(parts)


def test_classes_of_yolo_have_names_and_unknown_numbers_are_refused(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("nc: 1\nnames: [dent]\n")
    (tmp_path / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n")
    (found,) = FORMATS["yolo"].read(tmp_path, Pictures(tmp_path))
    assert [(d.defect_type, int(d.mask.sum())) for d in found.defects] == [("dent", 96)]
    (tmp_path / "a.txt").write_text("1 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n")
    with pytest.raises(LabelFormatError, match="class 1 is not among"):
        list(FORMATS["yolo"].read(tmp_path, Pictures(tmp_path)))


def test_images_that_no_label_mentions_are_left_out_and_told(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(photo.read_bytes())
    file = labelme(photo)
    found = verbs.import_labels(file, tmp_path / "some")
    assert found.normal == 0
    assert "1 image without labels left out, such as b.png" in found.notes[-1]
    assert verbs.import_labels(file, tmp_path / "all", unlabelled_are_normal=True).normal >= 1


def test_nothing_that_is_there_is_replaced(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    verbs.import_labels(labelme(photo), out)
    verbs.import_labels(labelme(photo), out)  # the same again is no harm
    (out / "masks/dent/a.png").write_bytes((out / "defects/dent/a.png").read_bytes())
    with pytest.raises(OccupiedError):
        verbs.import_labels(labelme(photo), out)


def test_what_holds_no_labels_is_said_with_the_known_formats(category: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="labelme"):
        verbs.import_labels(category, tmp_path / "out")


def test_an_annotation_without_a_pixel_is_taken_as_normal_and_told(photo: Path, tmp_path: Path) -> None:
    nothing = Annotated(photo, (Defect("dent", np.zeros((20, 30), dtype=bool)),))
    FORMATS["label-studio"].write([nothing], tmp_path)
    found = verbs.import_labels(tmp_path / "label-studio.json", tmp_path / "parts", images=tmp_path)
    assert found.normal == 1
    assert "cover no pixel" in found.notes[0]
