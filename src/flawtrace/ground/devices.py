"""What a processor and an accelerator want done differently: how much at once, and how it gets there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from flawtrace.ground.errors import MissingDeviceError

PROCESSOR = torch.device("cpu")
ON_PROCESSOR = 4
"""More do not fit its cache and are slower."""
ELSEWHERE = 32
"""Fewer do not fill an accelerator; 32 need less than 2 GB of its memory."""


def ready(name: str) -> torch.device:
    """The device of that name, set to full single precision: rounded for tensor cores, maps change by 0.02.

    Raises:
        MissingDeviceError: there is none.
    """
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            raise MissingDeviceError(name)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device(name)


def compute_with(threads: int) -> None:
    """Let this process, and programs that it starts, compute with so many threads of the processor."""
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)


@contextmanager
def learning(device: torch.device) -> Iterator[None]:
    """Inside, an accelerator may round for its tensor cores: in training alone, which noise does not harm."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=True):
        yield


def at_once(device: torch.device) -> int:
    """Images that go through a network together."""
    return ON_PROCESSOR if device.type == "cpu" else ELSEWHERE


def batches(rows: Tensor) -> tuple[Tensor, ...]:
    """The rows, as many at once as their device wants."""
    return torch.split(rows, at_once(rows.device))


def rows_together(count: int, device: torch.device) -> tuple[Tensor, ...]:
    """The numbers of so many rows, as many at once as the device wants; none if there are none."""
    return torch.split(torch.arange(count), at_once(device)) if count else ()


def settle(device: torch.device) -> None:
    """Wait until the device has done what it was asked for; a processor has, when it answers."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_mb(device: torch.device) -> int | None:
    """Of the accelerator's memory, by tensors so far; None on a processor."""
    return torch.cuda.max_memory_allocated(device) // 2**20 if device.type == "cuda" else None


def named(device: torch.device) -> str:
    """With the accelerator's name, for whoever reads the times."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def sent(rows: Tensor, device: torch.device) -> Tensor:
    """The rows on the device, wherever they are; from locked memory, if that lets them travel while the
    processor goes on.
    """
    if device.type == "cuda" and rows.device.type == "cpu":
        return rows.pin_memory().to(device, non_blocking=True)
    return rows.to(device)
