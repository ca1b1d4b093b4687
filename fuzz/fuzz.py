"""Damaged and made-up files for every reader: a named error or a value, and nothing else.

    python fuzz/fuzz.py --inputs 10000            # every reader
    python fuzz/fuzz.py --inputs 500 image settings
    python fuzz/fuzz.py --guided                  # damaged further where that reaches new code; needs atheris
    python fuzz/fuzz.py --generated               # never good: every field is drawn; needs hypothesis

Good files are damaged at random, by seed: bits, bytes and numbers changed, parts cut out, repeated, moved or
overwritten. A reader fails when it raises anything but an error of flawtrace, takes more than `SECONDS`,
wants more than `MEMORY` beyond what the process had, or leaves a file behind. Inputs on which a reader failed
stay in `--keep`; so does the one at which the process itself ended.
"""

import argparse
import io
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import tifffile
import torch
from generated import FILES
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from PIL import Image as Pillow

from flawtrace.comparison.bench import read_rows
from flawtrace.comparison.methods import read_methods
from flawtrace.data.formats import class_names
from flawtrace.data.formats.annotated import Annotated, Defect
from flawtrace.data.formats.parsing import text_in
from flawtrace.data.formats.recognition import WRITERS, recognise
from flawtrace.data.protocols import read_split
from flawtrace.detector.artefact import Detector
from flawtrace.detector.doubts import doubts
from flawtrace.detector.exporting import export_onnx
from flawtrace.detector.facts import Facts
from flawtrace.detector.runtime import load
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import read_json
from flawtrace.ground.presets import load_config
from flawtrace.pictures.images import image_size, read_image
from flawtrace.pictures.mask_files import read_mask
from flawtrace.training.checkpoint import pack, unpack
from flawtrace.verbs import import_labels

SECONDS = 10
MEMORY = 2**30
TINY = Path(__file__).parents[1] / "tests/tiny.toml"
EXTREME = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x80\0\0\0", b"\1\0\0\0")
TOKENS = (b"null", b"-1", b"1e999", b"NaN", b'""', b"[]", b"{}", b"9" * 20, b'"\\ud800"', b"../../x")


