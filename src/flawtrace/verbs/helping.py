"""What a bug report needs."""

from pathlib import Path
from typing import Any

from flawtrace.report import examined


def doctor(run: Path | str | None = None) -> dict[str, Any]:
    """What a bug report needs: versions, machine, and the facts of a run; nothing of the images."""
    return examined(Path(run) if run else None)
