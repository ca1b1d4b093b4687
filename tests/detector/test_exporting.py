"""An exported detector says what the original says, or is not written."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace import verbs
from flawtrace.detector import runtime
from flawtrace.detector.artefact import Detector
from flawtrace.detector.comparing import Compared
from flawtrace.detector.decision import VERDICTS
from flawtrace.detector.errors import (
    DamagedDetectorError,
    ForeignDetectorError,
    MissingExtraError,
    NothingToCompareError,
    OutdatedExportError,
    UnfaithfulExportError,
    WrongRuntimeError,
)
from flawtrace.detector.exporting import Export, export_onnx
from flawtrace.detector.facts import Facts
from flawtrace.detector.interface import OUTPUTS, takes_bytes, with_bytes, with_floats
from flawtrace.detector.runtime import OnnxDetector, OpenvinoDetector, installed, load
from flawtrace.detector.seal import OPEN, sealed
from flawtrace.detector.stages import STAGES
from flawtrace.ground.errors import SettingsError
from flawtrace.ground.groups import RuntimeName
from flawtrace.ground.presets import load_config
from flawtrace.method.encoder import Features
from flawtrace.pictures.region import inside
from flawtrace.verbs import loading

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")


@pytest.fixture(scope="module", autouse=True)
def unchecked() -> Iterator[None]:
    """Shapes are symbols while a detector is translated; the checks of all other tests want numbers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(params=["onnx", "openvino"])
def elsewhere(exported: Export, request: pytest.FixtureRequest) -> OnnxDetector | OpenvinoDetector:
    """The exported detector in either runtime."""
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    loaded = load(exported.file, request.param)
    assert not isinstance(loaded, Detector)
    return loaded


def test_the_labelled_images_of_the_run_are_compared(exported: Export) -> None:
    assert exported.num_images == 6
    assert exported.differences["onnx"] < 1e-5
    assert exported.largest_difference == max(exported.differences.values())
    assert exported.bytes == exported.file.stat().st_size


@pytest.mark.parametrize("size", [(64, 64), (40, 200), (301, 97)])
def test_a_runtime_says_what_the_original_says(
    elsewhere: OnnxDetector | OpenvinoDetector, run: Path, size: tuple[int, int]
) -> None:
    """On noise, whose resized values lie at the edge of half precision's steps more often than pictures'."""
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    ours, theirs = Detector.load(run).predict(image), elsewhere.predict(image)
    assert theirs.anomaly_map.allclose(ours.anomaly_map, atol=1e-3)
    assert theirs.score == pytest.approx(ours.score, abs=1e-3)
    assert theirs.anomaly_map.shape == size


@pytest.mark.slow
def test_the_region_of_interest_ends_at_the_same_pixel_in_any_runtime(run: Path, tmp_path: Path) -> None:
    """An export that differed anywhere, at any of several sizes, would be refused."""
    detector, image = Detector.load(run), torch.rand(3, 150, 90)
    slanted = (((0.0, 0.0), (0.9, 0.0), (0.6, 1.0), (0.0, 1.0)),)
    detector.config = detector.config.model_copy(update={"region": slanted})
    file = export_onnx(detector, tmp_path / "slanted.onnx", [image]).file
    expected = detector.predict(image).anomaly_map
    outside = ~inside(slanted, 150, 90)
    for name in installed():
        found = load(file, name).predict(image).anomaly_map
        assert not found[outside].any()
        assert found.allclose(expected, atol=1e-3)
        assert ((found > 0) == (expected > 0)).all()


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_exported_network_looks_from_both_sides(tmp_path: Path) -> None:
    small = {"autoencoder": {"width": 8, "stages": 2}, "predictor": {"width": 4, "members": 1}}
    settings = small | {"image_side": 128, "profile.length": 2}
    both, once = (
        Detector.untrained(
            load_config(settings=settings | {"orientations": number}), Facts(0.5, {}, (), "", {})
        )
        for number in (2, 1)
    )
    coarse = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(coarse, size=128, mode="bilinear")
    both.reader.encoder = Features(ways=(0, 2))
    both.reader.encoder.calibrate(images)
    once.load_state_dict(both.state_dict())
    exported = load(export_onnx(both, tmp_path / "both.onnx", [*images]).file)
    said = exported.predict(images[0]).anomaly_map
    assert said.allclose(both.predict(images[0]).anomaly_map, atol=1e-4)
    assert not said.allclose(once.predict(images[0]).anomaly_map, atol=1e-3)


