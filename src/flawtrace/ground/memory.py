"""How much memory this process has taken at most, where the system says so."""

import sys
from contextlib import suppress
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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
