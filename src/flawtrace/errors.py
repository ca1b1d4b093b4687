"""What can go wrong with a user's input: each error says what, where, what was expected and the way out.

Only the command line catches `FlawtraceError`; it prints the message and exits with 1.
"""


from pathlib import Path


class FlawtraceError(Exception):
    """Anything the user can put right."""


class OutputError(FlawtraceError):
    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(
            f"Cannot write {path}: {cause.strerror or cause}.\n"
            "Expected a folder with room and write permission.\n"
            "Free some space, or name another output folder with -o."
        )
