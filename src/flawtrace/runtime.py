"""Exported detectors, run by ONNX Runtime or by OpenVINO: the same answers as the detector they come from."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace.config import Config
from flawtrace.detector import Detector, Facts, Prediction, decided, facts_of, resized
from flawtrace.errors import (
    DamagedDetectorError,
    ForeignDetectorError,
    MissingExtraError,
    WrongRuntimeError,
)
from flawtrace.images import squared
from flawtrace.presets import parse_config
from flawtrace.shapes import Image

RuntimeName: TypeAlias = Literal["torch", "onnx", "openvino"]


class OnnxDetector:
    """An exported detector in ONNX Runtime."""

    def __init__(self, content: bytes, name: str, threads: int | None = None) -> None:
        """`name` is what messages call it; it runs on as many threads as torch would, unless told."""
        runtime = _imported("onnxruntime", "export")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no other class in common
            raise DamagedDetectorError(Path(name), str(error).splitlines()[0]) from error
        self.config, self.facts = _header(self._session.get_modelmeta().custom_metadata_map, Path(name))

    @property
    def threshold(self) -> float:
        return self.facts.threshold

    def predict(self, image: Image) -> Prediction:
        """Of one image (3, h, w) in [0, 1], of any size."""
        maps = self.maps(image[None])
        return decided(maps[0], self.threshold)

    def maps(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        """Probability of a defect per pixel."""
        (maps,) = self._session.run(["map"], {"images": images.numpy()})
        return torch.from_numpy(maps)


class OpenvinoDetector:
    """An exported detector in OpenVINO; images are resized outside of it, where it ignores antialiasing.

    See https://github.com/openvinotoolkit/openvino/issues/35893.
    """

    def __init__(self, content: bytes, name: str, threads: int | None = None) -> None:
        """The same; single precision, where OpenVINO alone would take half on some processors."""
        core = _imported("openvino", "openvino").Core()
        self.config, self.facts = _header(_metadata(content, Path(name)), Path(name))
        threads = threads or torch.get_num_threads()
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        try:
            self._model = core.compile_model(core.read_model(content), "CPU", settings)
        except RuntimeError as error:
            raise DamagedDetectorError(Path(name), str(error).splitlines()[0]) from error

    @property
    def threshold(self) -> float:
        return self.facts.threshold

    def predict(self, image: Image) -> Prediction:
        """Of one image (3, h, w) in [0, 1], of any size."""
        return decided(self.maps(image[None])[0], self.threshold)

    def maps(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        """Probability of a defect per pixel."""
        square = squared(images, self.config.image_side)
        maps = torch.from_numpy(self._model(square.numpy())["map"].copy())
        return resized(maps, *images.shape[2:])


AnyDetector: TypeAlias = Detector | OnnxDetector | OpenvinoDetector


def load(path: Path, runtime: RuntimeName | None = None, threads: int | None = None) -> AnyDetector:
    """The detector in a run's folder or in a file; an exported one in ONNX Runtime unless told otherwise.

    Raises:
        ForeignDetectorError: the file is no detector.
        WrongRuntimeError: it is one, but not for this runtime.
        DamagedDetectorError: it was one, and is not whole.
        MissingExtraError: the runtime's package is not installed.
    """
    if path.suffix != ".onnx":
        if runtime not in (None, "torch"):
            raise WrongRuntimeError(path, str(runtime), "an exported detector")
        return Detector.load(path)
    if runtime == "torch":
        raise WrongRuntimeError(path, runtime, "a run's folder or its detector.safetensors")
    if not path.is_file():
        raise ForeignDetectorError(path, "there is no such file")
    content = path.read_bytes()
    if runtime == "openvino":
        return OpenvinoDetector(content, str(path), threads)
    return OnnxDetector(content, str(path), threads)


def _imported(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(extra, package) from error


def _metadata(content: bytes, file: Path) -> dict[str, str]:
    """OpenVINO does not hand it on."""
    onnx = _imported("onnx", "export")
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's own class of errors, which is not ours to import
        raise DamagedDetectorError(file, str(error)) from error
    return {entry.key: entry.value for entry in model.metadata_props}


def _header(metadata: dict[str, str], file: Path) -> tuple[Config, Facts]:
    if "flawtrace" not in metadata:
        raise ForeignDetectorError(file, "its metadata does not speak of flawtrace")
    try:
        header = json.loads(metadata["flawtrace"])
        return parse_config(header["config"], where=str(file)), facts_of(header)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedDetectorError(file, f"its header cannot be read: {error}") from error
