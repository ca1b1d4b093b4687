"""Whether an exported file says in a runtime what the detector says from which it was made."""

from collections.abc import Iterator
from copy import copy

import numpy as np
import torch

from flawtrace.detector.artefact import Detector
from flawtrace.detector.decision import VERDICTS, Prediction
from flawtrace.detector.errors import UnfaithfulExportError
from flawtrace.detector.runtime import Exported
from flawtrace.ground.config import Config
from flawtrace.ground.groups import InputKind
from flawtrace.ground.shapes import AnomalyMap, Image
from flawtrace.pictures.arrays import image_of
from flawtrace.pictures.images import as_picture, fit
from flawtrace.pictures.tiles import Size

LARGEST_DIFFERENCE = 2e-3
"""Of the map. Where predictors are all but certain, single precision has few numbers left between a
probability and 1, and calibration can stretch the step from one to the next to 0.0006: two runtimes that
round apart are several such steps apart. A graph that says something else differs by far more."""
LARGEST_SCORE_DIFFERENCE = 1e-3
"""Of the score, likewise."""


class Compared:
    """A detector and its exported file in one runtime; counts how far they are apart."""

    def __init__(self, detector: Detector, exported: Exported, takes: InputKind) -> None:
        self.exported = exported
        self.largest_difference = 0.0
        self._detector, self._takes = detector, takes
        self._written = exported.as_written()
        self._of_pieces = detector
        if detector.config.tile_side:  # whose graph leaves the region of interest to whoever cuts and joins
            self._of_pieces = copy(detector)
            self._of_pieces.config = detector.config.model_copy(update={"region": None})

    def compare(self, image: Image, everywhere: bool = False) -> None:
        """By flawtrace and by a program that only feeds the file; `everywhere` at several sizes.

        Raises:
            UnfaithfulExportError: they are too far apart, or mask and verdict contradict map and score.
        """
        theirs = self.exported.predict(image)
        self._refuse_apart(self._detector.predict(image), theirs.anomaly_map, theirs.score)
        for size in _sizes(image, self._detector.config, everywhere):
            self._compare_written(fit(image, *size))

    def _compare_written(self, image: Image) -> None:
        """As another program would run the file."""
        given = image[None].numpy()
        if self._takes == "uint8":
            given = as_picture(image)[None].numpy()
            image = image_of(given[0])
        said = {name: values[0] for name, values in self._written(given).items()}
        ours = self._of_pieces.predict(image)
        self._refuse_apart(ours, torch.from_numpy(np.array(said["map"])), float(said["score"]))
        thresholds = self.exported.thresholds
        verdict = thresholds.verdict(float(said["score"]))
        expected = (said["map"] >= np.float32(thresholds.outline)) & (verdict != "OK")
        if int(said["verdict"]) != VERDICTS.index(verdict) or (said["mask"] != expected).any():
            raise UnfaithfulExportError(
                self.exported.file, self.exported.runtime, "mask and verdict contradict map and score"
            )

    def _refuse_apart(self, ours: Prediction, anomaly_map: AnomalyMap, score: float) -> None:
        difference, apart = float((ours.anomaly_map - anomaly_map).abs().max()), abs(ours.score - score)
        if not (difference <= LARGEST_DIFFERENCE and apart <= LARGEST_SCORE_DIFFERENCE):
            height, width = anomaly_map.shape
            raise UnfaithfulExportError(
                self.exported.file,
                self.exported.runtime,
                f"in an image of {width} x {height} pixels, maps differ by {difference:.2g} (allowed: "
                f"{LARGEST_DIFFERENCE:g}) and scores by {apart:.2g} (allowed: {LARGEST_SCORE_DIFFERENCE:g})",
            )
        self.largest_difference = max(self.largest_difference, difference)


def _sizes(image: Image, config: Config, everywhere: bool) -> Iterator[Size]:
    """At which a program may feed an image, or the tiles of one."""
    side, tile = config.image_side, config.tile_side
    if tile is not None:
        yield tile, tile
        return
    yield image.shape[1], image.shape[2]
    if everywhere:
        yield from ((side, side), (side * 3 // 4, side * 5 // 4), (2 * side + 1, side // 2))
