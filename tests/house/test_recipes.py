"""The programs in docs/programs.md run as they stand, and say what flawtrace says."""

import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import flawtrace

PROGRAMS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/programs.md").read_text(), re.DOTALL
)


def program(word: str) -> str:
    (found,) = (text for text in PROGRAMS if word in text)
    return str(found)


@pytest.fixture
def place(run: Path, category: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "run")
    shutil.copy(next((category / "test/hole").glob("*.png")), "part.png")
    return tmp_path


def test_one_picture_and_thresholds(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(program("found.anomaly_map.shape"), names)
    exec(program("with_threshold"), names)
    assert names["detector"].thresholds.defect == 0.2
    exec(program("flawtrace.decide"), names)
    assert flawtrace.load("run").thresholds.defect == 0.4
    assert names["found"].verdict in capsys.readouterr().out


def test_a_camera_loop(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [np.asarray(Pillow.open("part.png").convert("RGB"))[..., ::-1]] * 3
    answers = iter([*((True, frame) for frame in frames), (False, None)])
    camera = SimpleNamespace(read=lambda: next(answers))
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(VideoCapture=lambda _: camera))
    exec(program("VideoCapture"), {})
    found = flawtrace.load("run").predict("part.png")
    line = "" if found.verdict == "OK" else f"{found.verdict} {round(found.score, 3)}\n"
    assert capsys.readouterr().out == 3 * line


@pytest.mark.parametrize("word", ["onnxruntime.InferenceSession", "compile_model"])
def test_a_program_of_ten_lines_without_flawtrace(
    place: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package, reason="the extras `export` and `openvino` are not installed")
    shutil.copy(request.getfixturevalue("from_camera"), "camera.onnx")
    shutil.copy(request.getfixturevalue("exported").file, "run/detector.onnx")
    text = program(word)
    assert len([line for line in text.splitlines() if line]) <= 10
    assert "flawtrace" not in text
    exec(text, {})
    verdict, score, _ = capsys.readouterr().out.split()
    detector = flawtrace.Detector.load("run")
    found = detector.predict("part.png")
    assert verdict == detector.thresholds.verdict(found.score)
    assert float(score) == pytest.approx(found.score, abs=1e-3)
