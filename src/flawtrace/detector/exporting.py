"""A detector as one ONNX file, from raw images to map, mask and score, checked before it is written."""

import io
import json
import logging
import struct
import warnings
from collections.abc import Iterable
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from flawtrace.detector.artefact import THRESHOLDS, Detector
from flawtrace.detector.decision import VERDICTS, Thresholds
from flawtrace.detector.errors import OutdatedExportError, UnfaithfulExportError
from flawtrace.detector.runtime import Exported, OnnxDetector, imported
from flawtrace.detector.seal import OPEN, sealed
from flawtrace.detector.stages import mark
from flawtrace.ground.files import write_bytes
from flawtrace.ground.shapes import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto

LARGEST_DIFFERENCE = 1e-4
"""Of the map, between the exported detector and the one it comes from."""
LARGEST_SCORE_DIFFERENCE = 1e-3
"""Of the score, likewise."""
PLACEHOLDER = 0.0123456789
"""Of thresholds while a graph is made: the exporter merges constants of equal value, whatever they mean."""
OUTPUTS = ("map", "mask", "score", "verdict")


@dataclass(frozen=True)
class Export:
    """What was written, and how far it is from its origin."""

    file: Path
    bytes: int
    num_images: int
    largest_difference: float
    """Of the maps of these images."""


def export_onnx(detector: Detector, file: Path, images: Iterable[Image]) -> Export:
    """Write `detector` as ONNX, if on each of `images` the file's answer is the detector's own.

    The graph takes `images` (b, 3, h, w), float in [0, 1], of any number and size; it gives `map` (b, h, w),
    `mask` (b, h, w), `score` (b) and `verdict` (b; 0 OK, 1 UNSURE, 2 DEFECT). Its thresholds are initializers
    named `outline`, `unsure` and `defect`, which `rewrite` changes. With `tile_side` these are tiles of that
    side: `detector.runtime` cuts an image into them and joins their maps, and so must other programs that run
    the file. Settings, thresholds and all other facts are in the file's metadata.

    Raises:
        MissingExtraError: the packages of the extra `export` are not installed.
        UnfaithfulExportError: a map differs by more than `LARGEST_DIFFERENCE`, or a mask differs.
    """
    content = sealed(_translated(detector).SerializeToString())
    exported = OnnxDetector(content, file)
    differences = [_difference(detector, exported, image, file) for image in images]
    write_bytes(file, content)
    return Export(file, len(content), len(differences), max(differences))


def rewrite(exported: Exported) -> None:
    """Bring the thresholds of an exported file up to the facts of the detector read from it.

    Raises:
        OutdatedExportError: an earlier version exported it, with thresholds that cannot be changed.
    """
    model = exported.graph()
    if not _decides_by(exported.thresholds, model):
        raise OutdatedExportError(exported.file)
    entries = {entry.key: entry for entry in model.metadata_props}
    header = json.loads(entries["flawtrace"].value) | {"facts": vars(exported.facts)}
    entries["flawtrace"].value, entries["seal"].value = json.dumps(header), OPEN
    write_bytes(exported.file, sealed(model.SerializeToString()))


def _decides_by(thresholds: Thresholds, model: "ModelProto") -> bool:
    """Put the thresholds into a graph, if it has them apart from everything else."""
    initializers = [one for one in model.graph.initializer if one.name in THRESHOLDS]
    for initializer in initializers:
        initializer.raw_data = struct.pack("<f", getattr(thresholds, initializer.name))
    return len(initializers) == len(THRESHOLDS)


def _difference(detector: Detector, exported: OnnxDetector, image: Image, file: Path) -> float:
    ours, theirs = detector.predict(image), exported.predict(image)
    difference = float((ours.anomaly_map - theirs.anomaly_map).abs().max())
    wrong = ours.mask != theirs.mask
    on_the_edge = (ours.anomaly_map - detector.thresholds.outline).abs() <= difference
    apart = abs(ours.score - theirs.score) > LARGEST_SCORE_DIFFERENCE or not _agrees(exported, image)
    if difference > LARGEST_DIFFERENCE or apart or (wrong & ~on_the_edge).any():
        raise UnfaithfulExportError(file, difference, LARGEST_DIFFERENCE, int(wrong.sum()))
    return difference


def _agrees(exported: OnnxDetector, image: Image) -> bool:
    """Whether mask and verdict of the graph are what its own map and score mean."""
    tile = exported.config.tile_side
    whole = image[None] if tile is None else image[None, :, :tile, :tile]
    maps, masks, scores, verdicts = exported.outputs(whole)
    verdict = exported.thresholds.verdict(float(scores[0]))
    expected = (maps[0] >= np.float32(exported.thresholds.outline)) & (verdict != "OK")
    return VERDICTS[int(verdicts[0])] == verdict and bool((masks[0] == expected).all())


def _translated(detector: Detector) -> "ModelProto":
    for package in ("onnx", "onnxscript"):
        imported(package, "export")
    side = detector.config.image_side
    several = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    for place, name in enumerate(THRESHOLDS):
        detector.get_buffer(name).fill_(PLACEHOLDER * (1 + place))
    with _quiet():
        program = torch.onnx.export(
            detector.cpu().eval(),
            (torch.rand(2, 3, side + 40, side + 72, generator=torch.Generator().manual_seed(0)),),
            dynamo=True,
            external_data=False,
            input_names=["images"],
            output_names=list(OUTPUTS),
            dynamic_shapes={"images": several},
            verbose=False,
        )
    detector.decide_by(detector.facts)
    assert program is not None
    model: ModelProto = program.model_proto
    apart_still = _decides_by(detector.thresholds, model)
    assert apart_still, "the exporter has merged thresholds with other constants"
    mark(model)
    for key, value in {"flawtrace": json.dumps(detector.header), "seal": OPEN}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model


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
