"""What can be wrong with a cluster, and with what is asked of it."""

from collections.abc import Sequence
from pathlib import Path

from flawtrace.ground.errors import FlawtraceError


class UnreachableError(FlawtraceError):
    def __init__(self, address: str, cause: str) -> None:
        super().__init__(
            f"No Ray cluster answers at {address}: {cause}.\n"
            "Expected the address of a running head node, such as 10.0.0.5:6379, and its token in "
            "RAY_AUTH_TOKEN and RAY_AUTH_MODE=token.\n"
            "Run this on a node of the cluster, or use --ray local to start Ray on this machine."
        )


class NoRoomError(FlawtraceError):
    """No node could ever run what is asked; Ray itself would wait without end."""

    def __init__(self, needs: str, nodes: Sequence[str]) -> None:
        largest = "; ".join(sorted(set(nodes))) or "none"
        super().__init__(
            f"No node of the cluster has room for {needs}.\n"
            f"Expected a node at least that large; the nodes have: {largest}.\n"
            "Ask for less with --threads and --memory, or add a larger node."
        )


class TooFewProcessorsError(FlawtraceError):
    def __init__(self, count: float) -> None:
        super().__init__(
            f"The cluster has {count:g} CPU.\n"
            "Expected at least 2, because Ray Data waits without end where it has fewer.\n"
            "Add a node, or run the same command without --ray."
        )


class ManifestError(FlawtraceError):
    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"{file} cannot be read as a list of images: {reason}.\n"
            "Expected a Parquet file with a column `image` of paths, relative ones below the file's folder.\n"
            "Write such a file, or give the folder of the images."
        )


class InterruptedPredictionError(FlawtraceError):
    def __init__(self, missing: int, total: int, reason: str) -> None:
        super().__init__(
            f"{missing} of {total} shards of images have no rows: {reason}.\n"
            "Expected rows for all of them; the other rows are kept.\n"
            "Run the same command again: it goes on with what is missing."
        )


class LostCycleError(FlawtraceError):
    def __init__(self, what: str, deaths: int, reason: str) -> None:
        super().__init__(
            f"{what} died {deaths} times on the cluster: {reason}.\n"
            "Expected an actor with enough memory to live through it; rounds that were over are kept.\n"
            "Give actors more room with --memory, and run the same command with --resume."
        )


class NothingToTuneError(FlawtraceError):
    def __init__(self, folder: Path, cause: str | None = None) -> None:
        super().__init__(
            f"No trial on {folder} has a score{f': {cause}' if cause else ''}.\n"
            "Expected at least one label with a mask, because settings are judged on labels that training "
            "held out, and settings that can work.\n"
            "Label an image (`flawtrace inspect` says what is there), or change the search space."
        )


class OtherSearchError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} holds another search: other images, settings, search space or numbers of trials.\n"
            "Expected the same, because scores of all trials are compared.\n"
            "Choose another folder with -o, or delete this one."
        )


class ElsewhereError(FlawtraceError):
    """A node does not see the files that it is to work on."""

    def __init__(self, folder: Path, node: str) -> None:
        super().__init__(
            f"The node {node} does not see {folder}.\n"
            "Expected images and output in folders that every node has under the same path.\n"
            "Mount them there, on network storage for example."
        )
