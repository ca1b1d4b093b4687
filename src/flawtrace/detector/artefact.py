"""The trained artefact: image in, anomaly map out. One file holds everything it needs."""

import hashlib
import json
import math
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from flawtrace.data.pieces import worked_on
from flawtrace.detector.errors import DamagedDetectorError, ForeignDetectorError
from flawtrace.ground.config import Config
from flawtrace.ground.devices import ON_PROCESSOR, at_once, batches, sent
from flawtrace.ground.files import write_bytes
from flawtrace.ground.learner import seeded
from flawtrace.ground.presets import stored_config
from flawtrace.ground.shapes import AnomalyMap, ErrorMaps, Image, Images, Mask, Masks, PerImage
from flawtrace.method import autoencoder, encoder, predictor
from flawtrace.method.reader import Reader
from flawtrace.pictures.images import digest, squared
from flawtrace.pictures.tiles import Size, joined_map
from flawtrace.pictures.traits import MEANINGS, Ranges, unlike

FORMAT = 3
"""Raised when a reader of older files would go wrong."""

FILE_NAME = "detector.safetensors"

AnyImage: TypeAlias = Float[Tensor, "3 _h _w"]
AnyMap: TypeAlias = Float[Tensor, "_h _w"]
"""Of which each in a list can have its own size."""


Verdict: TypeAlias = Literal["OK", "DEFECT", "UNSURE"]


@dataclass(frozen=True)
class Prediction:
    anomaly_map: AnomalyMap
    """Probability of a defect per pixel, in [0, 1], at the image's own size."""
    mask: Mask
    """Where the map reaches the threshold."""
    score: float
    """The map's maximum: at or above the threshold exactly when the mask shows a defect."""
    doubt: str | None = None
    """Why the map is not to be trusted, if the image is unlike all training images."""

    @property
    def anomalous(self) -> bool:
        return bool(self.mask.any())

    @property
    def verdict(self) -> Verdict:
        if self.doubt:
            return "UNSURE"
        return "DEFECT" if self.anomalous else "OK"


@dataclass(frozen=True)
class Facts:
    """What a detector knows about its own training; stored in the file's header."""

    threshold: float
    """The probability from which a pixel counts as defective, chosen on held-out training labels."""
    validation: dict[str, float]
    """Scores on those held-out labels."""
    digests: tuple[str, ...]
    """Content of every training image."""
    fingerprint: str
    """Of the whole training set: images, masks and who was labelled."""
    versions: dict[str, str]
    """As `origin` gave them."""
    false_alarms: dict[str, Any] = field(default_factory=dict)
    """On normal images that no predictor saw: how many, of how many, and the rates this allows."""
    familiar: Ranges = field(default_factory=dict)
    """What training images look like from afar; nothing is known of it where this is empty."""


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
        header, state = _read(file)
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


def parsed(header: dict[str, Any], file: Path) -> tuple[Config, Facts]:
    """What `Detector.header` said, in whichever kind of file."""
    said = header["facts"]
    known = {name: (float(low), float(high)) for name, (low, high) in said.get("familiar", {}).items()}
    if known and not {"contrast"} <= set(known) <= set(MEANINGS):
        raise KeyError(f"familiar traits {', '.join(known)}")
    numbers = {name: _numbers(said.get(name, {})) for name in ("validation", "false_alarms")}
    facts = Facts(**{**said, "digests": tuple(said["digests"]), "familiar": known, **numbers})
    return stored_config(header["config"], where=str(file)), facts


def _numbers(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a header says under each name, if these are finite numbers."""
    for name, value in said.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r:.40}, no finite number")
    return dict(said)


def map_of(
    image: Image, config: Config, look: Callable[[Images], ErrorMaps], together: int = ON_PROCESSOR
) -> AnomalyMap:
    """The map of an image of any size, at its own size, from what `look` makes of its tiles."""
    size = image.shape[1], image.shape[2]
    joined = joined_map(worked_on(image, config), config.image_side, look, together)
    return resized(joined[None], *size)[0]


def decided(image: Image, anomaly_map: Float[Tensor, "h w"], facts: Facts) -> Prediction:
    """What an image's map means to a detector with these facts."""
    mask = anomaly_map >= facts.threshold
    return Prediction(anomaly_map, mask, float(anomaly_map.max()), unlike(image, facts.familiar))


def resized(maps: Float[Tensor, "b _h _w"], height: int, width: int) -> Float[Tensor, "b {height} {width}"]:
    """Maps at another size, linearly between cells, averaged where the target is coarser."""
    return F.interpolate(maps[:, None], size=(height, width), mode="bilinear", antialias=True)[:, 0]


def checksum(state: Mapping[str, Tensor]) -> str:
    """Of weights with their names and kinds; 64 hex digits."""
    content = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()


def versions() -> dict[str, str]:
    """Of everything that can change a result."""
    return {name: version(name) for name in ("flawtrace", "torch", "kornia", "numpy", "pillow")}


def commit() -> str | None:
    """Of the checkout that flawtrace runs from, with a plus when it was changed since; None elsewhere."""
    here = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
        return git("rev-parse", "--short=7", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def origin() -> dict[str, str]:
    """How this process makes detectors: versions, threads, and the commit where it runs from a checkout."""
    return versions() | {"threads": str(torch.get_num_threads()), "commit": commit() or "none"}


def _read(file: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    if not file.is_file():
        raise ForeignDetectorError(file, "there is no such file")
    with file.open("rb") as opened_bytes:
        if opened_bytes.read(9)[8:] != b"{":
            raise ForeignDetectorError(file, "it does not begin like a safetensors file")
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, safetensors.SafetensorError) as error:
        raise DamagedDetectorError(file, str(error)) from error
    if "flawtrace" not in metadata:
        raise ForeignDetectorError(file, "its header does not speak of flawtrace")
    try:
        header = json.loads(metadata["flawtrace"])
    except ValueError as error:
        raise DamagedDetectorError(file, f"its header is no JSON: {error}") from error
    if header.get("format") != FORMAT:
        raise ForeignDetectorError(file, f"it has format {header.get('format')}, this version reads {FORMAT}")
    return header, state
