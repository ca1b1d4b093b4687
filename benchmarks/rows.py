"""What programs with a file of rows share: their arguments, and a run that adds rows and prints a table."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from flawtrace.ground.files import append_json, read_jsonl

Row = dict[str, Any]


def arguments_of(doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seeds", default="42-44")
    return parser


def run(
    cells: Callable[[argparse.Namespace], Iterator[Row]],
    table: Callable[[list[Row]], str],
    arguments: argparse.Namespace,
    shown: Sequence[str],
) -> None:
    """Add each new row to the file and print what is `shown` of it; at last print the table of all rows."""
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for row in cells(arguments):
        append_json(arguments.out, row)
        print(json.dumps({name: row[name] for name in shown}), flush=True)
    print(table(list(read_jsonl(arguments.out))))