def pictures() -> list[bytes]:
    """Small files of every kind that is read."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    found = []
    kinds: list[tuple[str, dict[str, str]]] = [(kind, {}) for kind in ("PNG", "JPEG", "BMP", "TIFF")]
    for kind, options in [*kinds, ("TIFF", {"compression": "tiff_lzw"})]:
        for picture in (Pillow.fromarray(noise), Pillow.fromarray(noise).convert("L")):
            buffer = io.BytesIO()
            picture.save(buffer, kind, **options)
            found.append(buffer.getvalue())
    for values in (noise[..., 0].astype(np.uint16) * 257, noise[..., 0].astype(np.float32) / 255):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values)
        found.append(buffer.getvalue())
    for mode in ("1", "P", "RGBA", "CMYK"):
        buffer = io.BytesIO()
        Pillow.fromarray(noise).convert(mode).save(buffer, "TIFF" if mode == "CMYK" else "PNG")
        found.append(buffer.getvalue())
    return found


def untrained() -> Detector:
    config = load_config(file=TINY, settings={"predictor.members": 1})
    return Detector.untrained(config, Facts(0.5, {}, ("ab",), "", {}))


def detectors() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        untrained().save(Path(folder) / "detector.safetensors")
        return [(Path(folder) / "detector.safetensors").read_bytes()]


def exported() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "detector.onnx"
        export_onnx(untrained(), file, [torch.rand(3, 32, 32)])
        return [file.read_bytes()]


def documents() -> list[bytes]:
    row = {"image": "test/hole/0.png", "mask": "ground_truth/hole/0_mask.png", "defect_type": "hole"}
    return [json.dumps({"normal": ["train/good/0.png"], "labelled": [row], "test": [row]}).encode()]


SIDE = 24
MARK = np.zeros((SIDE, SIDE), bool)
MARK[4:12, 6:14] = True


def annotated() -> list[Annotated]:
    """Two images as label files are written for: one with a defect and pixels to ignore, one normal."""
    defect = Annotated(Path("a.png"), "a.png", (SIDE, SIDE), (Defect("dent", MARK),), ignored=MARK.T)
    return [defect, Annotated(Path("b.png"), "b.png", (SIDE, SIDE))]


def written(form: str) -> list[bytes]:
    """Labels as flawtrace writes them, and as others do."""
    return [content for _, content in WRITERS[form].files(["dent"], annotated())] + FOREIGN.get(form, [])


FOREIGN: dict[str, list[bytes]] = {
    "coco": [
        json.dumps({
            "images": [{"id": 1, "file_name": "a.png", "height": SIDE, "width": SIDE}],
            "annotations": [
                {"image_id": 1, "category_id": 1, "segmentation": [[2, 2, 9, 2, 9, 9]], "bbox": [2, 2, 7, 7]},
                {"image_id": 1, "category_id": 1, "segmentation": {"counts": [9, 5, 562], "size": [24, 24]}},
                {"image_id": 1, "category_id": 1, "bbox": [1.5, 2, 3, 4], "iscrowd": 1},
            ],
            "categories": [{"id": 1, "name": "dent"}],
        }).encode()
    ],
    "labelme": [
        json.dumps({
            "imagePath": "a.png", "imageHeight": SIDE, "imageWidth": SIDE, "flags": {"dent": True},
            "shapes": [
                {"label": "dent", "shape_type": kind, "points": [[2, 2], [9, 5]][:count], "mask": "iVBOR"}
                for kind, count in (("rectangle", 2), ("circle", 2), ("line", 2), ("point", 1), ("mask", 2))
            ],
        }).encode()
    ],
    "label-studio": [
        json.dumps([{
            "data": {"image": "/data/upload/1/0a1b2c3d-a.png"},
            "annotations": [{"result": [
                {"id": "1", "type": kind, "original_width": SIDE, "original_height": SIDE, "value": value}
                for kind, value in (
                    ("rectanglelabels", {"x": 9, "y": 9, "width": 9, "height": 9, "rotation": 30,
                                         "rectanglelabels": ["dent"]}),
                    ("ellipselabels", {"x": 9, "y": 9, "radiusX": 9, "radiusY": 9,
                                       "ellipselabels": ["dent"]}),
                    ("polygonlabels", {"points": [[1, 1], [50, 1], [50, 50]], "polygonlabels": ["dent"]}),
                    ("keypointlabels", {"x": 9, "y": 9, "width": 1, "keypointlabels": ["dent"]}),
                    ("choices", {"choices": ["dent"]}),
                )
            ]}],
        }]).encode()
    ],
    "cvat": [
        b'<annotations><image id="0" name="a.png" width="24" height="24">'
        b'<polygon label="dent" points="2,2;9,2;9,9" occluded="1"/>'
        b'<box label="dent" xtl="1" ytl="2" xbr="8" ybr="9" rotation="30"/>'
        b'<ellipse label="dent" cx="9" cy="9" rx="4" ry="3"/><polyline label="dent" points="1,1;9,9"/>'
        b'<points label="dent" points="3,3;4,4"/><tag label="dent"/></image></annotations>'
    ],
    "yolo": [b"0 0.5 0.5 0.2 0.1\n1 0.1 0.1 0.4 0.1 0.4 0.4\n"],
}  # fmt: skip
PLACES = {
    "coco": "labels.json",
    "labelme": "a.json",
    "label-studio": "tasks.json",
    "cvat": "labels.xml",
    "yolo": "a.txt",
    "voc": "SegmentationClass/a.png",
    "masks": "masks/a.png",
}
"""Where a file of each format lies, beside images called a and b."""


def imported(form: str, path: Path) -> Any:
    """The labels in a file, with two images; what they say must not lead out of the folder for it."""
    with tempfile.TemporaryDirectory() as name:
        folder, labels = Path(name), Path(name) / "in" / PLACES[form]
        labels.parent.mkdir(parents=True)
        labels.write_bytes(path.read_bytes())
        for image in ("a", "b"):
            place = folder / "in" / ("images" if form in ("voc", "masks") else "")
            place.mkdir(exist_ok=True)
            Pillow.fromarray(np.full((SIDE, SIDE, 3), 99, np.uint8)).save(place / f"{image}.png")
        before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        try:
            recognise(folder / "in")
            return import_labels(folder / "in", folder / "out", format=form, skip_bad=True)
        finally:
            after = {file for file in folder.rglob("*") if file.is_file()}
            assert all(file.read_bytes() == content for file, content in before.items())
            assert all(file.is_relative_to(folder / "out") for file in after - before.keys())


def class_lists(path: Path) -> Any:
    text = text_in(path)
    kinds = (class_names.from_lines, class_names.from_yaml, class_names.of_numbers, class_names.of_colours)
    return [read(text) for read in kinds]


READERS: dict[str, tuple[Callable[[], list[bytes]], Callable[[Path], Any]]] = {
    "image": (pictures, read_image),
    "mask": (pictures, read_mask),
    "size": (pictures, image_size),
    "settings": (
        lambda: [b'labels = 3\n[sampler]\nkind = "uniform"\nstride = 8\n[predictor]\ninputs = ["profile"]\n'],
        lambda path: load_config("light", path),
    ),
    "methods": (
        lambda: [b'[a]\nsettings = { "labels" = 3 }\n[b]\ncommand = ["{python}", "{split}", "{maps}"]\n'],
        read_methods,
    ),
    "detector": (detectors, lambda path: list(doubts(Detector.load(path).facts))),
    "onnx": (exported, lambda path: list(doubts(load(path).facts))),
    "split": (documents, lambda path: read_split(path, Path("root"))),
    "json": (documents, read_json),
    "rows": (lambda: [b'{"method": "a", "trial": "b", "metrics": {"x": 1.0}}\n' * 3], read_rows),
    "checkpoint": (lambda: [pack({"a": torch.ones(3), "b": [1, None, {"c": "d"}]})], unpack),
    **{form: (partial(written, form), partial(imported, form)) for form in WRITERS if form != "voc"},
    "voc": (pictures, partial(imported, "voc")),
    "masks": (pictures, partial(imported, "masks")),
    "classes": (
        lambda: [
            b"names: ['dent', scratch]\nnc: 2\n",
            b"names:\n  0: dent\n  1: scratch\n",
            b"# label:color_rgb:parts:actions\ndent:250,50,83::\n",
            b"0 _background_\n1: dent\n",
        ],
        class_lists,
    ),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """One to four changes, most of them near the beginning, where headers are."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        early = int(rng.expovariate(4 / len(data)))
        place = early if rng.random() < 0.7 and early < len(data) else rng.randrange(len(data))
        length = min(rng.choice((1, 2, 4, 16, 256)), len(data) - place)
        change = rng.randrange(7)
        if change == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            data[place : place + length] = rng.randbytes(length)
        elif change == 2:
            data[place : place + 4] = rng.choice(EXTREME)
        elif change == 3:
            del data[place : place + length]
        elif change == 4:
            data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))
        elif change == 5:
            del data[place:]
        else:
            data[place : place + rng.choice((0, 1, 4))] = rng.choice(TOKENS)
    return bytes(data)