def in_onnxruntime(file: Path, images: np.ndarray[Any, Any]) -> dict[str, Any]:
    session = pytest.importorskip("onnxruntime").InferenceSession(file)
    return dict(zip(OUTPUTS, session.run([*OUTPUTS], {"images": images}), strict=True))


def in_openvino(file: Path, images: np.ndarray[Any, Any]) -> dict[str, Any]:
    core = pytest.importorskip("openvino").Core()
    model = core.compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model(images)
    return {name: found[name] for name in OUTPUTS}


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 64), (40, 200), (301, 97)])
@pytest.mark.parametrize("other", [in_onnxruntime, in_openvino])
def test_a_program_without_flawtrace_gets_the_same_at_any_size(
    exported: Export,
    from_camera: Path,
    run: Path,
    size: tuple[int, int],
    other: Callable[[Path, np.ndarray[Any, Any]], dict[str, Any]],
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, *size, 3), dtype=np.uint8, endpoint=True)
    floats = np.moveaxis(images, -1, 1).astype(np.float32) / 255
    expected = Detector.load(run).predict_all(images)
    for said in (other(exported.file, floats), other(from_camera, images)):
        for index, ours in enumerate(expected):
            assert torch.from_numpy(said["map"][index]).allclose(ours.anomaly_map, atol=2e-5)
            assert float(said["score"][index]) == pytest.approx(ours.score, abs=1e-3)


def test_flawtrace_gives_a_file_for_bytes_all_bits_of_an_image(from_camera: Path, run: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65535, (50, 70, 3), dtype=np.uint16)
    expected = Detector.load(run).predict(deep).anomaly_map
    for name in installed():
        assert load(from_camera, name).predict(deep).anomaly_map.allclose(expected, atol=1e-5)


def test_bytes_at_the_entrance_come_off_again(exported: Export) -> None:
    model, before = onnx.load(exported.file), onnx.load(exported.file)
    with_floats(model)
    assert model == before
    with_bytes(model)
    onnx.checker.check_model(model)
    assert takes_bytes(model)
    with_floats(model)
    assert list(model.graph.node) == list(before.graph.node)
    assert model.graph.input[0].type == before.graph.input[0].type


def test_an_exported_file_explains_itself(exported: Export, from_camera: Path, run: Path) -> None:
    floats, whole = onnx.load(exported.file), onnx.load(from_camera)
    axes = {value.name: axes_of(value) for value in (*floats.graph.input, *floats.graph.output)}
    pixels = ["batch", "height", "width"]
    assert axes == {
        "images": ["batch", 3, "height", "width"],
        "map": pixels,
        "mask": pixels,
        "score": ["batch"],
        "verdict": ["batch"],
    }
    assert axes_of(whole.graph.input[0]) == [*pixels, 3]
    assert "RGB, from 0 (black) to 1 (white)" in floats.graph.input[0].doc_string
    assert "RGB, from 0 (black) to 255 (white)" in whole.graph.input[0].doc_string
    for value in (*floats.graph.input, *floats.graph.output):
        assert f"{value.name}: {value.doc_string}." in floats.doc_string
    said = {entry.key: entry.value for entry in floats.metadata_props}
    assert json.loads(said["thresholds"]) == vars(Detector.load(run).thresholds)


def axes_of(value: Any) -> list[str | int]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def test_what_decide_stores_in_a_file_is_told_by_its_metadata(exported: Export, tmp_path: Path) -> None:
    file = tmp_path / "copy.onnx"
    shutil.copy(exported.file, file)
    verbs.decide(file, threshold=0.25)
    said = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert json.loads(said["thresholds"]) == vars(load(file).thresholds)
    assert json.loads(said["thresholds"])["defect"] == 0.25


