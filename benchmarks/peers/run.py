"""One peer on one split: fit it, write the anomaly maps of the test images.

    python benchmarks/peers/run.py METHOD SPLIT.json ROOT OUT.safetensors [--cache DIR] [--threads 1]

A peer is a module of this folder with

    SETTINGS                how it is set, for the record
    PACKAGES                distributions whose versions belong to the record
    LABELS                  whether it learns from labelled images
    fit(examples)           learns; returns all it has learnt, as named tensors
    restore(state, seed)    those tensors as a function: images (b, 3, 256, 256) to raw maps (b, 256, 256),
                            higher is worse, and scores (b,), or None where the map's maximum is the score

Peers without labels keep their tensors under `--cache`: every split with the same normal images, seed and
settings is answered from one fit, and says what that fit cost.
"""

import argparse
import hashlib
import json
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from examples import Split
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from flawtrace.ground.files import write_bytes
from flawtrace.ground.memory import peak_memory_mb

METHODS = ("padim", "patchcore", "supersimplenet", "unet", "reconstruction")


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    peer, split = import_module(arguments.method), Split(arguments.split, arguments.root)
    settings = described(peer, split.seed)
    state, cost = fitted(peer, split, settings, arguments.cache)
    tensors, seconds = predicted(peer, split, state)
    facts = {
        "settings": {**settings, "threads": arguments.threads},
        "train_seconds": cost["train_seconds"],
        "predict_seconds": round(seconds / max(split.num_test, 1), 4),
        "peak_memory_mb": max(cost["peak_memory_mb"], peak_memory_mb()),
        "threshold": None,
    }
    write(arguments.maps, tensors, facts)
    print(json.dumps({key: value for key, value in facts.items() if key != "settings"}))


def described(peer: ModuleType, seed: int) -> dict[str, Any]:
    versions = {name: version(name) for name in ("torch", "numpy", *peer.PACKAGES)}
    return {"method": peer.__name__, "seed": seed, **peer.SETTINGS, "versions": versions}


def fitted(
    peer: ModuleType, split: Split, settings: dict[str, Any], cache: Path | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the peer learnt from the split, and what learning it cost, now or when the cache was filled."""
    if cache is None or peer.LABELS:
        return learnt(peer, split)
    known = split.normal_digest() + json.dumps(settings, sort_keys=True)
    file = cache / f"{peer.__name__}-{hashlib.sha256(known.encode()).hexdigest()[:16]}.safetensors"
    if not file.exists():
        write(file, *learnt(peer, split))
    return read(file)


def learnt(peer: ModuleType, split: Split) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reading the images counts as learning."""
    started = time.process_time()
    state = peer.fit(split.examples(peer.LABELS))
    seconds = round(time.process_time() - started, 1)
    return state, {"train_seconds": seconds, "peak_memory_mb": peak_memory_mb()}


def predicted(peer: ModuleType, split: Split, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], float]:
    """Maps and scores of the test images, and the processor time from images in memory to maps."""
    predict = peer.restore(state, split.seed)
    maps, scores, seconds = [], [], 0.0
    for images in split.test_batches():
        started = time.process_time()
        with torch.no_grad():
            found, valued = predict(images)
        seconds += time.process_time() - started
        maps.append(found)
        scores += [] if valued is None else [valued]
    tensors = {"maps": torch.cat(maps).float()}
    if scores:
        tensors["scores"] = torch.cat(scores).float()
    return tensors, seconds


def write(file: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Whole or not at all."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_bytes(file, save(whole, metadata={"flawtrace": json.dumps(facts)}))


def read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(file, framework="pt") as opened:
        names = list(opened.keys())
        return {name: opened.get_tensor(name) for name in names}, json.loads(opened.metadata()["flawtrace"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("split", type=Path, help="which images to learn from, which to answer for")
    parser.add_argument("root", type=Path, help="the folder that the split's paths start from")
    parser.add_argument("maps", type=Path, help="the safetensors file to write")
    parser.add_argument("--cache", type=Path, help="keeps what peers without labels have learnt")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
