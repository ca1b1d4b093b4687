"""How a peer does on labels that it does not see: what its settings were chosen by.

    python benchmarks/peers/held_out.py METHOD SPLIT.json ROOT [--set NAME=VALUE ...] [--fold 0] [--threads 1]

Fits the peer without one third of the labelled images and without as many normal images, and prints the
scores on those; a peer that learns from no labels is judged on all of them. Test images are not read.
"""

import argparse
import json
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from examples import Examples, Split

from flawtrace.measures.metrics import Decided, summary
from flawtrace.training.fitting import folds

FOLDS = 3


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    peer = import_module(arguments.method)
    changed = dict(parsed(setting) for setting in arguments.set)
    assert changed.keys() <= peer.SETTINGS.keys(), f"{arguments.method} has no such setting: {changed}"
    peer.SETTINGS.update(changed)
    examples = Split(arguments.split, arguments.root).examples(labels=True)
    seen, held, num_defective = divided(examples, arguments.fold if peer.LABELS else None)
    started = time.process_time()
    state = peer.fit(seen)
    seconds = time.process_time() - started
    print(json.dumps({**changed, **scores(peer, state, held, num_defective), "seconds": round(seconds)}))


def divided(examples: Examples, fold: int | None) -> tuple[Examples, Examples, int]:
    """Those to learn from; those to judge by, and how many of these show a defect: all, without a fold."""
    fold_of = torch.tensor(folds(examples.defect_types, FOLDS))
    where = torch.ones_like(fold_of, dtype=torch.bool) if fold is None else fold_of == fold
    kept = int(where.sum())
    seen = replace(
        examples,
        normal=examples.normal[kept:],
        labelled=examples.labelled[~where],
        masks=examples.masks[~where],
        defect_types=tuple(
            name for name, out in zip(examples.defect_types, where.tolist(), strict=True) if not out
        ),
    )
    none = torch.zeros(kept, *examples.masks.shape[1:], dtype=torch.bool)
    held = replace(
        examples,
        labelled=torch.cat([examples.labelled[where], examples.normal[:kept]]),
        masks=torch.cat([examples.masks[where], none]),
    )
    return seen, held, kept


def scores(peer: ModuleType, state: dict[str, Any], held: Examples, num_defective: int) -> dict[str, Any]:
    predict = peer.restore(state, held.seed)
    with torch.no_grad():
        answers = [predict(images) for images in torch.split(held.labelled, 8)]
    maps = torch.cat([found for found, _ in answers])
    images = maps.amax(dim=(1, 2)) if answers[0][1] is None else torch.cat([valued for _, valued in answers])
    decided = Decided.at(maps.numpy(), images.numpy(), 0.5)
    found = summary(maps.numpy(), held.masks.numpy(), images.numpy(), decided)
    known = {name: round(value, 3) for name, value in found.items() if value is not None}
    return {"defective": num_defective, **known}


def parsed(setting: str) -> tuple[str, Any]:
    name, _, value = setting.partition("=")
    return name, json.loads(value)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method")
    parser.add_argument("split", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="values are JSON")
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS))
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