@pytest.fixture
def exported_run(run: Path, exported: Export, tmp_path: Path) -> Path:
    """A run in which its exported file lies."""
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.copy(exported.file, copy / "detector.onnx")
    return copy


def test_the_fastest_runtime_that_is_installed_runs_a_run(
    exported_run: Path, run: Path, category: Path
) -> None:
    image = torch.rand(3, 70, 50)
    assert [verbs.load(place).runtime for place in (run, exported_run)] == ["torch", installed()[0]]
    named = ("torch", *installed())
    assert tuple(verbs.load(exported_run, runtime=name).runtime for name in named) == named
    found, expected = verbs.load(exported_run).predict(image), Detector.load(run).predict(image)
    assert found.anomaly_map.allclose(expected.anomaly_map, atol=1e-5)
    rows = verbs.predict(exported_run, [category / "test" / "good"])
    assert {row.runtime for row in rows} == {installed()[0]}


def test_a_threshold_decided_after_the_export_counts_in_any_runtime(exported_run: Path) -> None:
    verbs.decide(exported_run, threshold=0.125)
    detector = verbs.load(exported_run)
    assert (detector.runtime, detector.thresholds.defect) == (installed()[0], 0.125)


def test_what_is_decided_in_a_run_reaches_programs_that_know_its_exported_file_alone(
    exported_run: Path, tmp_path: Path
) -> None:
    verbs.decide(exported_run, threshold=0.125)
    alone = shutil.copy(exported_run / "detector.onnx", tmp_path / "alone.onnx")
    assert load(alone).thresholds == Detector.load(exported_run).thresholds
    (stored,) = [one for one in onnx.load(alone).graph.initializer if one.name == "defect"]
    assert onnx.numpy_helper.to_array(stored) == 0.125


def test_the_exported_file_of_another_detector_never_stands_in(exported_run: Path) -> None:
    detector = Detector.load(exported_run)
    next(detector.members.parameters()).add_(1e-3)
    detector.save(exported_run / "detector.safetensors")
    assert verbs.load(exported_run).runtime == "torch"


def test_another_threshold_for_one_program_is_given_on_loading(exported_run: Path, run: Path) -> None:
    for place in (run, exported_run):
        detector = verbs.load(place, threshold=0.125)
        assert detector.thresholds.defect == 0.125
        assert detector.thresholds.unsure <= 0.125
        with pytest.raises(SettingsError, match="7 is not between 0 and 1"):
            verbs.load(place, threshold=7)


def test_exported_files_run_on_no_other_device(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "ready", torch.device)
    with pytest.raises(SettingsError, match="run on the processor"):
        verbs.load(exported.file, device="cuda")


def test_a_damaged_file_never_stands_in(exported_run: Path) -> None:
    file = exported_run / "detector.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    assert verbs.load(exported_run).runtime == "torch"


def test_a_damaged_run_is_not_hidden_by_its_exported_file(exported_run: Path) -> None:
    file = exported_run / "detector.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedDetectorError):
        verbs.load(exported_run)


def test_every_kind_of_picture_is_judged_alike(elsewhere: OnnxDetector | OpenvinoDetector) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 64, 3), dtype=np.uint8)
    expected = elsewhere.predict(torch.from_numpy(pixels).permute(2, 0, 1) / 255).anomaly_map
    assert torch.equal(elsewhere.predict(pixels).anomaly_map, expected)
    assert torch.equal(elsewhere.predict(pixels[..., ::-1], order="bgr").anomaly_map, expected)
    assert all(torch.equal(found.anomaly_map, expected) for found in elsewhere.predict_all([pixels, pixels]))


def test_an_image_is_judged_alone(elsewhere: OnnxDetector | OpenvinoDetector) -> None:
    images = torch.rand(3, 3, 64, 64)
    alone = [elsewhere.answer(image[None]) for image in images]
    maps, scores = elsewhere.answer(images)
    assert maps.allclose(torch.cat([each for each, _ in alone]), atol=1e-5)
    assert scores.allclose(torch.cat([each for _, each in alone]), atol=1e-5)


def test_an_exported_detector_knows_its_facts(elsewhere: OnnxDetector | OpenvinoDetector, run: Path) -> None:
    original = Detector.load(run)
    assert (elsewhere.facts, elsewhere.config) == (original.facts, original.config)


