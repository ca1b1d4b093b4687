"""The file of a detector: weights, and a header that says everything else."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from flawtrace.detector.errors import DamagedDetectorError, ForeignDetectorError
from flawtrace.ground.run_files import DETECTOR_NAME

FORMAT = 8
"""Raised when an earlier version would go wrong on a file: 8 knows what the region of interest looks like."""
REMEMBERING = 7
"""The first that knows what the autoencoder learnt from, which refits keep."""
COUNTED = 6
"""The first that counts the labels behind it (`num_labelled`)."""
CALIBRATED = 5
"""The first with memory, judge and calibration; 4 is not read, and no release wrote it."""
OLDEST = 3
"""Had one threshold, and none of these."""
READ = (OLDEST, CALIBRATED, COUNTED, REMEMBERING, FORMAT)


def detector_file(run: Path) -> Path:
    """Of a run's folder, or of a detector's file itself."""
    return run / DETECTOR_NAME if run.is_dir() else run


def exported_name(run: Path) -> Path:
    """Where the exported file lies: beside the detector it is made of.

    >>> exported_name(Path("parts.safetensors")).name
    'parts.onnx'
    """
    return detector_file(run).with_suffix(".onnx")


def checksum(state: Mapping[str, Tensor]) -> str:
    """Of weights with their names and kinds; 64 hex digits."""
    content = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()


def read_file(file: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header and the weights."""
    with _opened(file) as opened:
        header = _header(opened.metadata() or {}, file)
        return header, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)


def read_header(file: Path) -> dict[str, Any]:
    """The header alone, without reading the weights."""
    with _opened(file) as opened:
        return _header(opened.metadata() or {}, file)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    if not file.is_file():
        raise ForeignDetectorError(file, "there is no such file")
    with file.open("rb") as opened_bytes:
        if opened_bytes.read(9)[8:] != b"{":
            raise ForeignDetectorError(file, "it is not a safetensors file")
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            yield opened
    except (OSError, safetensors.SafetensorError) as error:
        raise DamagedDetectorError(file, str(error)) from error


def _header(metadata: Mapping[str, str], file: Path) -> dict[str, Any]:
    if "flawtrace" not in metadata:
        raise ForeignDetectorError(file, "its header does not mention flawtrace")
    try:
        header: dict[str, Any] = json.loads(metadata["flawtrace"])
    except ValueError as error:
        raise DamagedDetectorError(file, f"its header is not JSON: {error}") from error
    check_format(header, file)
    return header


def check_format(header: Mapping[str, Any], file: Path) -> None:
    """Before anything else of a header is looked at.

    Raises:
        ForeignDetectorError: another version wrote it, in a format that this one does not read.
    """
    if header.get("format") not in READ:
        formats = f"{', '.join(map(str, READ[:-1]))} and {READ[-1]}"
        raise ForeignDetectorError(
            file, f"it has format {header.get('format')!s:.20}, but this version reads the formats {formats}"
        )
