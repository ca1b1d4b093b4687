"""Readers of `fuzz.py` against inputs that coverage guides: what reaches new code is damaged further.

    python fuzz/guided.py 10000 image split --keep found/

Atheris (libFuzzer) sees which branches of flawtrace, of Pillow's and of tifffile's Python an input reaches.
It starts from the same good files, and a reader fails by the same rules; the input on which it did lies in
`--keep`, beside what Atheris said of each reader. A reader's process ends at its first failure, with a code
that is not 0; they are forked from one, because it takes 10 s to import what is watched. `fuzz.py --guided`
does this for every reader.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import atheris

with atheris.instrument_imports(include=["flawtrace", "PIL", "tifffile"]):
    from fuzz import MEMORY, READERS, SECONDS, failure, late, limited, said_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", type=int)
    parser.add_argument("readers", nargs="+", choices=READERS)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    for reader in arguments.readers:
        started, child = time.monotonic(), os.fork()
        if not child:
            said = os.open(said_of(reader, arguments.keep), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (sys.stdout, sys.stderr):
                os.dup2(said, stream.fileno())
            fuzz(reader, arguments.inputs, arguments.seed, arguments.keep)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([reader, code, time.monotonic() - started]), flush=True)


def fuzz(reader: str, inputs: int, seed: int, keep: Path) -> NoReturn:
    """Ends the process."""
    make, read = READERS[reader]
    with tempfile.TemporaryDirectory() as folder:
        corpus, path = Path(folder) / "corpus", Path(folder) / "input"
        corpus.mkdir()
        for number, content in enumerate(make()):
            (corpus / str(number)).write_bytes(content)

        def one(data: bytes) -> None:
            path.write_bytes(data)
            if (error := failure(read, path)) is not None:
                raise error

        options = [
            f"-runs={inputs}",
            f"-seed={seed + 1}",
            f"-timeout={2 * SECONDS}",
            f"-rss_limit_mb={2 * MEMORY // 2**20}",
            f"-artifact_prefix={keep}/{reader}-",
        ]
        signal.signal(signal.SIGALRM, late)
        limited()
        atheris.Setup([sys.argv[0], *options, str(corpus)], one)
        atheris.Fuzz()
    raise SystemExit


if __name__ == "__main__":
    main()
