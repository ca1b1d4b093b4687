"""What can be wrong with a comparison: its methods, categories, rows and worker processes."""

from pathlib import Path

from flawtrace.data import DataError
from flawtrace.ground.errors import FlawtraceError


class UnknownMethodError(FlawtraceError):
    def __init__(self, name: str, near: str | None, known: tuple[str, ...]) -> None:
        hint = f"Did you mean {near}?" if near else f"The methods are {', '.join(known)}."
        super().__init__(f"No method is called {name}. {hint}")


class MethodChangedError(FlawtraceError):
    def __init__(self, file: Path, trial: str, method: str) -> None:
        super().__init__(
            f"{file} holds a result of {method} on {trial}, obtained with settings other than the current.\n"
            "Expected each method name to stand for one set of settings.\n"
            "Give the changed method another name, or remove the old rows from the file."
        )


class ThreadsChangedError(FlawtraceError):
    def __init__(self, file: Path, trial: str, method: str, before: int, now: int | None) -> None:
        super().__init__(
            f"{file} holds a result of {method} on {trial}, computed with --threads {before}, not {now}.\n"
            "Expected the same number of threads for all of its results: their last bits depend on it.\n"
            f"Give --threads {before}, or another folder with -o."
        )


class SameNameError(DataError):
    def __init__(self, one: Path, other: Path) -> None:
        super().__init__(
            f"Two categories have the same name: {one} and {other}.\n"
            "Expected different names, because results are stored by name.\n"
            "Rename one of the folders."
        )


class NoCategoryError(DataError):
    def __init__(self, root: Path) -> None:
        super().__init__(
            f"No category was found in {root}.\n"
            "Expected a folder that contains train/good, normal, or images and masks in pairs, "
            "or a folder of such folders.\n"
            "Give the folder of a category, or the folder above it."
        )


class MapsError(FlawtraceError):
    """Another program did not write what it should."""

    def __init__(self, command: str, cause: str, log: Path) -> None:
        super().__init__(
            f"`{command}` wrote no usable anomaly maps: {cause}.\n"
            "Expected a safetensors file with a tensor named maps, one map per test image; one "
            "named scores, with a number for each, is optional.\n"
            f"Its output is in {log}."
        )


class UnguardedScriptError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "A process of the benchmark could not start: each one imports the script that called "
            "`flawtrace.benchmark`, and so would call it again.\n"
            'Expected the call below `if __name__ == "__main__":`.\n'
            "Put it there, or run `flawtrace benchmark` instead."
        )


class WorkerLostError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "A process of the benchmark was killed, most likely because memory ran out.\n"
            "Expected about 4 GB of memory for each job.\n"
            "Run the same command again with fewer --jobs; it continues with what is not finished."
        )
