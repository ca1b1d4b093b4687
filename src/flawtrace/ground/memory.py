"""Memory of this process: how much it has taken at most, and what becomes of what it frees."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

KEPT = {"MALLOC_MMAP_THRESHOLD_": (-3, 32 * 2**20), "MALLOC_TRIM_THRESHOLD_": (-1, 256 * 2**20)}
"""By glibc's names and `mallopt`'s numbers: bytes from which on a block is given back as soon as it is freed,
the most that can be asked for; and free bytes at the heap's end from which on they are.
"""


def keep_freed_memory() -> None:
    """Let this process, and those that it starts, use freed memory again instead of giving it back at once.

    A pass through a network frees a block of some megabytes after each layer. By default glibc gives such
    blocks back to the system, which fills them with zeros before they come again: an eighth of the time.
    What the environment says stays as it is; other C libraries are left alone.
    """
    if any(name in os.environ for name in KEPT) or not sys.platform.startswith("linux"):
        return
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is None:
        return
    for name, (number, size) in KEPT.items():
        mallopt(number, size)
        os.environ[name] = str(size)


def peak_memory_mb() -> int:
    """Since the process began, or since `forget_peak`; 0 where the system does not tell."""
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else []
    for line in lines:
        if line.startswith("VmHWM:"):  # some sandboxes have the file without it
            return int(line.split()[1]) // 1024
    try:
        import resource  # noqa: PLC0415 (not on Windows)
    except ImportError:
        return 0
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def forget_peak() -> None:
    """Count from now on, where the system lets a process say so: Linux."""
    with suppress(OSError):
        FORGET.write_text("5")
