"""A detector as one ONNX file, from raw images to map, mask and score, checked before it is written."""

import io
import json
import logging
import struct
import warnings
from collections.abc import Iterable
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from flawtrace.detector.artefact import THRESHOLDS, Detector
from flawtrace.detector.comparing import Compared
from flawtrace.detector.decision import Thresholds
from flawtrace.detector.errors import OutdatedExportError
from flawtrace.detector.file import checksum
from flawtrace.detector.interface import IMAGES, OUTPUTS, describe, with_bytes
from flawtrace.detector.runtime import RUNTIMES, Exported, imported, installed
from flawtrace.detector.seal import OPEN, sealed
from flawtrace.detector.stages import mark
from flawtrace.ground.files import write_bytes
from flawtrace.ground.groups import InputKind, RuntimeName
from flawtrace.ground.shapes import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto

PLACEHOLDER = 0.0123456789
"""Of thresholds while a graph is made: the exporter merges constants of equal value, whatever they mean."""


@dataclass(frozen=True)
class Export:
    """What was written, and how far it is from its origin."""

    file: Path
    bytes: int
    num_images: int
    largest_difference: float
    """Of the maps of these images, in any runtime."""
    differences: dict[RuntimeName, float]
    """The same in each runtime that is installed."""


def export_onnx(
    detector: Detector, file: Path, images: Iterable[Image], takes: InputKind = "float"
) -> Export:
    """Write `detector` as ONNX, if on each of `images` the file's answer is the detector's own.

    The graph takes `images` (b, 3, h, w), float in [0, 1], or where it `takes` "uint8" (b, h, w, 3), of any
    number and size; it gives `map` (b, h, w), `mask` (b, h, w), `score` (b) and `verdict` (b; 0 OK, 1 UNSURE,
    2 DEFECT). Its thresholds are initializers named `outline`, `unsure` and `defect`, which `rewrite`
    changes. With `tile_side` these are tiles of that side: `detector.runtime` cuts an image into them and
    joins their maps, and so must other programs that run the file. The file says all this itself; settings
    and all other facts are in its metadata.

    Compared are all runtimes that are installed, the first image at several sizes.

    Raises:
        MissingExtraError: the packages of the extra `export` are not installed.
        UnfaithfulExportError: a runtime's maps or scores differ by more than `comparing` allows.
    """
    content = sealed(_translated(detector, takes).SerializeToString())
    compared = [Compared(detector, RUNTIMES[name][1](content, file), takes) for name in installed()]
    count = 0
    for count, image in enumerate(images, 1):
        for runtime in compared:
            runtime.compare(image, everywhere=count == 1)
    write_bytes(file, content)
    differences = {runtime.exported.runtime: runtime.largest_difference for runtime in compared}
    return Export(file, len(content), count, max(differences.values()), differences)


def rewrite(exported: Exported) -> None:
    """Bring the thresholds of an exported file up to the facts of the detector read from it.

    Raises:
        OutdatedExportError: an earlier version exported it, with thresholds that cannot be changed.
    """
    model = exported.graph()
    if not _decides_by(exported.thresholds, model):
        raise OutdatedExportError(exported.file)
    entries = {entry.key: entry for entry in model.metadata_props}
    header = json.loads(entries["flawtrace"].value) | {"facts": exported.facts.entries}
    entries["flawtrace"].value, entries["seal"].value = json.dumps(header), OPEN
    if "thresholds" in entries:  # earlier exports say them in the header alone
        entries["thresholds"].value = _as_text(exported.thresholds)
    write_bytes(exported.file, sealed(model.SerializeToString()))


def _decides_by(thresholds: Thresholds, model: "ModelProto") -> bool:
    """Put the thresholds into a graph, if it has them apart from everything else."""
    initializers = [one for one in model.graph.initializer if one.name in THRESHOLDS]
    for initializer in initializers:
        initializer.raw_data = struct.pack("<f", getattr(thresholds, initializer.name))
    return len(initializers) == len(THRESHOLDS)


def _translated(detector: Detector, takes: InputKind) -> "ModelProto":
    """The graph with the detector's thresholds, and all that a file says of itself."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        imported(package, "export")
    model = graph_of(detector)
    apart_still = _decides_by(detector.thresholds, model)
    assert apart_still, "the exporter has merged thresholds with other constants"
    mark(model)
    if takes == "uint8":
        with_bytes(model)
    describe(model, detector.config)
    origin = {"checksum": checksum(detector.state_dict())}
    imported("onnx.helper", "export").set_model_props(
        model,
        {
            "flawtrace": json.dumps(detector.header | origin),
            "thresholds": _as_text(detector.thresholds),
            "seal": OPEN,
        },
    )
    return model


def graph_of(detector: Detector) -> "ModelProto":
    """The detector's `forward` as torch translates it, with placeholders where its thresholds stand."""
    side = detector.config.image_side
    several = {axis: torch.export.Dim(name) for axis, name in ((0, "batch"), (2, "height"), (3, "width"))}
    for place, name in enumerate(THRESHOLDS):
        detector.get_buffer(name).fill_(PLACEHOLDER * (1 + place))
    with _quiet():
        program = torch.onnx.export(
            detector.cpu().eval(),
            (torch.rand(2, 3, side + 40, side + 72, generator=torch.Generator().manual_seed(0)),),
            dynamo=True,
            external_data=False,
            input_names=[IMAGES],
            output_names=list(OUTPUTS),
            dynamic_shapes={IMAGES: several},
            verbose=False,
        )
    detector.decide_by(detector.facts)
    assert program is not None
    model: ModelProto = program.model_proto
    return model


def _as_text(thresholds: Thresholds) -> str:
    """For people and programs that do not know flawtrace's own header."""
    return json.dumps(asdict(thresholds))


@contextmanager
def _quiet() -> "Iterator[None]":
    """Without the exporter's talk about itself and about libraries that nobody needs here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
