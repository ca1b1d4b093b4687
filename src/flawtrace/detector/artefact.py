"""The trained artefact: image in, anomaly map out. One file holds everything it needs."""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.data.pieces import worked_on
from flawtrace.detector.calibration import Calibration
from flawtrace.detector.decision import Prediction, Thresholds, decided
from flawtrace.detector.errors import DamagedDetectorError
from flawtrace.detector.facts import Facts, parsed
from flawtrace.detector.file import (
    CALIBRATED,
    FORMAT,
    OLDEST,
    checksum,
    detector_file,
    read_file,
    read_header,
)
from flawtrace.detector.judge import Judge, evidence
from flawtrace.ground.config import Config
from flawtrace.ground.devices import ON_PROCESSOR, at_once, batches, sent
from flawtrace.ground.files import write_bytes
from flawtrace.ground.groups import RuntimeName
from flawtrace.ground.learner import seeded
from flawtrace.ground.shapes import AnomalyMap, ErrorMaps, Image, Images, Masks, PerImage
from flawtrace.method import Reader, autoencoder, encoder, predictor
from flawtrace.pictures.arrays import AnyPicture, Order, image_of, images_of
from flawtrace.pictures.images import digest
from flawtrace.pictures.region import within
from flawtrace.pictures.resampling import Resampling
from flawtrace.pictures.tiles import Size, joined_map

LATER = ("reader.memory.", "judge.")
"""What detectors of format 3 did not have."""

THRESHOLDS = ("outline", "unsure", "defect")
"""The thresholds that are part of the graph, by their names in it."""

AnyImage: TypeAlias = Float[Tensor, "3 _h _w"]
AnyMap: TypeAlias = Float[Tensor, "_h _w"]
"""Of which each in a list can have its own size."""
Score = TypeVar("Score", bound=float | Tensor)


