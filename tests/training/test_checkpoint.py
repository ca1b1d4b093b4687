import errno
import os
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from flawtrace.ground.errors import DamagedFileError, OutputError
from flawtrace.ground.files import (
    LOCK_NAME,
    append_json,
    locked,
    read_json,
    read_jsonl,
    write_bytes,
    write_json,
)
from flawtrace.training.checkpoint import Checkpoint, pack, unpack
from flawtrace.training.errors import CheckpointError

State = dict[str, Any]
SaveAndLoad = Callable[[State], State]

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.text() | st.integers()
trees = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=12)


@given(st.dictionaries(st.text(), trees))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plain_values_come_back_as_they_were(saved: SaveAndLoad, state: State) -> None:
    assert saved(state) == state


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.half, torch.bfloat16, torch.uint8, torch.int64, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0, 2), (3, 4)])
def test_a_tensor_comes_back_with_its_type_and_shape(
    saved: SaveAndLoad, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    tensor = (torch.rand(shape) * 5).to(dtype)
    back = saved({"deep": [{"tensor": tensor}]})["deep"][0]["tensor"]
    assert (back.dtype, back.shape) == (dtype, shape)
    assert back.equal(tensor)


def test_numbers_that_are_not_finite_come_back(saved: SaveAndLoad) -> None:
    assert str(saved({"values": [float("nan"), float("inf"), -0.0]})["values"]) == "[nan, inf, -0.0]"


def test_tensors_that_share_memory_come_back_apart(saved: SaveAndLoad) -> None:
    whole = torch.arange(6.0)
    back = saved({"whole": whole, "again": whole, "part": whole[::2]})
    assert back["part"].tolist() == [0, 2, 4]
    back["whole"].zero_()
    assert back["again"].equal(whole)


def test_keys_that_look_like_our_marks_come_back(saved: SaveAndLoad) -> None:
    state = {"tensor": "0", "pairs": [["tensor", {"tensor": 1}]]}
    assert saved(state) == state


def test_a_packed_state_does_not_follow_later_changes(tmp_path: Path) -> None:
    tensor = torch.ones(2)
    packed = pack({"tensor": tensor})
    tensor.zero_()
    (tmp_path / "file").write_bytes(packed)
    assert unpack(tmp_path / "file")["tensor"].tolist() == [1, 1]


def test_the_state_of_an_optimizer_comes_back(saved: SaveAndLoad) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    one, other = torch.optim.AdamW([weight]), torch.optim.AdamW([weight])
    weight.sum().backward()
    one.step()
    other.load_state_dict(saved(one.state_dict()))
    assert other.state[weight]["exp_avg"].equal(one.state[weight]["exp_avg"])


def test_a_generator_goes_on_from_a_file(saved: SaveAndLoad, rng: torch.Generator) -> None:
    other = torch.Generator()
    other.set_state(saved({"rng": rng.get_state()})["rng"])
    assert torch.rand(5, generator=other).equal(torch.rand(5, generator=rng))


def damaged(name: str) -> bytes:
    whole = pack({"tensor": torch.ones(100), "number": 1})
    foreign: dict[str, Tensor] = {"tensor": torch.ones(2)}
    return {
        "empty": b"",
        "text": b"not a checkpoint",
        "cut short": whole[:-10],
        "cut in the header": whole[:20],
        "without metadata": safetensors.torch.save(foreign),
        "with other metadata": safetensors.torch.save(foreign, metadata={"format": "pt"}),
        "with broken JSON": safetensors.torch.save(foreign, metadata={"tree": "{"}),
        "without its tensor": safetensors.torch.save({}, metadata={"tree": '{"tensor": "0"}'}),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "text",
        "cut short",
        "cut in the header",
        "without metadata",
        "with other metadata",
        "with broken JSON",
        "without its tensor",
    ],
)
def test_a_damaged_or_foreign_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "state").write_bytes(damaged(name))
    with pytest.raises(CheckpointError, match="state"):
        unpack(tmp_path / "state")


def test_no_checkpoint_is_no_state(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "none").read() is None


def test_a_checkpoint_is_not_written_before_its_interval(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "state").offer(lambda: {"number": 1})
    assert not (tmp_path / "state").exists()


def test_a_checkpoint_is_written_after_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flawtrace.training.checkpoint.INTERVAL", 0.0)
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.offer(lambda: {"number": 1})
    assert checkpoint.read() == {"number": 1}


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "file", b"old")
    write_bytes(tmp_path / "new" / "file", b"new")
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {"file": b"new"}


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OutputError, match="inside"):
        write_bytes(tmp_path / "file" / "inside", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_what_cannot_be_replaced_is_named_and_stays(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match="folder"):
        write_bytes(tmp_path / "folder", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_need_not_sync_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    sync = os.fsync

    def refused(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(OutputError) if code == errno.EIO else nullcontext():
        write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_what_a_killed_writer_left_is_cleared_away_by_the_next_at_work(tmp_path: Path) -> None:
    for name in ("maps", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".a.tiff.x7_abcde.part").touch()
    (tmp_path / ".download.part").touch()
    (tmp_path / ".folder.x7_abcde.part").mkdir()
    with locked(tmp_path, "maps"):
        left = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file())
        assert left == [".download.part", LOCK_NAME, "others/.a.tiff.x7_abcde.part"]


def test_an_unfinished_last_line_is_passed_over(tmp_path: Path) -> None:
    append_json(tmp_path / "log", {"row": 1})
    with (tmp_path / "log").open("a") as file:
        file.write('{"row": 2')
    assert list(read_jsonl(tmp_path / "log")) == [{"row": 1}]


def test_a_row_after_an_unfinished_line_does_not_lose_itself_in_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"row": 1}\n{"row": 2')
    append_json(tmp_path / "log", {"row": 3})
    assert list(read_jsonl(tmp_path / "log")) == [{"row": 1}, {"row": 3}]


def test_a_last_row_without_an_end_of_line_is_kept(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"row": 1}\n{"row": 2}')
    assert list(read_jsonl(tmp_path / "log")) == [{"row": 1}, {"row": 2}]
    append_json(tmp_path / "log", {"row": 3})
    assert list(read_jsonl(tmp_path / "log")) == [{"row": 1}, {"row": 2}, {"row": 3}]


def test_a_log_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert list(read_jsonl(tmp_path / "log")) == []


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    rows = [{"row": 1, "text": "one\nline\u2028é"}, {"row": 2, "none": None}]
    for row in rows:
        append_json(tmp_path / "log", row)
    assert list(read_jsonl(tmp_path / "log")) == rows


def test_a_json_document_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"number": 0.1, "text": "é"})
    assert read_json(tmp_path / "file") == {"number": 0.1, "text": "é"}


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", None])
def test_a_damaged_or_missing_document_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(DamagedFileError, match="file"):
        read_json(tmp_path / "file")


def test_a_tensor_comes_back_in_the_same_layout(saved: SaveAndLoad) -> None:
    tensor = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert saved({"tensor": tensor})["tensor"].stride() == tensor.stride()
