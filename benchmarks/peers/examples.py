"""A split as tensors: what a peer learns from, read and resized by flawtrace's own functions."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flawtrace.ground.shapes import Image, Images, Mask, Masks
from flawtrace.pictures.images import fit, fit_mask, read_image
from flawtrace.pictures.mask_files import read_mask

SIDE = 256
"""Pixels along the square that every image is resized to, and along every anomaly map."""
BATCH = 8


@dataclass(frozen=True)
class Examples:
    """Images (b, 3, 256, 256) in [0, 1]; masks as large."""

    normal: Images
    labelled: Images
    masks: Masks
    defect_types: tuple[str, ...]
    """Of each labelled image."""
    seed: int


class Split:
    """A split file and the folder that its paths start from."""

    def __init__(self, file: Path, root: Path) -> None:
        self._content: dict[str, Any] = json.loads(file.read_text())
        self._root = root

    @property
    def seed(self) -> int:
        return int(self._content["seed"])

    @property
    def num_test(self) -> int:
        return len(self._content["test"])

    def examples(self, labels: bool) -> Examples:
        """All that a peer may learn from; without `labels`, normal images only."""
        labelled = self._content["labelled"] if labels else []
        return Examples(
            normal=self._images(self._content["normal"]),
            labelled=self._images([sample["image"] for sample in labelled]),
            masks=_stacked([self._mask(sample["mask"]) for sample in labelled], torch.bool),
            defect_types=tuple(sample["defect_type"] for sample in labelled),
            seed=self.seed,
        )

    def test_batches(self) -> Iterator[Images]:
        names = [sample["image"] for sample in self._content["test"]]
        for start in range(0, len(names), BATCH):
            yield self._images(names[start : start + BATCH])

    def normal_digest(self) -> str:
        """Changes with the name or the content of any normal image."""
        content = hashlib.sha256()
        for name in self._content["normal"]:
            content.update(f"{name}\n".encode())
            content.update(hashlib.sha256((self._root / name).read_bytes()).digest())
        return content.hexdigest()

    def _images(self, names: Sequence[str]) -> Images:
        images: list[Image] = [fit(read_image(self._root / name), SIDE) for name in names]
        return _stacked(images, torch.float32, 3)

    def _mask(self, name: str) -> Mask:
        return fit_mask(read_mask(self._root / name), SIDE)


def _stacked(planes: Sequence[torch.Tensor], dtype: torch.dtype, *channels: int) -> torch.Tensor:
    """One tensor, also of nothing."""
    return torch.stack(list(planes)) if planes else torch.empty(0, *channels, SIDE, SIDE, dtype=dtype)