class Detector(nn.Module):
    """A reader, with snapshots of one autoencoder's training, and predictors of what it shows.

    What predictors say is calibrated before it is a map, and weighed by a judge before it is a score.
    """

    runtime: RuntimeName = "torch"
    facts: Facts
    outline: Tensor
    unsure: Tensor
    defect: Tensor

    def __init__(
        self,
        config: Config,
        facts: Facts,
        reader: Reader,
        members: Sequence[predictor.Predictor],
        *,
        judge: Judge | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.reader = reader
        self.members = nn.ModuleList(members)
        self.judge = judge or Judge()
        self.calibration: nn.Module = calibration or Calibration()
        self.resampling = Resampling()
        for name in THRESHOLDS:
            self.register_buffer(name, torch.zeros(()), persistent=False)
        self.decide_by(facts)
        self.eval().requires_grad_(False)

    @classmethod
    def untrained(cls, config: Config, facts: Facts) -> "Detector":
        """All parts in place, with weights yet to be loaded."""
        frozen, length = encoder.build(config, pretrained=False), config.profile.length
        snapshots = [autoencoder.build(config.autoencoder, frozen.channels) for _ in range(length)]
        members = [
            predictor.build(config.predictor, length * len(frozen.scales), frozen.channels, config.cell)
            for _ in range(config.predictor.members)
        ]
        return cls(config, facts, Reader.of(config, frozen, snapshots), members)

    def decide_by(self, facts: Facts) -> None:
        """Take these facts, and with them their thresholds."""
        self.facts = facts
        for name in THRESHOLDS:
            self.get_buffer(name).fill_(getattr(facts.thresholds, name))

    @property
    def thresholds(self) -> Thresholds:
        return self.facts.thresholds

    @property
    def header(self) -> dict[str, Any]:
        """What every file of this detector says beside its weights; plain values."""
        return {
            "format": FORMAT if isinstance(self.calibration, Calibration) else OLDEST,
            "config": self.config.model_dump(mode="json"),
            "facts": self.facts.entries,
        }

    @property
    def device(self) -> torch.device:
        return self.reader.novelty.place.device

    def predictions_at(self, size: Size, images: Sequence[AnyImage]) -> list[Prediction]:
        """Of images (3, h, w) of any sizes, each looked at in its own working size, with maps of `size`."""
        fitted = [worked_on(image, self.config) for image in images]
        predictions: list[Prediction] = []
        for _, alike in groupby(zip(images, fitted, strict=True), key=lambda pair: pair[1].shape):
            originals, squares = zip(*alike, strict=True)
            maps, scores = self._looked(torch.stack(squares))
            maps = within(maps if maps.shape[1:] == size else resized(maps, *size), self.config.region)
            predictions += [self._decided(*found) for found in zip(originals, maps, scores, strict=True)]
        return predictions

    @torch.no_grad()
    def anomaly_maps(self, images: Images) -> ErrorMaps:
        """Probability of a defect per pixel, on the processor, of images (b, 3, h, w) at a working size."""
        return self._looked(images)[0]

    @torch.no_grad()
    def _looked(self, images: Images) -> tuple[ErrorMaps, PerImage]:
        """Maps and scores, on the processor, of images (b, 3, h, w) at a working size, wherever these are."""
        side = self.config.image_side
        if images.shape[2:] == (side, side):
            parts = [self.answer(sent(batch, self.device)) for batch in batches(images)]
            maps, scores = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
            return maps, scores
        together = at_once(self.device)
        several = [self._tiled() for _ in images]
        joined = [joined_map(one, side, look, together) for one, look in zip(images, several, strict=True)]
        return torch.stack(joined).cpu(), torch.tensor([look.score for look in several])

    def answer(self, images: Images) -> tuple[ErrorMaps, PerImage]:
        """Maps and scores of squares of the side that the predictors work on."""
        views = self.reader(images)
        said = self.agreed(views)
        maps: ErrorMaps = self.calibration(said)
        if self.config.score == "maximum":
            return maps, maps.amax(dim=(1, 2))
        return maps, self.judge(evidence(said, views.novelties, views.distances))

    def agreed(self, views: predictor.Views) -> ErrorMaps:
        """The mean of what all members say, not calibrated."""
        members = [cast(predictor.Predictor, member) for member in self.members]
        return torch.stack([member.probabilities(views) for member in members]).mean(dim=0)

    def forward(self, images: Images) -> tuple[ErrorMaps, Masks, PerImage, Int[Tensor, " b"]]:
        """Map, mask, score and verdict of images (b, 3, h, w) in [0, 1], of any one size.

        In one piece, and resized as every runtime does it, so that it can be exported; `predict` and
        `anomaly_maps` are kinder to memory. The mask has all pixels of outlines where the score is not OK;
        `predict` leaves out regions without a peak. The verdict is the score's, a number of `VERDICTS`;
        `predict` is also unsure of images unlike those of training. With `tile_side` the images are tiles:
        whoever runs the graph cuts and joins, and blackens what is outside of the region of interest.
        """
        side = self.config.image_side
        region = None if self.config.tile_side else self.config.region
        found, scores = self.answer(within(self.resampling(images, side, side).clamp(0, 1), region))
        maps = within(self.resampling(found, *images.shape[2:]), region)
        scores = final_score(maps, scores, self.config)
        unsure, defect = scores >= self.unsure, scores >= self.defect
        masks = (maps >= self.outline) & unsure[:, None, None]
        return maps, masks, scores, unsure.long() + defect.long()

    def predict(self, picture: AnyPicture, *, order: Order = "rgb") -> Prediction:
        """Of one picture of any size: a path, a picture of Pillow, an array or a tensor (`image_of`).

        OpenCV's arrays have `order="bgr"`.

        Raises:
            ImageError: what is wrong with a file, or what it is instead of a picture.
        """
        image, look = image_of(picture, order), self._tiled()
        with torch.no_grad():
            anomaly_map = map_of(image, self.config, look, at_once(self.device))
        return self._decided(image, anomaly_map, look.score)

    def predict_all(self, pictures: Iterable[AnyPicture], *, order: Order = "rgb") -> list[Prediction]:
        """Of several, each of its own kind and size; a batch (b, h, w, 3) or (b, 3, h, w) is several."""
        return [self.predict(image) for image in images_of(pictures, order)]

    def _tiled(self) -> "Tiled":
        """Looks at the tiles of one image, wherever the detector is."""
        return Tiled(lambda tiles: self.answer(sent(tiles, self.device)))

    def _decided(self, image: AnyImage, anomaly_map: AnyMap, score: float | Tensor) -> Prediction:
        final = float(final_score(anomaly_map, score, self.config))
        region = self.facts.familiar_region(self.config)
        return decided(image, anomaly_map, final, self.thresholds, self.facts.familiar, region=region)

    def knows(self, image: Image) -> bool:
        """Whether any part of it was trained on this image (3, h, w), told by content."""
        content = digest(image)
        return content in self.facts.digests or content in self.facts.autoencoder

    def save(self, path: Path) -> None:
        """Write the one file: weights, and in its header everything else."""
        state = {name: tensor.cpu().contiguous() for name, tensor in self.state_dict().items()}
        header = self.header | {"checksum": checksum(state)}
        write_bytes(path, safetensors.torch.save(state, metadata={"flawtrace": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path | str) -> "Detector":
        """Read a detector, from its file or from the folder of the run that made it.

        Raises:
            ForeignDetectorError: the file is not a detector of flawtrace.
            DamagedDetectorError: it was one, and is not whole.
        """
        file = detector_file(Path(path))
        header, state = read_file(file)
        if header.get("checksum") not in (None, checksum(state)):
            raise DamagedDetectorError(file, "its weights are not those that were written")
        try:
            config, facts = parsed(header, file)
            with seeded(0):
                detector = cls.untrained(config, facts)
            if header["format"] < CALIBRATED:  # one threshold needs no memory, judge or calibration
                detector.calibration = nn.Identity()
                state = {n: t for n, t in detector.state_dict().items() if n.startswith(LATER)} | state
            detector.load_state_dict(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DamagedDetectorError(file, str(error)) from error
        if not all(tensor.isfinite().all() for tensor in state.values()):
            raise DamagedDetectorError(file, "some weights are not finite numbers")
        return detector


def facts_of(path: Path) -> Facts:
    """What the detector of a run's folder or file knows about its training, without loading its weights.

    Raises:
        ForeignDetectorError: the file is not a detector of flawtrace.
        DamagedDetectorError: it was one, and is not whole.
    """
    file = detector_file(path)
    try:
        return parsed(read_header(file), file)[1]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedDetectorError(file, str(error)) from error


class Tiled:
    """Looks at tiles of one image: hands their maps on, and keeps the highest of their scores."""

    def __init__(self, answer: Callable[[Images], tuple[ErrorMaps, PerImage]]) -> None:
        self._answer = answer
        self.score = 0.0

    def __call__(self, tiles: Images) -> ErrorMaps:
        maps, scores = self._answer(tiles)
        self.score = max(self.score, float(scores.max()))
        return maps.cpu()


def final_score(maps: Float[Tensor, "*_b _h _w"], score: Score, config: Config) -> Score | Tensor:
    """The score of an image, or of several, from that of tiles, or the maximum of the map at its own size."""
    return maps.amax(dim=(-2, -1)) if config.score == "maximum" else score


def map_of(
    image: Image, config: Config, look: Callable[[Images], ErrorMaps], together: int = ON_PROCESSOR
) -> AnomalyMap:
    """The map of an image of any size, at its own size, from what `look` makes of its tiles."""
    size = image.shape[1], image.shape[2]
    joined = joined_map(worked_on(image, config), config.image_side, look, together)
    return within(resized(joined[None], *size)[0], config.region)


def resized(maps: Float[Tensor, "b _h _w"], height: int, width: int) -> Float[Tensor, "b {height} {width}"]:
    """Maps at another size, linearly between cells, averaged where the target is coarser."""
    return F.interpolate(maps[:, None], size=(height, width), mode="bilinear", antialias=True)[:, 0]
