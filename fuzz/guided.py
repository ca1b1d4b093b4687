"""One reader of `fuzz.py` against inputs that coverage guides: what reaches new code is damaged further.

    python fuzz/guided.py image 10000 --keep found/

Atheris (libFuzzer) sees which branches of flawtrace, of Pillow's and of tifffile's Python an input reaches.
It starts from the same good files, and a reader fails by the same rules; the input on which it did lies in
`--keep`. The process ends at the first failure, with a code that is not 0. `fuzz.py --guided` does this for
every reader.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["flawtrace", "PIL", "tifffile"]):
    from fuzz import MEMORY, READERS, SECONDS, failure, late, limited


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("inputs", type=int)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    make, read = READERS[arguments.reader]
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
            f"-runs={arguments.inputs}",
            f"-seed={arguments.seed + 1}",
            f"-timeout={2 * SECONDS}",
            f"-rss_limit_mb={2 * MEMORY // 2**20}",
            f"-artifact_prefix={arguments.keep}/{arguments.reader}-",
        ]
        signal.signal(signal.SIGALRM, late)
        limited()
        atheris.Setup([sys.argv[0], *options, str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
