"""What can go wrong at a station, each with a way out."""

from collections.abc import Sequence
from pathlib import Path

from flawtrace.ground.errors import FlawtraceError


class DatabaseError(FlawtraceError):
    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"Cannot use {url}: {reason}.\n"
            "Expected the address of a database, such as sqlite:///station.db or postgresql+psycopg://…\n"
            "Correct --database; PostgreSQL needs `pip install 'flawtrace[postgres]'`."
        )


class NoImageError(FlawtraceError):
    def __init__(self, image: str) -> None:
        super().__init__(
            f"There is no image {image[:64]} here.\nExpected the SHA-256 of an image that was added."
        )


class NoneLabelledError(FlawtraceError):
    def __init__(self, count: int) -> None:
        super().__init__(
            f"None of the {count} selected images has a label.\n"
            "Expected images of which somebody said that they are normal or defective.\n"
            "Label them on the page Images, or train on all that are labelled."
        )


class NoJobError(FlawtraceError):
    def __init__(self, job: int) -> None:
        super().__init__(f"There is no job {job}.\nThe page Train lists all jobs.")


class NoDetectorYetError(FlawtraceError):
    def __init__(self, version: int | None = None) -> None:
        what = "No detector is at work yet" if version is None else f"There is no detector {version}"
        super().__init__(f"{what}.\nTrain one on the page Train, and promote it on the page Compare.")


class StaleMaskError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "Somebody else has saved another mask of this image since you opened it.\n"
            "Expected the mask that you began with, so that no stroke is lost.\n"
            "Keep your strokes on top of the new mask, or take the new mask as it is."
        )


class MaskShapeError(FlawtraceError):
    def __init__(self, found: tuple[int, int], expected: tuple[int, int]) -> None:
        super().__init__(
            f"The mask has {found[1]} x {found[0]} pixels.\n"
            f"Expected {expected[1]} x {expected[0]}, like the image.\n"
            "Save the mask at the image's own size."
        )


class BrokenHistoryError(FlawtraceError):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(
            f"The history of verdicts was changed: line {line} {reason}.\n"
            "Expected each line to carry the hash of the one before.\n"
            "Lines before it can be trusted; restore the database from a backup to get back the others."
        )


class NoModelError(FlawtraceError):
    def __init__(self, name: str, expected: str) -> None:
        super().__init__(
            f"There is no model {name[:64]} here.\nExpected {expected}.\n"
            "GET /v2/models/detector describes it."
        )


class TensorError(FlawtraceError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The request cannot be understood: {reason}.\n"
            "Expected one tensor `image`: UINT8 of shape [height, width, 3], or BYTES of shape [1] with "
            "the file in base64.\n"
            "GET /v2/models/detector describes it."
        )


class NothingSentError(FlawtraceError):
    def __init__(self, field: str) -> None:
        address = "http://127.0.0.1:8321/v1/inspect" + ("/batch" if field == "images" else "")
        super().__init__(
            f"The form holds no file in the field `{field}`.\n"
            f"Expected {'at least' if field == 'images' else 'exactly'} one.\n"
            f"For example: curl -F {field}=@part.png {address}"
        )


class DamagedFormError(FlawtraceError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The form cannot be read: {reason.rstrip('.')}.\n"
            "Expected a whole form (multipart/form-data) with files.\n"
            "For example: curl -F image=@part.png http://127.0.0.1:8321/v1/inspect"
        )


class ForeignContentError(FlawtraceError):
    def __init__(self, content_type: str) -> None:
        super().__init__(
            f"Content of type {content_type[:64] or '(none)'} is not taken.\n"
            "Expected an image (such as image/png), or a form (multipart/form-data) with a file `image`.\n"
            "For example: curl --data-binary @part.png -H 'Content-Type: image/png' "
            "http://127.0.0.1:8321/v1/inspect"
        )


class BusyError(FlawtraceError):
    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} images wait already.\nSend the image again in a few seconds.")


class WorkerEndedError(FlawtraceError):
    def __init__(self, what: str) -> None:
        super().__init__(
            f"The process that was {what} has ended, most likely because memory ran out.\n"
            "Try again; a smaller image or a smaller detector needs less memory."
        )


class ForeignWorkspaceError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} is not empty and no workspace.\n"
            "Expected a new or empty folder, or one that `flawtrace serve` made.\n"
            "Name another folder; images are added on the page, or copied with `flawtrace serve --add DIR`."
        )


class TooMuchError(FlawtraceError):
    def __init__(self, what: str, most: str) -> None:
        super().__init__(f"{what} is too large.\nExpected at most {most}.\nSend less at once.")


class NotAnArchiveError(FlawtraceError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The archive cannot be unpacked: {reason}.\nExpected a zip file without a password.\n"
            "Pack it again, or drop the folder itself."
        )


class NotSeenError(FlawtraceError):
    def __init__(self, version: int) -> None:
        super().__init__(f"Detector {version} has not looked at this image.\nLet it look at the image first.")


class NoVerdictError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "No detector has said anything about this image that could be overruled.\n"
            "Let the detector look at it first, or say what it shows as a label."
        )


class NotEmptyError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "There are images here already.\nExpected an empty workspace for the images of the demo.\n"
            "Open another one: `flawtrace serve demo/`."
        )


class AddressError(FlawtraceError):
    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Cannot answer at {host}:{port}: {reason}.\n"
            "Expected an address of this machine, and a port that no other program uses.\n"
            "Choose another with --port (0 takes any that is free) or --host."
        )


class OpenElsewhereError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"A station is open on {folder} already.\n"
            "Expected none, because both would write the same files.\n"
            "Use its page, or close it first; it may take some seconds to end."
        )


class NoWorkspaceError(FlawtraceError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} is no workspace.\n"
            "Expected a folder that `flawtrace serve` has used before.\n"
            "Check the path."
        )


class OpenToAllError(FlawtraceError):
    def __init__(self, host: str, token: str) -> None:
        super().__init__(
            f"Anybody who can reach {host} could change everything here.\n"
            "Expected a token, or people with passwords, where the station is not for this machine alone.\n"
            f"Set FLAWTRACE_TOKEN, for example to {token}, or add people with --add-person NAME."
        )


class NoPersonError(FlawtraceError):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        expected = f"one of {', '.join(known)}" if known else "somebody, but nobody has a password here"
        super().__init__(
            f"There is no {name} here.\nExpected {expected}.\n"
            "`flawtrace serve WORKSPACE --people` shows who may use the station."
        )


class WeakPasswordError(FlawtraceError):
    def __init__(self, shortest: int, what: str = "password") -> None:
        super().__init__(
            f"The {what} is too short.\nExpected at least {shortest} characters.\n"
            "Several words are easy to keep in mind."
        )
