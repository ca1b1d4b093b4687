"""The trained artefact: image in, anomaly map out. One file holds everything it needs."""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias, cast

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.data.pieces import worked_on
from flawtrace.detector.decision import Prediction, decided
from flawtrace.detector.errors import DamagedDetectorError
from flawtrace.detector.facts import Facts, parsed
from flawtrace.detector.file import FILE_NAME, FORMAT, checksum, read_file
from flawtrace.ground.config import Config
from flawtrace.ground.devices import ON_PROCESSOR, at_once, batches, sent
from flawtrace.ground.files import write_bytes
from flawtrace.ground.learner import seeded
from flawtrace.ground.shapes import AnomalyMap, ErrorMaps, Image, Images, Masks, PerImage
from flawtrace.method import Reader, autoencoder, encoder, predictor
from flawtrace.pictures.images import digest, squared
from flawtrace.pictures.tiles import Size, joined_map

AnyImage: TypeAlias = Float[Tensor, "3 _h _w"]
AnyMap: TypeAlias = Float[Tensor, "_h _w"]
"""Of which each in a list can have its own size."""


class Detector(nn.Module):
    """A reader, with snapshots of one autoencoder's training, and the predictors that see what it shows."""

    def __init__(
        self,
        config: Config,
        facts: Facts,
        reader: Reader,
        members: Sequence[predictor.Predictor],
    ) -> None:
        super().__init__()
        self.config = config
        self.facts = facts
        self.reader = reader
        self.members = nn.ModuleList(members)
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
        return cls(
            config, facts, Reader(frozen, snapshots, config.grid, config.predictor.novelty_of), members
        )

    @property
    def threshold(self) -> float:
        return self.facts.threshold

    @property
    def header(self) -> dict[str, Any]:
        """What every file of this detector says beside its weights; plain values."""
        return {
            "format": FORMAT,
            "config": self.config.model_dump(mode="json"),
            "facts": vars(self.facts),
        }

    @property
    def device(self) -> torch.device:
        return self.reader.novelty.place.device

    @torch.no_grad()
    def anomaly_maps(self, images: Images) -> ErrorMaps:
        """Probability of a defect per pixel, of images (b, 3, h, w) at a working size, tile by tile."""
        side = self.config.image_side
        if images.shape[2:] == (side, side):
            return torch.cat([self._maps(batch) for batch in batches(images)])
        return torch.stack([joined_map(image, side, self._maps) for image in images])

    def maps_at(self, size: Size, images: Sequence[AnyImage]) -> list[AnyMap]:
        """Maps of images (3, h, w) of any sizes, each looked at in its own working size, all at `size`."""
        fitted = [worked_on(image, self.config) for image in images]
        maps: list[AnyMap] = []
        for _, alike in groupby(fitted, key=lambda image: image.shape):
            found = self.anomaly_maps(sent(torch.stack(list(alike)), self.device)).cpu()
            maps += found if found.shape[1:] == size else resized(found, *size)
        return maps

    def _maps(self, images: Images) -> ErrorMaps:
        return self.agreed(self.reader(images))

    def agreed(self, views: predictor.Views) -> ErrorMaps:
        """The mean of what all members say."""
        members = [cast(predictor.Predictor, member) for member in self.members]
        return torch.stack([member.probabilities(views) for member in members]).mean(dim=0)

    def forward(self, images: Images) -> tuple[ErrorMaps, Masks, PerImage]:
        """Map, mask and score of images (b, 3, h, w) in [0, 1], of any one size: all that `predict` does.

        In one piece, so that it can be exported; `predict` and `anomaly_maps` are kinder to memory. With
        `tile_side` the images are tiles: whoever runs the graph cuts and joins.
        """
        maps = resized(self._maps(squared(images, self.config.image_side)), *images.shape[2:])
        return maps, maps >= self.threshold, maps.amax(dim=(1, 2))

    def predict(self, image: Image) -> Prediction:
        """Of one image (3, h, w) in [0, 1], of any size."""
        device = self.device
        anomaly_map = map_of(
            image, self.config, lambda tiles: self.anomaly_maps(sent(tiles, device)).cpu(), at_once(device)
        )
        return decided(image, anomaly_map, self.facts)

    def knows(self, image: Image) -> bool:
        """Whether it was trained on this image (3, h, w), told by content."""
        return digest(image) in self.facts.digests

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
        file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
        header, state = read_file(file)
        try:
            config, facts = parsed(header, file)
            with seeded(0):
                detector = cls.untrained(config, facts)
            detector.load_state_dict(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DamagedDetectorError(file, str(error)) from error
        if header.get("checksum") not in (None, checksum(state)):
            raise DamagedDetectorError(file, "its weights are not those that were written")
        if not all(tensor.isfinite().all() for tensor in state.values()):
            raise DamagedDetectorError(file, "some weights are not finite numbers")
        return detector


def map_of(
    image: Image, config: Config, look: Callable[[Images], ErrorMaps], together: int = ON_PROCESSOR
) -> AnomalyMap:
    """The map of an image of any size, at its own size, from what `look` makes of its tiles."""
    size = image.shape[1], image.shape[2]
    joined = joined_map(worked_on(image, config), config.image_side, look, together)
    return resized(joined[None], *size)[0]


def resized(maps: Float[Tensor, "b _h _w"], height: int, width: int) -> Float[Tensor, "b {height} {width}"]:
    """Maps at another size, linearly between cells, averaged where the target is coarser."""
    return F.interpolate(maps[:, None], size=(height, width), mode="bilinear", antialias=True)[:, 0]
