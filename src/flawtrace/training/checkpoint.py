"""Nested state as one safetensors file: tensors as they are, everything else as JSON in its header."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from flawtrace.ground.files import write_bytes
from flawtrace.training.errors import CheckpointError

INTERVAL = 20.0
"""Seconds between checkpoints: what a killed run loses at most, besides starting up again."""


class Checkpoint:
    """Writes a state to `path`, but not more often than every INTERVAL seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = time.monotonic()

    def offer(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write what `state` returns, if it is time to."""
        if time.monotonic() - self._last >= INTERVAL:
            self.write(state())

    def write(self, state: dict[str, Any]) -> None:
        write_bytes(self._path, pack(state))
        self._last = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The last state written, or None if there is none."""
        return unpack(self._path) if self._path.exists() else None


def pack(state: dict[str, Any]) -> bytes:
    """A nested structure of dicts, lists, tensors, numbers, strings and None as a safetensors file."""
    tensors: dict[str, Tensor] = {}
    tree = _strip(state, tensors)
    return safetensors.torch.save(tensors, metadata={"tree": json.dumps(tree)})


def unpack(path: Path) -> dict[str, Any]:
    """What `pack` wrote.

    Raises:
        CheckpointError: the file is damaged or not one of ours.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tree = json.loads(file.metadata()["tree"])
            state: dict[str, Any] = _fill(tree, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            return state
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(path) from error


def _strip(node: Any, tensors: dict[str, Tensor]) -> Any:
    """The structure with each tensor moved to `tensors` and its place marked; dicts become pairs."""
    if isinstance(node, Tensor):
        name = str(len(tensors))
        tensors[name] = node.detach().cpu().clone().contiguous()
        return {"tensor": name, "channels_last": _channels_last(node)}
    if isinstance(node, dict):
        return {"pairs": [[key, _strip(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return [_strip(value, tensors) for value in node]
    return node


def _fill(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, list):
        return [_fill(value, tensors) for value in node]
    if isinstance(node, dict):
        if "tensor" in node:
            return _laid_out(tensors[node["tensor"]], node["channels_last"])
        return {key: _fill(value, tensors) for key, value in node["pairs"]}
    return node


def _channels_last(tensor: Tensor) -> bool:
    return (
        tensor.ndim == 4
        and tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous()
    )


def _laid_out(tensor: Tensor, channels_last: bool) -> Tensor:
    """In memory as it was: in another layout, convolutions add up in another order, to other last bits."""
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last else tensor