@pytest.mark.parametrize("score", ["evidence", "maximum"])
def test_the_whole_detector_in_one_piece_is_the_detector(run: Path, score: str) -> None:
    detector, image = Detector.load(run), torch.rand(3, 90, 50)
    detector.config = detector.config.model_copy(update={"score": score})
    (maps, masks, scores, verdicts), found = detector(image[None]), detector.predict(image)
    assert maps[0].allclose(found.anomaly_map, atol=1e-4)  # two ways of resampling: 7e-6 in 300 images
    shown = found.score >= detector.thresholds.unsure
    assert (masks[0] == ((maps[0] >= detector.thresholds.outline) & shown)).all()
    assert scores.item() == pytest.approx(found.score, abs=1e-4)
    assert VERDICTS[int(verdicts)] == detector.thresholds.verdict(found.score)


@pytest.mark.parametrize(("threshold", "verdict"), [(0.0, "DEFECT"), (1.0, "UNSURE")])
def test_thresholds_of_an_exported_file_change_without_exporting_again(
    exported: Export, tmp_path: Path, threshold: float, verdict: str
) -> None:
    """In the graph itself, so that programs which know nothing of flawtrace decide by them as well."""
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "copy.onnx"
    shutil.copy(exported.file, file)
    verbs.decide(file, threshold=threshold)
    loaded = load(file)
    assert loaded.thresholds.defect == threshold
    image = torch.rand(1, 3, 64, 64)
    session = onnxruntime.InferenceSession(file)
    maps, masks, scores, verdicts = session.run(None, {"images": image.numpy()})
    allowed = loaded.thresholds.verdict(float(scores[0]))
    assert VERDICTS[int(verdicts[0])] == allowed
    assert allowed in (verdict, "OK")
    assert (masks == ((maps >= loaded.thresholds.outline) & (allowed != "OK"))).all()


