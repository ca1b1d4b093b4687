"""What is odd about labels is told, and nothing is written over, elsewhere, or by halves."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from flawtrace import verbs
from flawtrace.cli.app import main
from flawtrace.data import inspect
from flawtrace.data.formats import WRITERS, recognise
from flawtrace.data.formats.errors import (
    AmbiguousPictureError,
    LabelError,
    LabelFileError,
    LabelSizeError,
    LineWidthError,
    MissingPictureError,
    NameTakenError,
    NestedFolderError,
    NoLabelsError,
    NotAMaskError,
    OccupiedError,
    SwappedMaskError,
    UnclearMaskError,
    UnknownClassError,
    UnknownFormatError,
)
from flawtrace.ground.errors import FlawtraceError, OutputError, SettingsError
from flawtrace.pictures.mask_files import read_mask

HEIGHT, WIDTH = 40, 60
BOX = [[10, 10], [20, 30]]


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH), **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(60, 200, (*size, 3)).astype(np.uint8)
    Pillow.fromarray(values).save(path, **how)
    return path


def labelled(image: Path, *points: list[list[float]], label: str = "dent", **more: Any) -> Path:
    """Rectangles in labelme's file beside an image."""
    shapes = [{"label": label, "points": each, "shape_type": "rectangle"} for each in points]
    document = {"shapes": shapes, "imagePath": image.name, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    image.with_suffix(".json").write_text(json.dumps(document | more))
    return image


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three images of labelme: a dent, no defect, and one that nobody has looked at."""
    labelled(photo(tmp_path / "in/a.png", 1), BOX)
    labelled(photo(tmp_path / "in/b.png", 2))
    photo(tmp_path / "in/c.png", 3)
    return tmp_path / "in"


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_nobody_having_looked_does_not_make_an_image_normal(source: Path, tmp_path: Path) -> None:
    done = verbs.import_labels(source, tmp_path / "out")
    assert (done.format, done.normal, done.defects) == ("labelme", 1, {"dent": 1})
    assert any("c.png" in note and "--unlabelled-are-normal" in note for note in done.notes)
    assert set(everything(tmp_path / "out")) == {"normal/b.png", "defects/dent/a.png", "masks/dent/a.png"}
    assert verbs.import_labels(source, tmp_path / "all", unlabelled_are_normal=True).normal == 2


def test_an_image_of_coco_without_a_shape_is_one_that_nobody_may_have_seen(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    row = {"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
    document = {"images": [row], "annotations": [], "categories": []}
    (tmp_path / "in/all.json").write_text(json.dumps(document))
    assert verbs.import_labels(tmp_path / "in", tmp_path / "out").normal == 0
    assert verbs.import_labels(tmp_path / "in", tmp_path / "out", unlabelled_are_normal=True).normal == 1


def test_images_in_a_folder_of_good_parts_need_no_labels(source: Path, tmp_path: Path) -> None:
    photo(source / "OK/d.png", 4)
    done = verbs.import_labels(source, tmp_path / "out")
    assert done.normal == 2
    assert any("name of its folder" in note for note in done.notes)


@pytest.mark.parametrize(("height", "width"), [(HEIGHT - 2, WIDTH), (WIDTH, HEIGHT)])
def test_labels_for_another_size_are_refused_with_both_sizes(
    height: int, width: int, source: Path, tmp_path: Path
) -> None:
    labelled(source / "a.png", BOX, imageHeight=height, imageWidth=width)
    with pytest.raises(LabelSizeError, match=rf"{width} x {height}(.|\n)*60 x 40"):
        verbs.import_labels(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_exif_is_named_where_it_explains_a_difference_in_size(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    labelled(photo(tmp_path / "in/a.jpg", exif=exif), BOX)
    with pytest.raises(LabelSizeError, match="EXIF"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out")


def test_bad_labels_can_be_left_out_and_are_listed(source: Path, tmp_path: Path) -> None:
    labelled(source / "a.png", BOX, imageHeight=38)
    done = verbs.import_labels(source, tmp_path / "out", skip_bad=True)
    assert (done.normal, done.defects) == (1, {})
    assert "38" in done.skipped[0]
    with pytest.raises(SettingsError, match="good part"):
        verbs.import_labels(source, tmp_path / "out", skip_bad=True, unlabelled_are_normal=True)


def coco(folder: Path, *extra: Any) -> Path:
    """A dent in `a.png`, and other annotations, besides `ok/b.png` in a folder of good parts."""
    photo(folder / "photos/a.png", 1)
    photo(folder / "photos/ok/b.png", 2)
    images = [{"id": n, "file_name": name} for n, name in enumerate(("a.png", "ok/b.png"))]
    dent = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [5, 5, 9, 9]}
    categories = [{"id": n, "name": f"kind{n}"} for n in range(1, 40)]
    document = {"images": images, "annotations": [dent, *extra], "categories": categories}
    (folder / "coco.json").write_text(json.dumps(document))
    return folder / "coco.json"


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "annotation 7: a polygon has 5 numbers, which are no pairs"),
        (
            {"segmentation": [["a", 2, 3, 4]]},
            "annotation 7: numbers in it are no numbers, too few or too many",
        ),
        ({"segmentation": [[None, 2, 3, 4]]}, "annotation 7: a coordinate is not a number of pixels"),
        ({"segmentation": 5}, "annotation 7: a part of it is missing or of the wrong kind"),
        ({"bbox": [1, 2]}, "annotation 7: numbers in it are no numbers"),
        (
            {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1]}},
            "annotation 7 of ok.* its run lengths",
        ),
        ({"image_id": 5}, "annotation 7 is for image 5, which is not listed"),
        ({"category_id": 50}, r"50 \(annotation 7\).*\n.*kind8\) and 31 more"),
    ],
)
def test_one_bad_annotation_is_named_and_costs_its_own_image(
    extra: dict[str, Any], said: str, tmp_path: Path
) -> None:
    file = coco(tmp_path, {"id": 7, "image_id": 1, "category_id": 1} | extra)
    with pytest.raises(LabelError, match=said):
        verbs.import_labels(file, tmp_path / "out", images=tmp_path / "photos")
    done = verbs.import_labels(file, tmp_path / "out", images=tmp_path / "photos", skip_bad=True)
    assert (done.normal, done.defects, len(done.skipped)) == (0, {"kind1": 1}, 1)
    assert any("left out" in note and "ok/b.png" in note for note in done.notes)


def test_a_damaged_file_of_one_image_costs_this_image(source: Path, tmp_path: Path) -> None:
    (source / "b.json").write_text("{")
    done = verbs.import_labels(source, tmp_path / "out", skip_bad=True, format="labelme")
    assert (done.normal, done.defects) == (0, {"dent": 1})
    assert "b.json" in done.skipped[0]


def test_an_image_is_left_out_where_any_of_its_labels_is_bad(source: Path, tmp_path: Path) -> None:
    """What is left of them may not be all that it shows."""
    other = {"shapes": [{"label": "dent", "points": 3}], "imagePath": "b.png"}
    (source / "second.json").write_text(json.dumps(other))
    done = verbs.import_labels(source, tmp_path / "out", skip_bad=True)
    assert (done.normal, done.defects) == (0, {"dent": 1})


def test_a_misspelt_format_gets_a_suggestion(source: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"no format is called cocoo; did you mean coco\?"):
        verbs.import_labels(source, tmp_path / "out", format="cocoo")


def test_many_bad_labels_of_one_kind_take_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [{"id": n, "file_name": f"gone{n}.png", "height": 9, "width": 9} for n in range(50)]
    Pillow.fromarray(np.full((9, 9), 90, np.uint8)).save(tmp_path / "a.png")
    document = {"images": images, "annotations": [], "categories": []}
    (tmp_path / "coco.json").write_text(json.dumps(document))
    with pytest.raises(SystemExit):
        main(["labels", "import", str(tmp_path), "-o", str(tmp_path.parent / "sorted"), "--skip-bad"])
    printed = capsys.readouterr().out
    assert printed.count("Skipped:") == 1
    assert "49 more problems of this kind (--json lists them)" in printed


def test_a_missing_image_is_named(source: Path, tmp_path: Path) -> None:
    (source / "a.png").unlink()
    with pytest.raises(MissingPictureError, match=r"a\.png(.|\n)*--images"):
        verbs.import_labels(source, tmp_path / "out")


def test_two_images_of_one_name_are_asked_about(tmp_path: Path) -> None:
    for index, day in enumerate(("monday", "tuesday")):
        photo(tmp_path / f"photos/{day}/a.png", index)
    (tmp_path / "in").mkdir()
    labelled(tmp_path / "in/a.png", BOX)
    with pytest.raises(AmbiguousPictureError, match=r"monday(.|\n)*tuesday"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out", images=tmp_path / "photos")
    labelled(tmp_path / "in/a.png", BOX, imagePath="D:\\line 3\\Tuesday\\A.PNG")
    verbs.import_labels(tmp_path / "in", tmp_path / "out", images=tmp_path / "photos")
    (image,) = (tmp_path / "out/defects/dent").iterdir()
    assert image.read_bytes() == (tmp_path / "photos/tuesday/a.png").read_bytes()


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([[0, 0], [60, 40]], "inverted"),
        ([[50, 30], [70, 45]], "leaves the image"),
        ([[5.6, 5.6], [5.9, 5.9]], "no shape covers a pixel"),
    ],
)
def test_odd_shapes_are_told(points: list[list[float]], said: str, source: Path, tmp_path: Path) -> None:
    labelled(source / "a.png", points)
    done = verbs.import_labels(source, tmp_path / "out")
    assert any(said in note for note in done.notes)
    assert done.defects == {"dent": 1}, "a defect image never becomes normal"


def test_the_largest_of_several_types_names_the_image_and_the_mask_has_all(tmp_path: Path) -> None:
    image = labelled(photo(tmp_path / "in/a.png"), BOX)
    document = json.loads(image.with_suffix(".json").read_text())
    document["shapes"].append({"label": "spot", "points": [[30, 30], [33, 33]], "shape_type": "rectangle"})
    document["shapes"].append({"label": "Ignore", "points": [[0, 0], [3, 3]], "shape_type": "rectangle"})
    image.with_suffix(".json").write_text(json.dumps(document))
    done = verbs.import_labels(tmp_path / "in", tmp_path / "out")
    assert done.defects == {"dent": 1}
    assert any("several types" in note for note in done.notes)
    assert read_mask(tmp_path / "out/masks/dent/a.png").sum() == 200 + 9
    assert read_mask(tmp_path / "out/ignored/dent/a.png").sum() == 9


@pytest.mark.parametrize(
    "label", ["../../elsewhere", "..", "/tmp/x", "C:\\x", "a/b", "", " ", "x" * 300, "\x00"]
)
def test_no_label_leads_out_of_the_folder(label: str, source: Path, tmp_path: Path) -> None:
    labelled(source / "a.png", BOX, label=label)
    verbs.import_labels(source, tmp_path / "deep/er/out")
    masks = [path for path in tmp_path.rglob("*.png") if path.parent.parent.name == "masks"]
    assert [path.parent.parent for path in masks] == [tmp_path / "deep/er/out/masks"]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "deep"}


def test_the_same_import_can_be_repeated(source: Path, tmp_path: Path) -> None:
    verbs.import_labels(source, tmp_path / "out")
    before = everything(tmp_path / "out")
    verbs.import_labels(source, tmp_path / "out")
    assert everything(tmp_path / "out") == before


def test_a_corrected_label_replaces_nothing(source: Path, tmp_path: Path) -> None:
    verbs.import_labels(source, tmp_path / "out")
    before = everything(tmp_path / "out")
    labelled(source / "a.png", [[1, 1], [5, 5]])
    labelled(source / "c.png", BOX)
    with pytest.raises(OccupiedError, match=r"masks.dent.a\.png"):
        verbs.import_labels(source, tmp_path / "out")
    assert everything(tmp_path / "out") == before


def test_an_image_does_not_become_normal_and_defective(source: Path, tmp_path: Path) -> None:
    verbs.import_labels(source, tmp_path / "out")
    labelled(source / "b.png", BOX)
    with pytest.raises(NameTakenError, match=r"normal.b\.png"):
        verbs.import_labels(source, tmp_path / "out")


def test_what_cannot_be_written_leaves_nothing(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/masks").write_text("a file where a folder must be")
    with pytest.raises(OutputError):
        verbs.import_labels(source, tmp_path / "out")
    assert set(everything(tmp_path / "out")) == {"masks"}


def test_the_output_is_never_searched_for_images(source: Path) -> None:
    with pytest.raises(NestedFolderError):
        verbs.import_labels(source, source / "parts")


@pytest.mark.parametrize("width", [0.0, -3.0, float("nan"), 1e9])
def test_a_line_has_a_sensible_width(width: float, source: Path, tmp_path: Path) -> None:
    with pytest.raises(LineWidthError):
        verbs.import_labels(source, tmp_path / "out", line_width=width)


def test_formats_that_could_both_be_meant_are_asked_about(source: Path, tmp_path: Path) -> None:
    (source / "b.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(UnknownFormatError, match=r"labelme \(a\.json(.|\n)*yolo \(b\.txt"):
        verbs.import_labels(source, tmp_path / "out")
    assert verbs.import_labels(source, tmp_path / "out", format="labelme").defects == {"dent": 1}
    assert recognise(source) is None


def test_a_format_that_is_not_known_or_not_there_is_said(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"no format is called pascal(.|\n)*voc"):
        verbs.import_labels(source, tmp_path / "out", format="pascal")
    with pytest.raises(NoLabelsError, match="coco"):
        verbs.import_labels(source, tmp_path / "out", format="coco")
    with pytest.raises(LabelFileError, match="not JSON"):
        (source / "d.json").write_text("{")
        verbs.import_labels(source / "d.json", tmp_path / "out")


def test_a_class_without_a_name_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    (tmp_path / "in/classes.txt").write_text("dent\n")
    (tmp_path / "in/a.txt").write_text("3 0 0 0.5 0 0.5 0.5\n")
    with pytest.raises(UnknownClassError, match=r"class 3(.|\n)*0 \(dent\)"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out")


def drawn(path: Path) -> Path:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[5:9, 5:9] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(values).save(path)
    return path


def test_an_image_and_its_mask_that_are_swapped_are_told(tmp_path: Path) -> None:
    photo(tmp_path / "in/a_mask.png")
    drawn(tmp_path / "in/a.png")
    with pytest.raises(SwappedMaskError, match=r"a_mask\.png looks like an image"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out")


def test_two_photographs_of_one_name_are_no_image_and_mask(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png", 1)
    photo(tmp_path / "in/a.jpg", 2)
    with pytest.raises(UnclearMaskError, match=r"a\.jpg and (.|\n)*look alike"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out", format="masks")


def test_a_photograph_among_masks_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "in/images/a.png", 1)
    photo(tmp_path / "in/masks/a.png", 2)
    with pytest.raises(NotAMaskError, match="Save masks as PNG"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out")


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "in/images/a.png", 1, (HEIGHT + 2, WIDTH))
    drawn(tmp_path / "in/masks/a.png")
    with pytest.raises(LabelSizeError, match=r"60 x 40(.|\n)*60 x 42"):
        verbs.import_labels(tmp_path / "in", tmp_path / "out")


def test_inspect_says_how_to_read_what_it_finds(source: Path, tmp_path: Path) -> None:
    assert any(f"flawtrace labels import {source}" in problem for problem in inspect(source).problems)
    photo(tmp_path / "parts/normal/n.png", 9)
    shutil.move(source, tmp_path / "parts/defects")
    found = inspect(tmp_path / "parts")
    assert any("labels of labelme are there" in warning for warning in found.warnings)


def test_defects_without_a_mask_are_not_exported_and_told(source: Path, tmp_path: Path) -> None:
    verbs.import_labels(source, tmp_path / "parts")
    photo(tmp_path / "parts/defects/dent/z.png", 9)
    done = verbs.export_labels(tmp_path / "parts", tmp_path / "out", "coco")
    assert done.images == 2
    assert any("z.png" in note for note in done.notes)


def test_both_commands_print_json(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call(*arguments: object) -> Any:
        with pytest.raises(SystemExit) as stopped:
            main(["labels", *map(str, arguments), "--json"])
        assert not stopped.value.code
        return json.loads(capsys.readouterr().out)

    said = call("import", source, "-o", tmp_path / "parts")
    assert (said["format"], said["normal"], said["defects"]) == ("labelme", 1, {"dent": 1})
    assert call("export", tmp_path / "parts", "-o", tmp_path / "out", "--format", "yolo")["images"] == 2


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same product in every format that is written."""
    root = tmp_path_factory.mktemp("exports")
    labelled(photo(root / "in/a.png", 1), BOX)
    labelled(photo(root / "in/b.png", 2))
    verbs.import_labels(root / "in", root / "parts")
    for form in WRITERS:
        verbs.export_labels(root / "parts", root / form, form)
    return root


OF_TEXT = ("*.json", "*.xml", "*.txt", "*.yaml")
PIECES = (b"null", b"-1", b"1e999", b"NaN", b'""', b"[]", b"{}", b"9" * 25, b"\xff", b"<", b"0 0")


@settings(max_examples=60)
@given(
    form=st.sampled_from(sorted(WRITERS)),
    cut=st.tuples(st.integers(0, 400), st.integers(0, 40), st.sampled_from(PIECES)),
)
def test_damaged_labels_are_refused_by_name(
    form: str, cut: tuple[int, int, bytes], exports: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    start, length, piece = cut
    place = tmp_path_factory.mktemp("damaged")
    shutil.copytree(exports / form, place / "in")
    for path in sorted(file for kind in OF_TEXT for file in (place / "in").rglob(kind)):
        content = path.read_bytes()
        path.write_bytes(content[:start] + piece + content[start + length :])
    try:
        verbs.import_labels(place / "in", place / "out", format=form)
    except FlawtraceError:
        assert not (place / "out").exists()
