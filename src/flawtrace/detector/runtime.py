"""Exported detectors, run by ONNX Runtime or by OpenVINO: the same answers as the detector they come from."""

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace.detector.artefact import Detector, Tiled, final_score, map_of, resized
from flawtrace.detector.decision import Prediction, Thresholds, decided
from flawtrace.detector.errors import (
    DamagedDetectorError,
    ForeignDetectorError,
    MissingExtraError,
    WrongRuntimeError,
)
from flawtrace.detector.facts import Facts, parsed
from flawtrace.detector.file import check_format
from flawtrace.detector.interface import IMAGES, OUTPUTS, with_floats
from flawtrace.detector.seal import intact
from flawtrace.ground.config import Config
from flawtrace.ground.groups import RuntimeName
from flawtrace.ground.shapes import Images, PerImage
from flawtrace.pictures.arrays import AnyPicture, Order, image_of, images_of
from flawtrace.pictures.images import squared

if TYPE_CHECKING:
    from onnx import ModelProto


class Exported:
    """What exported detectors have in common: facts from their file, and what a map means."""

    runtime: RuntimeName

    def __init__(self, metadata: dict[str, str], content: bytes, file: Path) -> None:
        self.config, self.facts, self.origin = _header(metadata, file)
        self.content, self.file = content, file

    def decide_by(self, facts: Facts) -> None:
        """Take these facts, and with them their thresholds; the file is another matter."""
        self.facts = facts

    @property
    def thresholds(self) -> Thresholds:
        return self.facts.thresholds

    def predict(self, picture: AnyPicture, *, order: Order = "rgb") -> Prediction:
        """As `Detector.predict`: of one picture of any kind and size."""
        image = image_of(picture, order)
        look = Tiled(self.answer)
        whole = self.config.tile_side is None
        anomaly_map = look(image[None])[0] if whole else map_of(image, self.config, look)
        score = float(final_score(anomaly_map, look.score, self.config))
        region = self.facts.familiar_region(self.config)
        return decided(image, anomaly_map, score, self.thresholds, self.facts.familiar, region=region)

    def predict_all(self, pictures: Iterable[AnyPicture], *, order: Order = "rgb") -> list[Prediction]:
        """As `Detector.predict_all`: of several, each of its own kind and size."""
        return [self.predict(image) for image in images_of(pictures, order)]

    def answer(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b h w"], PerImage]:
        """Maps (probability of a defect per pixel) and scores; with `tile_side` the images are tiles."""
        raise NotImplementedError

    def compiled(self, content: bytes) -> Callable[[Images], object]:
        """What this runtime makes of another graph that takes images."""
        raise NotImplementedError

    def as_written(self) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """What the file says to programs that know nothing of flawtrace, given images as it takes them."""
        raise NotImplementedError

    def graph(self) -> "ModelProto":
        return _graph(self.content, self.file)


class OnnxDetector(Exported):
    """In ONNX Runtime, on as many threads as torch would take."""

    runtime = "onnx"

    def __init__(self, content: bytes, file: Path) -> None:
        session = _session(content, file)
        super().__init__(session.get_modelmeta().custom_metadata_map, content, file)
        floats = session.get_inputs()[0].type == "tensor(float)"
        self._session = session if floats else _session(_taking_floats(self.graph()), file)

    def answer(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b h w"], PerImage]:
        maps, scores = self._session.run(["map", "score"], {IMAGES: images.numpy()})
        return torch.from_numpy(maps), torch.from_numpy(scores)

    def compiled(self, content: bytes) -> Callable[[Images], object]:
        session = _session(content, self.file)
        return lambda images: session.run(None, {IMAGES: images.numpy()})

    def as_written(self) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        session = _session(self.content, self.file)
        return lambda images: dict(zip(OUTPUTS, session.run([*OUTPUTS], {IMAGES: images}), strict=True))


class OpenvinoDetector(Exported):
    """In OpenVINO; images are resized outside of it, because it ignores the antialiasing of earlier exports.

    See https://github.com/openvinotoolkit/openvino/issues/35893. A region of interest ends where the graph
    says so at the image's own size; earlier exports have none. In single precision: by itself it would take
    half on some processors.
    """

    runtime = "openvino"

    def __init__(self, content: bytes, file: Path) -> None:
        imported("openvino", "openvino")
        model = _graph(content, file)  # OpenVINO does not hand its metadata on
        super().__init__({entry.key: entry.value for entry in model.metadata_props}, content, file)
        self._model = _model(_taking_floats(model), file)

    def answer(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b h w"], PerImage]:
        side = None if self.config.region else self.config.image_side
        found = self._model((images if side is None else squared(images, side)).numpy())
        maps, scores = (torch.from_numpy(found[name].copy()) for name in ("map", "score"))
        return maps if side is None else resized(maps, *images.shape[2:]), scores

    def compiled(self, content: bytes) -> Callable[[Images], object]:
        model = _model(content, self.file)
        return lambda images: model(squared(images, self.config.image_side).numpy())

    def as_written(self) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        model = _model(self.content, self.file)

        def answer(images: np.ndarray) -> dict[str, np.ndarray]:
            found = model(images)  # arrays that the next call may overwrite
            return {name: found[name].copy() for name in OUTPUTS}

        return answer


AnyDetector: TypeAlias = Detector | Exported


RUNTIMES: dict[RuntimeName, tuple[str, type[OnnxDetector] | type[OpenvinoDetector]]] = {
    "onnx": ("onnxruntime", OnnxDetector),
    "openvino": ("openvino", OpenvinoDetector),
}
"""Those of exported detectors, the faster first; all are faster than torch."""


def installed() -> list[RuntimeName]:
    """The runtimes of exported detectors whose package is here."""
    return [name for name, (package, _) in RUNTIMES.items() if find_spec(package)]


def load(path: Path, runtime: RuntimeName | None = None) -> AnyDetector:
    """The detector in a run's folder or in a file; an exported one in ONNX Runtime unless told otherwise.

    Raises:
        ForeignDetectorError: the file is no detector.
        WrongRuntimeError: it is one, but not for this runtime.
        DamagedDetectorError: it was one, and is not whole.
        MissingExtraError: the runtime's package is not installed.
    """
    if path.suffix != ".onnx":
        if runtime not in (None, "torch"):
            raise WrongRuntimeError(path, str(runtime), "an exported detector, or a run in which one lies")
        return Detector.load(path)
    if runtime == "torch":
        raise WrongRuntimeError(path, runtime, "a run's folder or its detector.safetensors")
    if not path.is_file():
        raise ForeignDetectorError(path, "there is no such file")
    content = path.read_bytes()
    _refuse_broken(content, path)
    return RUNTIMES[runtime or "onnx"][1](content, path)


def imported(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(extra, package) from error


def _refuse_broken(content: bytes, file: Path) -> None:
    """Before a runtime sees it: a damaged graph can end the process in which it is read."""
    whole = intact(content)
    if whole is None:
        raise ForeignDetectorError(file, "it has no seal, the checksum that `flawtrace export` adds")
    if not whole:
        raise DamagedDetectorError(file, "its checksum does not match its content")


def _session(content: bytes, file: Path) -> Any:
    """Of ONNX Runtime."""
    onnxruntime = imported("onnxruntime", "export")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no other class in common
        raise DamagedDetectorError(file, str(error).splitlines()[0]) from error


def _model(content: bytes, file: Path) -> Any:
    """Of OpenVINO."""
    core = imported("openvino", "openvino").Core()
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    try:
        return core.compile_model(core.read_model(content), "CPU", settings)
    except RuntimeError as error:
        raise DamagedDetectorError(file, str(error).splitlines()[0]) from error


def _taking_floats(model: "ModelProto") -> bytes:
    with_floats(model)
    content: bytes = model.SerializeToString()
    return content


def _graph(content: bytes, file: Path) -> "ModelProto":
    onnx = imported("onnx", "export")
    try:
        model: ModelProto = onnx.load_from_string(content)
    except Exception as error:  # protobuf's own class of errors, which is not ours to import
        raise DamagedDetectorError(file, str(error)) from error
    return model


def _header(metadata: dict[str, str], file: Path) -> tuple[Config, Facts, str | None]:
    """Settings, facts, and the checksum of the weights that were exported, which earlier files do not say."""
    if "flawtrace" not in metadata:
        raise ForeignDetectorError(file, "its metadata does not mention flawtrace")
    try:
        header = json.loads(metadata["flawtrace"])
        check_format(header, file)
        return *parsed(header, file), header.get("checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedDetectorError(file, f"its header cannot be read: {error}") from error