@pytest.mark.exhaustive
@pytest.mark.slow
def test_thresholds_that_equal_each_other_or_other_constants_stay_apart(
    category: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    """The exporter merges constants of equal value: rewriting one of them would change the others."""
    verbs.train(category, tmp_path / "run", settings=tiny | {"predictor.members": 1})
    detector = Detector.load(tmp_path / "run")
    decision = {"peak": 0.0, "unsure": 1.0, "defect": 1.0}
    detector.decide_by(replace(detector.facts, threshold=0.0, decision=decision))
    image = torch.rand(1, 3, 64, 64)
    file = export_onnx(detector, tmp_path / "decided.onnx", [image[0]]).file
    before = load(file).answer(image)
    verbs.decide(file, threshold=0.7)
    loaded = load(file)
    after = loaded.answer(image)
    assert loaded.thresholds.defect == 0.7
    assert all(ours.equal(theirs) for ours, theirs in zip(before, after, strict=True))


def test_an_export_of_an_earlier_version_keeps_its_thresholds_and_says_so(
    exported: Export, tmp_path: Path
) -> None:
    model = onnx.load(exported.file)
    for initializer in model.graph.initializer:
        initializer.name = initializer.name.replace("unsure", "constant")
    for node in model.graph.node:
        node.input[:] = [name.replace("unsure", "constant") for name in node.input]
    for entry in model.metadata_props:
        entry.value = OPEN if entry.key == "seal" else entry.value
    file = tmp_path / "old.onnx"
    file.write_bytes(sealed(model.SerializeToString()))
    before = file.read_bytes()
    with pytest.raises(OutdatedExportError, match="export that again"):
        verbs.decide(file, threshold=0.5)
    assert file.read_bytes() == before


def test_a_detector_that_comes_out_wrong_is_not_written(
    run: Path, export: Callable[..., Export], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest: Callable[..., tuple[torch.Tensor, torch.Tensor]] = OnnxDetector.answer

    def wrong(self: OnnxDetector, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps, scores = honest(self, images)
        return maps + 0.01, scores

    monkeypatch.setattr(OnnxDetector, "answer", wrong)
    with pytest.raises(UnfaithfulExportError, match=r"64 x 64 pixels, maps differ by 0\.01"):
        export(run, tmp_path / "wrong.onnx")
    assert not (tmp_path / "wrong.onnx").exists()


@pytest.mark.parametrize("wrong", ["score", "mask", "verdict"])
def test_whatever_comes_out_wrong_is_found(exported: Export, run: Path, wrong: str) -> None:
    detector, file = Detector.load(run), load(exported.file)
    assert isinstance(file, OnnxDetector)
    compared = Compared(detector, file, "float")
    honest = compared._written
    compared._written = lambda images: {
        name: values if name != wrong else values + 0.5 if wrong == "score" else values ^ 1
        for name, values in honest(images).items()
    }
    with pytest.raises(UnfaithfulExportError):
        compared.compare(torch.rand(3, 64, 64))


def test_without_any_image_nothing_is_exported(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((run / "detector.safetensors").read_bytes())
    with pytest.raises(NothingToCompareError):
        verbs.export(alone)


def test_predict_takes_an_exported_detector(exported: Export, run: Path, category: Path) -> None:
    images = [category / "test" / "good"]
    pairs = zip(verbs.predict(exported.file, images), verbs.predict(run, images), strict=True)
    for theirs, ours in pairs:
        assert theirs.score == pytest.approx(ours.score, abs=1e-4)
        assert (theirs.image, theirs.verdict) == (ours.image, ours.verdict)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_run_is_nothing_for_another_runtime(run: Path, name: RuntimeName) -> None:
    with pytest.raises(WrongRuntimeError, match="an exported detector"):
        load(run, name)
    with pytest.raises(WrongRuntimeError, match="a run in which one lies"):
        verbs.load(run, runtime=name)


def test_an_exported_detector_is_nothing_for_torch(exported: Export) -> None:
    with pytest.raises(WrongRuntimeError, match="run's folder"):
        load(exported.file, "torch")


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.onnx"
    file.write_bytes(b"buy milk")
    for name in ("onnx", "openvino"):
        with pytest.raises(ForeignDetectorError, match="no seal"):
            load(file, name)  # type: ignore[arg-type]


def test_a_cut_file_is_refused(exported: Export, tmp_path: Path) -> None:
    file = tmp_path / "cut.onnx"
    file.write_bytes(exported.file.read_bytes()[:-5000])
    with pytest.raises((DamagedDetectorError, ForeignDetectorError)):
        load(file)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_file_in_which_a_byte_is_another_never_reaches_a_runtime(
    exported: Export, tmp_path_factory: pytest.TempPathFactory, where: float, change: int
) -> None:
    content = bytearray(exported.file.read_bytes())
    content[int(where * len(content))] ^= change
    file = tmp_path_factory.mktemp("bent") / "bent.onnx"
    file.write_bytes(content)
    with pytest.raises((DamagedDetectorError, ForeignDetectorError), match=r"checksum|no seal"):
        load(file)


def test_an_exported_file_says_nothing_of_the_machine_that_wrote_it(exported: Export) -> None:
    assert str(Path(runtime.__file__).parent).encode() not in exported.file.read_bytes()


def test_a_missing_package_is_named_with_the_way_to_it(
    exported: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(package: str) -> None:
        raise ImportError(package)

    monkeypatch.setattr(runtime, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'flawtrace\[export\]'"):
        load(exported.file)


def test_timing_counts_every_pass_that_counts(exported: Export, run: Path) -> None:
    told: list[tuple[int, int]] = []
    ours = verbs.bench(run, batch=2, repeats=4, progress=lambda done, total: told.append((done, total)))
    theirs = verbs.bench(exported.file, height=50, width=70, repeats=4)
    assert told[-1] == (7, 7)
    assert (ours.runtime, ours.batch, ours.height, theirs.runtime, theirs.width) == (
        "torch",
        2,
        64,
        "onnx",
        70,
    )
    for timing in (ours, theirs):
        assert tuple(timing.stages) == STAGES
        assert sum(timing.stages.values()) == pytest.approx(1, abs=0.01)
    assert 0 < ours.median_ms <= ours.p95_ms <= ours.p99_ms