class LateError(BaseException):
    """No `except Exception` of a reader catches it."""


def late(_signal: int, _frame: FrameType | None) -> None:
    raise LateError(f"more than {SECONDS} s")


def failure(read: Callable[[Path], Any], path: Path) -> BaseException | None:
    """What the reader raised that it should not have; a named error does not excuse a want of memory."""
    signal.alarm(SECONDS)
    try:
        read(path)
    except FlawtraceError as error:
        causes = (error.__cause__, error.__context__)
        return next((cause for cause in causes if isinstance(cause, MemoryError)), None)
    except (Exception, LateError) as error:  # whatever it is, it is a failure
        return error
    finally:
        signal.alarm(0)
    return None


def fuzz(name: str, inputs: int, seed: int, keep: Path | None) -> int:
    """Reads so many damaged files; returns on how many the reader failed."""
    make, read = READERS[name]
    seeds, rng, failed, started = make(), random.Random(f"{name} {seed}"), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        before = names_in(folder, keep)
        for number in range(inputs):
            path = (keep or Path(folder)) / f"{name}-{seed}-{number}"
            path.write_bytes(damaged(rng.choice(seeds), rng))
            if (error := failure(read, path)) is not None:
                failed += 1
                print(f"{name} {number}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
            else:
                path.unlink()
        strays = [left for left in names_in(folder, keep) - before if not left.startswith(f"{name}-")]
    print(f"{name}: {inputs:,} inputs, {failed} failures, {time.monotonic() - started:.0f} s")
    for stray in strays:
        print(f"{name}: left {stray} behind", file=sys.stderr)
    return failed + len(strays)


def names_in(*folders: str | Path | None) -> set[str]:
    return {file.name for folder in folders if folder for file in Path(folder).iterdir()}


def guided(names: list[str], inputs: int, seed: int, keep: Path | None) -> int:
    """The same, guided by coverage, in processes of their own; returns on how many readers failed."""
    script, failed = Path(__file__).with_name("guided.py"), 0
    with tempfile.TemporaryDirectory() as folder:
        place = keep or Path(folder)
        command = [sys.executable, script, str(inputs), *names, "--seed", str(seed), "--keep", str(place)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for name, code, took in map(json.loads, process.stdout):
                said = said_of(name, place).read_text(errors="replace")
                reached = [line.split("cov: ")[1].split()[0] for line in said.splitlines() if "cov: " in line]
                failed += code != 0
                if code != 0:
                    print(said[-3000:], file=sys.stderr)
                print(
                    f"{name}: {inputs:,} inputs, {reached[0] if reached else 0} to "
                    f"{reached[-1] if reached else 0} branches, {int(code != 0)} failures, {took:.0f} s"
                )
    return failed + int(process.returncode != 0)


def said_of(name: str, keep: Path) -> Path:
    """The file with what Atheris says of a reader."""
    return keep / f"{name}.log"


def drawn(name: str, inputs: int, seed: int, keep: Path | None) -> int:
    """The same with files that hypothesis makes from nothing; returns 1 if the reader failed."""
    read, started, failed = READERS[name][1], time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(keep or folder) / f"{name}-generated"

        @seeded(seed)
        @settings(
            max_examples=inputs,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(FILES[name])
        def one(content: bytes) -> None:
            path.write_bytes(content)
            if (error := failure(read, path)) is not None:
                raise error

        try:
            one()
        except (Exception, LateError) as error:  # whatever the reader raised
            failed = 1
            print(f"{name}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
        if not failed:
            path.unlink(missing_ok=True)
    print(f"{name}: {inputs:,} generated inputs, {failed} failures, {time.monotonic() - started:.0f} s")
    return failed


def limited() -> None:
    """No more than `MEMORY` beyond what is mapped now."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.RLIM_INFINITY))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readers", nargs="*", choices=[[], *READERS])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--guided", action="store_true")
    ways.add_argument("--generated", action="store_true")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # each thread reserves memory, of which there is not much
    names = arguments.readers or list(READERS)
    if arguments.guided:
        return int(guided(names, arguments.inputs, arguments.seed, arguments.keep) > 0)
    signal.signal(signal.SIGALRM, late)
    limited()
    attack = drawn if arguments.generated else fuzz
    failed = [attack(name, arguments.inputs, arguments.seed, arguments.keep) for name in names]
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
