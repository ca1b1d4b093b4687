"""Labels of other programs: a product comes back from each format, and each shape means what was drawn."""

import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from flawtrace import verbs
from flawtrace.data import read_category
from flawtrace.data.formats import WRITERS, recognise
from flawtrace.data.formats.brush import to_brush
from flawtrace.data.formats.errors import LabelError
from flawtrace.data.formats.figures import filled
from flawtrace.data.formats.run_lengths import lengths, to_coco
from flawtrace.data.masks import mask_of
from flawtrace.pictures.mask_files import read_mask

HEIGHT, WIDTH = 40, 60


def photo(path: Path, seed: int = 0, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(60, 200, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    Pillow.fromarray(values).save(path, **how)
    return path


def picture(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(values).save(path)
    return path


def marked(*places: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for place in places:
        mask[place] = True
    return mask


def written(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def found(parts: Path, name: str = "a", kind: str = "dent") -> np.ndarray:
    """The mask that an import has written."""
    return read_mask(parts / f"masks/{kind}/{name}.png").numpy()


HOLED = marked((np.s_[5:20], np.s_[5:25]), (np.s_[30:33], np.s_[40:59]))
HOLED[9:15, 10:20] = False
HOLED[11:13, 12:15] = True


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A ring with an island and a bar, a scratch, pixels to ignore, normal images; a name is used twice."""
    root = tmp_path / "parts"
    for index in range(4):
        photo(root / f"normal/{index}.png", index)
    photo(root / "defects/dent/a.jpg", 7)
    picture(root / "masks/dent/a.png", HOLED.astype(np.uint8) * 255)
    picture(root / "ignored/dent/a.png", marked((np.s_[0:3], np.s_[0:9])).astype(np.uint8) * 255)
    photo(root / "defects/deep scratch/0.png", 8)
    picture(root / "masks/deep scratch/0.png", marked((np.s_[20:22], np.s_[0:60])).astype(np.uint8) * 255)
    return root


@pytest.mark.parametrize("form", WRITERS)
def test_a_product_comes_back_from_each_format(form: str, product: Path, tmp_path: Path) -> None:
    assert verbs.export_labels(product, tmp_path / "out", form).images == 6
    assert recognise(tmp_path / "out") == form
    done = verbs.import_labels(tmp_path / "out", tmp_path / "again")
    assert (done.normal, done.defects, done.notes) == (4, {"deep scratch": 1, "dent": 1}, ())
    before, after = read_category(product), read_category(tmp_path / "again")
    for old, new in zip(before.anomalous, after.anomalous, strict=True):
        assert mask_of(old).equal(mask_of(new))
        assert old.image.read_bytes() == new.image.read_bytes()
    (ignored,) = (sample.ignored for sample in after.anomalous if sample.ignored)
    assert read_mask(ignored).sum() == 27


@pytest.mark.parametrize("form", WRITERS)
def test_an_export_can_be_repeated_and_replaces_nothing(form: str, product: Path, tmp_path: Path) -> None:
    verbs.export_labels(product, tmp_path / "out", form)
    verbs.export_labels(product, tmp_path / "out", form)
    picture(product / "masks/dent/a.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    with pytest.raises(LabelError, match="other content"):
        verbs.export_labels(product, tmp_path / "out", form)


def labelme(folder: Path, *shapes: dict[str, Any], name: str = "a.png", **more: Any) -> Path:
    document = {"version": "5.4", "flags": {}, "shapes": list(shapes), "imagePath": name}
    document |= {"imageHeight": HEIGHT, "imageWidth": WIDTH, "imageData": None} | more
    return written(folder / f"{Path(name.replace(chr(92), '/')).stem}.json", document)


def shape(kind: str, points: list[list[float]], label: str = "dent", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, **more}


def png(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Pillow.fromarray(mask).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    ("drawn", "area"),
    [
        (shape("polygon", [[10, 10], [20, 10], [20, 30], [10, 30]]), 200),
        (shape("rectangle", [[20, 30], [10, 10]]), 200),
        (shape("circle", [[30, 20], [30, 30]]), 316),
        (shape("line", [[0, 20], [60, 20]]), 180),
        (shape("linestrip", [[0, 20.5], [30, 20.5], [60, 20.5]]), 180),
        (shape("point", [[30.5, 20.5]]), 9),
        (shape("mask", [[3, 4], [7, 6]], mask=png(np.ones((3, 5), bool))), 15),
    ],
    ids=lambda value: value["shape_type"] if isinstance(value, dict) else "",
)
def test_shapes_of_labelme_are_filled(drawn: dict[str, Any], area: int, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    labelme(tmp_path / "in", drawn)
    verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert int(found(tmp_path / "out").sum()) == area


def test_labelme_finds_its_image_by_a_path_of_windows(tmp_path: Path) -> None:
    photo(tmp_path / "photos/a.png", 1)
    photo(tmp_path / "elsewhere/a.png", 2)
    labelme(tmp_path / "labels", shape("rectangle", [[1, 1], [9, 9]]), name="..\\photos\\a.png")
    verbs.import_labels(tmp_path / "labels", tmp_path.parent / f"{tmp_path.name}-out", images=tmp_path)
    written_image = tmp_path.parent / f"{tmp_path.name}-out/defects/dent"
    assert [path.read_bytes() for path in written_image.iterdir()] == [
        (tmp_path / "photos/a.png").read_bytes()
    ]


def image(name: str, number: int = 3) -> dict[str, Any]:
    return {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH}


def test_a_name_may_have_characters_by_their_codes(tmp_path: Path) -> None:
    photo(tmp_path / "in/part 7.png")
    coco(tmp_path / "in", [[1, 1, 9, 1, 9, 9, 1, 9]], images=[image("part%207.png")])
    verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert int(found(tmp_path / "out", "part 7").sum()) == 64


def test_an_image_that_is_listed_twice_has_the_shapes_of_both(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    corners = ([1, 1, 9, 1, 9, 9, 1, 9], [20, 1, 28, 1, 28, 9, 20, 9])
    rows = [{"image_id": n, "category_id": 9, "segmentation": [ring]} for n, ring in enumerate(corners)]
    coco(tmp_path / "in", images=[image("a.png", 0), image("C:\\photos\\A.PNG", 1)], annotations=rows)
    verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert int(found(tmp_path / "out").sum()) == 128


@pytest.mark.parametrize(
    "name", ["../../outside.png", "/outside.png", "..\\..\\outside.png", "%2e%2e/outside.png"]
)
def test_a_name_never_leads_out_of_the_folder_of_images(name: str, tmp_path: Path) -> None:
    photo(tmp_path / "outside.png")
    photo(tmp_path / "in/deep/a.png")
    coco(tmp_path / "in/deep", [[1, 1, 9, 1, 9, 9, 1, 9]], images=[image(name)])
    with pytest.raises(LabelError, match=r"No image.*outside\.png"):
        verbs.import_labels(tmp_path / "in/deep", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("annotations", ["text", ["text"], [3], {"a": 1}, [[]]])
def test_answers_of_label_studio_that_are_none_are_refused_by_name(annotations: Any, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    studio(tmp_path / "in", annotations=annotations)
    with pytest.raises(LabelError, match=r"export\.json"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out", format="label-studio")


def test_an_outline_with_many_corners_around_a_large_image_takes_no_time() -> None:
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    radius = 1000 * (1 + 0.1 * np.sin(30 * angles))
    points = np.stack([1200 + radius * np.cos(angles), 1200 + radius * np.sin(angles)], 1)
    began = time.process_time()
    area = int(filled(points, (2400, 2400)).sum())
    assert time.process_time() - began < 3
    x, y = points.T
    assert area == pytest.approx(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2, rel=1e-4)


def test_labels_on_an_image_turned_by_exif_are_meant_upright(tmp_path: Path) -> None:
    """labelme shows it upright; the file stays as it is, and reading turns both."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "in/a.jpg", exif=exif)
    upright = {"imageHeight": WIDTH, "imageWidth": HEIGHT}
    labelme(tmp_path / "in", shape("rectangle", [[0, 50], [40, 60]]), name="a.jpg", **upright)
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert any("EXIF" in note for note in done.notes)
    mask = found(tmp_path / "out")
    assert mask.shape == (WIDTH, HEIGHT)
    assert mask[50:].all()
    photo(tmp_path / "out/normal/n.png")
    (sample,) = read_category(tmp_path / "out").anomalous  # its reader wants image and mask of one size
    assert sample.image.read_bytes() == (tmp_path / "in/a.jpg").read_bytes()


def coco(folder: Path, *segmentations: Any, **more: Any) -> Path:
    rows = [
        {"id": index, "image_id": 3, "category_id": 9, "segmentation": said, "iscrowd": index % 2}
        for index, said in enumerate(segmentations)
    ]
    document = {
        "images": [{"id": 3, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": rows,
        "categories": [{"id": 9, "name": "dent"}],
    }
    return written(folder / "instances.json", document | more)


@pytest.mark.parametrize(
    "said",
    [
        {"size": [HEIGHT, WIDTH], "counts": to_coco(HOLED)},
        {"size": [HEIGHT, WIDTH], "counts": lengths(HOLED.T.ravel())},
    ],
    ids=["compressed", "plain"],
)
def test_both_kinds_of_run_lengths_of_coco_are_read(said: dict[str, Any], tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    verbs.import_labels(coco(tmp_path / "in", said), tmp_path / "out")
    assert (found(tmp_path / "out") == HOLED).all()


def test_rings_of_coco_and_crowds_are_one_mask(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    two = [[0, 0, 10, 0, 10, 10, 0, 10], [20, 20, 30, 20, 30, 30, 20, 30]]
    crowd = {"size": [HEIGHT, WIDTH], "counts": to_coco(marked((np.s_[35:40], np.s_[0:60])))}
    verbs.import_labels(coco(tmp_path / "in", two, crowd), tmp_path / "out")
    assert found(tmp_path / "out").sum() == 100 + 100 + 300


def test_boxes_alone_are_filled_and_said(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    rows = [{"id": 1, "image_id": 3, "category_id": 9, "bbox": [5, 5, 10, 4]}]
    done = verbs.import_labels(coco(tmp_path / "in", annotations=rows), tmp_path / "out")
    assert found(tmp_path / "out").sum() == 40
    assert any("a box is taken as the defect" in note for note in done.notes)


def studio(folder: Path, *results: dict[str, Any], **more: Any) -> Path:
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    answer = {"id": 1, "result": [{"id": str(n), **size, **row} for n, row in enumerate(results)]}
    task = {"id": 1, "data": {"image": "/data/upload/2/0a1b2c3d-a.png"}, "annotations": [answer]}
    return written(folder / "export.json", [task | more])


@pytest.mark.parametrize(
    ("kind", "value", "area"),
    [
        ("brushlabels", {"format": "rle", "rle": to_brush(HOLED)}, int(HOLED.sum())),
        ("polygonlabels", {"points": [[0, 0], [50, 0], [50, 50], [0, 50]]}, 600),
        ("rectanglelabels", {"x": 50, "y": 25, "width": 10, "height": 50, "rotation": 0}, 120),
        ("rectanglelabels", {"x": 50, "y": 25, "width": 10, "height": 50, "rotation": 90}, 120),
        ("ellipselabels", {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "rotation": 0}, 304),
        ("keypointlabels", {"x": 50, "y": 50, "width": 0.5}, 4),
    ],
)
def test_results_of_label_studio_are_read_in_percent(
    kind: str, value: dict[str, Any], area: int, tmp_path: Path
) -> None:
    photo(tmp_path / "in/a.png")
    studio(tmp_path / "in", {"type": kind, "value": {**value, kind: ["dent"]}})
    verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert abs(int(found(tmp_path / "out").sum()) - area) <= 4


def test_of_several_answers_the_last_counts_and_skipped_ones_do_not(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    box = {"type": "rectanglelabels", "original_width": WIDTH, "original_height": HEIGHT}

    def answer(label: str, **more: Any) -> dict[str, Any]:
        value = {"x": 0, "y": 0, "width": 50, "height": 50, "rectanglelabels": [label]}
        return {"result": [{"id": label, **box, "value": value}], **more}

    answers = [answer("early"), answer("late"), answer("skipped", was_cancelled=True)]
    studio(tmp_path / "in", annotations=answers)
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert done.defects == {"late": 1}
    assert any("several people" in note for note in done.notes)


def test_a_choice_for_the_whole_image_is_a_defect_without_a_mask(tmp_path: Path) -> None:
    """Or a normal image, where it says so; never silently one."""
    photo(tmp_path / "in/a.png")
    studio(tmp_path / "in", {"type": "choices", "value": {"choices": ["Scratched"]}})
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert (done.defects, done.unmasked, done.normal) == ({"Scratched": 1}, 1, 0)
    studio(tmp_path / "in", {"type": "choices", "value": {"choices": ["OK"]}})
    assert verbs.import_labels(tmp_path / "in", tmp_path / "good").normal == 1


def cvat(folder: Path, *shapes: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image = f'<image id="0" name="sub\\a.png" width="{WIDTH}" height="{HEIGHT}">{"".join(shapes)}</image>'
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version>{image}</annotations>")
    return folder


@pytest.mark.parametrize(
    ("drawn", "area"),
    [
        ('<polygon label="dent" points="0.00,0.00;10,0;10,10;0,10"/>', 100),
        ('<box label="dent" xtl="5" ytl="5" xbr="15" ybr="10"/>', 50),
        ('<box label="dent" xtl="5" ytl="5" xbr="15" ybr="15" rotation="45"/>', 100),
        ('<mask label="dent" rle="2, 3, 1" left="10" top="10" width="3" height="2"/>', 3),
        ('<polyline label="dent" points="0,20.5;60,20.5"/>', 180),
        ('<ellipse label="dent" cx="30" cy="20" rx="20" ry="10" rotation="90"/>', 628),
        ('<points label="dent" points="10.5,10.5;30.5,30.5"/>', 18),
    ],
)
def test_shapes_of_cvat_are_read(drawn: str, area: int, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    verbs.import_labels(cvat(tmp_path / "in", drawn), tmp_path / "out")
    assert abs(int(found(tmp_path / "out").sum()) - area) <= 13


def test_a_shape_of_cvat_that_is_occluded_counts_and_one_that_is_outside_does_not(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    shapes = (
        '<box label="dent" xtl="5" ytl="5" xbr="15" ybr="10" occluded="1"/>',
        '<box label="dent" xtl="30" ytl="5" xbr="40" ybr="10" outside="1"/>',
    )
    verbs.import_labels(cvat(tmp_path / "in", *shapes), tmp_path / "out")
    assert int(found(tmp_path / "out").sum()) == 50


def test_a_shape_that_is_not_read_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    with pytest.raises(LabelError, match=r"cuboid.*\n.*polygon"):
        verbs.import_labels(cvat(tmp_path / "in", '<cuboid label="dent"/>'), tmp_path / "out")


def test_a_document_with_entities_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    (tmp_path / "in/a.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><annotations/>')
    with pytest.raises(LabelError, match="entities"):
        verbs.import_labels(tmp_path / "in/a.xml", tmp_path / "out", format="cvat")


@pytest.mark.parametrize(
    "listed", ["names: [dent, 'long scratch']\n", "names:\n  0: dent\n  1: long scratch\n"]
)
def test_yolo_reads_polygons_boxes_and_names(listed: str, tmp_path: Path) -> None:
    root = tmp_path / "in"
    photo(root / "images/train/a.png", 1)
    photo(root / "images/val/a.png", 2)
    photo(root / "images/val/b.png", 3)
    (root / "labels/train").mkdir(parents=True)
    (root / "labels/val").mkdir()
    (root / "data.yaml").write_text(f"train: images/train\n{listed}nc: 2\n")
    (root / "labels/train/a.txt").write_text("0 0 0 0.5 0 0.5 0.5 0 0.5\n")
    (root / "labels/val/a.txt").write_text("1 0.5 0.5 0.2 0.1\n")
    (root / "labels/val/b.txt").write_text("")
    for index in range(30):  # most parts are good
        photo(root / f"images/more/{index}.png", 4)
        empty = root / f"labels/more/{index}.txt"
        empty.parent.mkdir(exist_ok=True)
        empty.write_text("")
    done = verbs.import_labels(root, tmp_path / "out")
    assert (done.defects, done.normal) == ({"dent": 1, "long scratch": 1}, 31)
    assert found(tmp_path / "out", "images-train-a-png").sum() == 600
    assert found(tmp_path / "out", "images-val-a-png", "long scratch").sum() == 48


def test_voc_keeps_pixels_to_ignore_apart(tmp_path: Path) -> None:
    photo(tmp_path / "in/JPEGImages/a.jpg")
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[2:5, 2:5], values[8:10, 2:5], values[20, 2:5] = 1, 2, 255
    picture(tmp_path / "in/SegmentationClass/a.png", values)
    (tmp_path / "in/class_names.txt").write_text("_background_\ndent\nscratch\n")
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert (done.format, done.defects) == ("voc", {"dent": 1})
    assert any("several types" in note for note in done.notes)
    assert found(tmp_path / "out").sum() == 9 + 6
    assert read_mask(tmp_path / "out/ignored/dent/a.png").sum() == 3


def test_colours_are_named_by_the_map_of_labels(tmp_path: Path) -> None:
    photo(tmp_path / "in/JPEGImages/a.jpg")
    values = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    values[2:5, 2:5] = (250, 50, 83)
    picture(tmp_path / "in/SegmentationClass/a.png", values)
    (tmp_path / "in/labelmap.txt").write_text("# label:color_rgb\nbackground:0,0,0::\ndent:250,50,83::\n")
    assert verbs.import_labels(tmp_path / "in", tmp_path / "out").defects == {"dent": 1}
    values[0, 0] = (1, 2, 3)
    picture(tmp_path / "in/SegmentationClass/a.png", values)
    with pytest.raises(LabelError, match=r"class 010203.*\n.*dent"):
        verbs.import_labels(tmp_path / "in", tmp_path / "other")


WHITE = marked((np.s_[3:9], np.s_[3:9])).astype(np.uint8) * 255


@pytest.mark.parametrize(
    ("image", "masks"),
    [
        ("a.jpg", ["a.png"]),
        ("a.png", ["a_mask.png"]),
        ("a.png", ["a_label.bmp"]),
        ("a.png", ["a_1.png", "a_2.png"]),
        ("a.png", ["a/000.png", "a/001.png"]),
        ("train/images/a.png", ["train/masks/a.png"]),
        ("images/a.jpg", ["labels/a_gt.png"]),
    ],
    ids=lambda names: names if isinstance(names, str) else "+".join(names),
)
def test_masks_are_found_where_people_put_them(image: str, masks: list[str], tmp_path: Path) -> None:
    photo(tmp_path / "in" / image)
    for index, name in enumerate(masks):
        picture(tmp_path / "in" / name, np.roll(WHITE, 20 * index, axis=1))
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert (done.format, done.defects, done.normal) == ("masks", {"defect": 1}, 0)
    assert found(tmp_path / "out", kind="defect").sum() == 36 * len(masks)


def test_one_mask_for_each_defect_as_in_mvtec_loco(tmp_path: Path) -> None:
    root = tmp_path / "in"
    photo(root / "train/good/000.png", 1)
    photo(root / "test/good/000.png", 2)
    photo(root / "test/logical/000.png", 3)
    for index in range(2):
        values = np.roll(WHITE, 20 * index, axis=1) // 255 * (255 - index)
        picture(root / f"ground_truth/logical/000/00{index}.png", values)
    done = verbs.import_labels(root, tmp_path / "out")
    assert (done.defects, done.normal) == ({"logical": 1}, 2)
    assert found(tmp_path / "out", "test-logical-000-png", "logical").sum() == 72


def test_folders_tell_types_and_empty_masks_normal_images(tmp_path: Path) -> None:
    for index, kind in enumerate(("scratch", "dent")):
        photo(tmp_path / f"in/images/{kind}/{index}.png", index)
        picture(tmp_path / f"in/masks/{kind}/{index}.png", WHITE)
    photo(tmp_path / "in/images/dent/5.png", 5)
    picture(tmp_path / "in/masks/dent/5.png", WHITE * 0)
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert (done.defects, done.normal) == ({"dent": 1, "scratch": 1}, 1)


@pytest.mark.parametrize("colours", [False, True], ids=["numbers", "colours"])
def test_different_values_are_different_types(colours: bool, tmp_path: Path) -> None:
    for index, value in enumerate((1, 2)):
        photo(tmp_path / f"in/images/{index}.png", index)
        values = WHITE // 255 * value
        if colours:
            values = np.stack([WHITE * (value == 1), WHITE * (value == 2), WHITE * 0], axis=-1)
        picture(tmp_path / f"in/masks/{index}.png", values)
    expected = {"colour_00ff00": 1, "colour_ff0000": 1} if colours else {"class_1": 1, "class_2": 1}
    assert verbs.import_labels(tmp_path / "in", tmp_path / "out").defects == expected


def test_masks_whose_255_may_mean_two_things_are_asked_about(tmp_path: Path) -> None:
    photo(tmp_path / "in/images/a.png")
    values = WHITE // 255
    values[0] = 255
    picture(tmp_path / "in/masks/a.png", values)
    with pytest.raises(Exception, match="--format voc"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out")
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out", format="voc")
    assert done.defects == {"defect": 1}
    assert found(tmp_path / "out", kind="defect").sum() == 36
