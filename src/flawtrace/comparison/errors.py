"""What can be wrong with a comparison: its methods, categories, rows and worker processes."""

from pathlib import Path

from flawtrace.data import DataError
from flawtrace.ground.errors import FlawtraceError


class UnknownMethodError(FlawtraceError):
    def __init__(self, name: str, near: str | None, known: tuple[str, ...]) -> None:
        hint = f"Did you mean {near}?" if near else f"Known are {', '.join(known)}."
        super().__init__(f"There is no method {name}. {hint}")


class MethodChangedError(FlawtraceError):
    def __init__(self, file: Path, trial: str, method: str) -> None:
        super().__init__(
            f"{file} holds a result of {method} on {trial} with other settings than asked for now.\n"
            "Expected one meaning for each name of a method.\n"
            "Give the changed method another name, or take the old rows out of the file."
        )


class SameNameError(DataError):
    def __init__(self, one: Path, other: Path) -> None:
        super().__init__(
            f"Two categories have the same name: {one} and {other}.\n"
            "Expected different names, by which results are told apart.\n"
            "Rename one of the folders."
        )


class NoCategoryError(DataError):
    def __init__(self, root: Path) -> None:
        super().__init__(
            f"No category lies in {root}.\n"
            "Expected a folder with train/good or normal, or folders that hold such folders.\n"
            "Name the folder of a category, or the one above it."
        )


class MapsError(FlawtraceError):
    """Another program did not give what it should."""

    def __init__(self, command: str, cause: str, log: Path) -> None:
        super().__init__(
            f"`{command}` gave no anomaly maps: {cause}.\n"
            "Expected a safetensors file with the tensor maps, one map per test image.\n"
            f"Its output is in {log}."
        )


class WorkerLostError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "A process of the benchmark was killed, most likely because memory ran out.\n"
            "Expected about 4 GB for each job.\n"
            "Run the same command again with fewer --jobs: it goes on with the cells that have no row yet."
        )
