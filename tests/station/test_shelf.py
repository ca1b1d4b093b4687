"""Images are kept by content, labelled, filtered and never lost."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flawtrace.data import read_category
from flawtrace.pictures.errors import ImageError
from flawtrace.pictures.images import image_size, mask_file_content
from flawtrace.pictures.mask_files import read_mask
from flawtrace.station.errors import (
    MaskShapeError,
    NoImageError,
    NotAnArchiveError,
    StaleMaskError,
    TooMuchError,
)
from flawtrace.station.store import intake
from flawtrace.station.store.history import append
from flawtrace.station.store.shelf import (
    add_image,
    cards,
    counts,
    hashes,
    image_row,
    label,
    labelled,
    neighbours,
)
from flawtrace.station.store.strokes import NO_MASK, save_mask, tag
from flawtrace.station.store.tables import EntryRow
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.work.parts import lay_out
from flawtrace.station.work.station import overrule


def mask_of_size(height: int, width: int, *, marked: bool = True) -> bytes:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[2:6, 3:9] = marked
    return mask_file_content(mask)


def test_an_image_is_added_once(workspace: Workspace, photos: Path) -> None:
    content = sorted(photos.rglob("*.png"))[0].read_bytes()
    first, new = add_image(workspace, content, "a.png")
    again, anew = add_image(workspace, content, "other name.jpg")
    assert (new, anew) == (True, False)
    assert again.hash == first.hash
    assert again.name == "a.png"
    assert workspace.image_file(again).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + b"0" * 50])
def test_what_is_no_image_leaves_nothing(workspace: Workspace, content: bytes) -> None:
    with pytest.raises(ImageError):
        add_image(workspace, content, "a.png")
    assert [path for path in (workspace.root / "images").rglob("*") if path.is_file()] == []
    with workspace.database.reading() as session:
        assert counts(session)["all"] == 0


def test_a_name_is_never_a_path(workspace: Workspace, photos: Path) -> None:
    content = sorted(photos.rglob("*.png"))[0].read_bytes()
    row, _ = add_image(workspace, content, "../../../etc/passwd")
    assert workspace.image_file(row).is_relative_to(workspace.root / "images")


def test_filters_count_what_they_show(workspace: Workspace, photos: Path) -> None:
    added = [
        add_image(workspace, file.read_bytes(), file.name)[0].hash
        for file in sorted(photos.rglob("*.png"))[:5]
    ]
    with workspace.database.writing() as session:
        label(session, added[0], "normal")
        label(session, added[1], "defect", "scratch")
        said = {"verdict": "DEFECT", "who": "", "why": "", "checksum": "", "thresholds": "{}", "traits": "{}"}
        append(session, EntryRow(image=added[2], **said))
        overrule(session, added[2], "OK", who="Ada", why="dust")
    with workspace.database.reading() as session:
        found = counts(session)
        assert found == {
            "all": 5,
            "unlabelled": 2,
            "normal": 2,
            "defect": 1,
            "unpainted": 1,
            "unsure": 0,
            "overruled": 1,
            "aside": 0,
        }
        for name, count in found.items():
            assert len(cards(session, name)) == count
        assert [card.image.hash for card in cards(session, "all", limit=2, start=1)] == added[3:1:-1]


def test_names_are_searched_for_as_they_are_written(workspace: Workspace, photos: Path) -> None:
    for file, name in zip(
        sorted(photos.rglob("*.png")), ["Cam_1 🙂.png", "cam%2.png", "camX1.png"], strict=False
    ):
        add_image(workspace, file.read_bytes(), name)
    with workspace.database.reading() as session:
        for find, names in {
            "CAM": {"Cam_1 🙂.png", "cam%2.png", "camX1.png"},
            "m_1": {"Cam_1 🙂.png"},
            "%": {"cam%2.png"},
            "🙂": {"Cam_1 🙂.png"},
            "other": set(),
        }.items():
            found = cards(session, find=find)
            assert {card.image.name for card in found} == names
            assert [card.image.hash for card in found] == hashes(session, find=find)
            assert counts(session, find=find)["all"] == len(names)


def test_neighbours_follow_the_order_of_the_grid(workspace: Workspace, photos: Path) -> None:
    for file in sorted(photos.rglob("*.png"))[:4]:
        add_image(workspace, file.read_bytes(), file.name)
    with workspace.database.reading() as session:
        order = [card.image.hash for card in cards(session)]
        for place, image in enumerate(order):
            before, after = neighbours(session, image, "all")
            assert before == (order[place - 1] if place else None)
            assert after == (order[place + 1] if place + 1 < len(order) else None)


def test_a_mask_is_kept_as_it_was_painted(workspace: Workspace, image: str) -> None:
    with workspace.database.reading() as session:
        row = image_row(session, image)
    content = mask_of_size(row.height, row.width)
    saved = save_mask(workspace, image, content, NO_MASK, "scratch")
    with workspace.database.reading() as session:
        row = image_row(session, image)
    assert (row.kind, row.defect_type, tag(row)) == ("defect", "scratch", saved)
    mask = read_mask(workspace.mask_file(saved))
    assert mask.sum() == 24
    assert mask[2:6, 3:9].all()


def test_who_began_with_an_older_mask_is_told(workspace: Workspace, image: str) -> None:
    with workspace.database.reading() as session:
        row = image_row(session, image)
    first = save_mask(workspace, image, mask_of_size(row.height, row.width), NO_MASK)
    other = torch.ones(row.height, row.width, dtype=torch.bool)
    with pytest.raises(StaleMaskError):
        save_mask(workspace, image, mask_file_content(other), NO_MASK)
    with workspace.database.reading() as session:
        assert tag(image_row(session, image)) == first
    save_mask(workspace, image, mask_file_content(other), first)
    assert workspace.mask_file(first).exists(), "the older mask is kept, too"


def test_an_empty_mask_takes_the_mask_away(workspace: Workspace, image: str) -> None:
    with workspace.database.reading() as session:
        row = image_row(session, image)
    first = save_mask(workspace, image, mask_of_size(row.height, row.width), NO_MASK)
    assert save_mask(workspace, image, mask_of_size(row.height, row.width, marked=False), first) == NO_MASK


def test_a_mask_of_another_size_is_refused(workspace: Workspace, image: str) -> None:
    with pytest.raises(MaskShapeError, match="Expected"):
        save_mask(workspace, image, mask_of_size(20, 30), NO_MASK)


def test_what_is_said_about_an_image_never_costs_its_mask(workspace: Workspace, image: str) -> None:
    with workspace.database.reading() as session:
        row = image_row(session, image)
    painted = save_mask(workspace, image, mask_of_size(row.height, row.width), NO_MASK)
    for kind in ("normal", "unlabelled", "aside", "defect"):
        with workspace.database.writing() as session:
            label(session, image, kind)
    with workspace.database.reading() as session:
        assert image_row(session, image).mask == painted


def test_what_is_set_aside_is_neither_shown_nor_learnt_from(workspace: Workspace, image: str) -> None:
    with workspace.database.writing() as session:
        label(session, image, "aside")
    with workspace.database.reading() as session:
        assert {name for name, count in counts(session).items() if count} == {"aside"}
        assert labelled(session) == []


def test_an_archive_keeps_its_labels_whatever_lies_beside_them(workspace: Workspace, tmp_path: Path) -> None:
    parts = {f"parts/{kind}/{number}.png": picture(number) for number, kind in enumerate(["normal"] * 3)}
    packed = archive(tmp_path / "a.zip", {**parts, "__MACOSX/parts/normal/._1.png": b"x", "readme.txt": b"x"})
    intake.unpack(packed, tmp_path / "inside")
    assert [one.state for one in intake.take_folder(workspace, tmp_path / "inside")] == ["added"] * 3
    with workspace.database.reading() as session:
        assert counts(session)["normal"] == 3


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.zip", {"1.png": bytes(range(256)) * 40}).read_bytes()
    at = whole.index(b"1.png") + len("1.png")
    (tmp_path / "a.zip").write_bytes(whole[:at] + b"\xff" * 9 + whole[at + 9 :])
    with pytest.raises(NotAnArchiveError):
        intake.unpack(tmp_path / "a.zip", tmp_path / "inside")


def test_what_the_station_cannot_keep_of_a_product_is_told(
    workspace: Workspace, photos: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(photos, tmp_path / "photos")
    image = sorted((photos / "test/hole").glob("*.png"))[0]
    for name in ("region.png", f"ignored/hole/{image.name}"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", image_size(image)[::-1], 255).save(photos / name)
    taken = {one.name: one for one in intake.take_folder(workspace, photos)}
    assert "region of interest: flawtrace train" in taken["region.png"].message
    doubtful = taken[f"test/hole/{image.name}"]
    assert (doubtful.state, doubtful.message) == ("added", intake.NOT_LABELLED)
    with workspace.database.reading() as session:
        assert doubtful.hash is not None
        assert image_row(session, doubtful.hash).kind == "unlabelled"


def test_an_unknown_image_is_told(workspace: Workspace) -> None:
    with workspace.database.reading() as session, pytest.raises(NoImageError):
        image_row(session, "0" * 64)


def test_a_product_brings_its_labels_and_keeps_ours(workspace: Workspace, photos: Path) -> None:
    mine = sorted((photos / "test/hole").glob("*.png"))[0]
    row, _ = add_image(workspace, mine.read_bytes(), mine.name)
    with workspace.database.writing() as session:
        label(session, row.hash, "normal")
    taken = list(intake.take_folder(workspace, photos))
    category = read_category(photos)
    assert {one.state for one in taken} == {"added", "known"}
    with workspace.database.reading() as session:
        found = counts(session)
        assert image_row(session, row.hash).kind == "normal"
    assert found["defect"] == len(category.anomalous) - 1
    assert found["normal"] == len(category.normal) + len(category.test_normal) + 1


def test_what_was_taken_in_can_be_trained_on(workspace: Workspace, photos: Path, tmp_path: Path) -> None:
    list(intake.take_folder(workspace, photos))
    with workspace.database.reading() as session:
        rows = [card.image for card in cards(session, limit=1000)]
    lay_out(workspace, rows, tmp_path / "parts")
    again, before = read_category(tmp_path / "parts"), read_category(photos)
    assert len(again.anomalous) == len(before.anomalous)
    assert len(again.normal) + len(again.test_normal) == len(before.normal) + len(before.test_normal)
    assert {s.defect_type for s in again.anomalous} == {s.defect_type for s in before.anomalous}
    found = sum(int(read_mask(sample.mask).sum()) for sample in again.anomalous if sample.mask)
    assert found == sum(int(read_mask(sample.mask).sum()) for sample in before.anomalous if sample.mask)


def test_a_broken_file_does_not_stop_the_others(workspace: Workspace, tmp_path: Path) -> None:
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    states = {one.name: one for one in intake.take_folder(workspace, tmp_path)}
    assert states["good.png"].state == "added"
    assert states["bad.png"].state == "refused"
    assert str(workspace.root) not in states["bad.png"].message


def picture(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (32, 32), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def archive(file: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file


def test_an_archive_stays_in_its_folder(tmp_path: Path) -> None:
    packed = archive(
        tmp_path / "a.zip", {"../../evil.png": b"1", "/abs/x.png": b"2", "a\\..\\..\\b.png": b"3"}
    )
    intake.unpack(packed, tmp_path / "inside")
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["a.zip", "inside/a/b.png", "inside/abs/x.png", "inside/evil.png"]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    packed = archive(tmp_path / "bomb.zip", {"zeros.png": b"\0" * 50_000_000})
    with pytest.raises(TooMuchError):
        intake.unpack(packed, tmp_path / "inside")
    assert not (tmp_path / "inside").exists()


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_FILES", 2)
    packed = archive(tmp_path / "many.zip", {f"{number}.png": b"1" for number in range(3)})
    with pytest.raises(TooMuchError, match="2 files"):
        intake.unpack(packed, tmp_path / "inside")


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 and then nothing")
    with pytest.raises(NotAnArchiveError):
        intake.unpack(tmp_path / "a.zip", tmp_path / "inside")
