"""Files that were never good: hypothesis makes each kind from what its format is made of.

Damage keeps most of a good file as it was. Here every field is drawn: sizes, counts, lengths and kinds that
contradict each other, names and values of any type where others are expected.
"""

import json
import struct
import zlib
from typing import Any
from xml.etree import ElementTree

from hypothesis import strategies as st

NUMBERS = st.one_of(st.integers(0, 40), st.sampled_from([255, 256, 65_535, 2**31 - 1, 2**32 - 1]))
NAMES = st.sampled_from((
    "method", "trial", "metrics", "labels", "seed", "settings", "command",
    "category", "test", "train", "normal", "labelled", "image", "mask",
    "root", "defect_type", "format", "config", "facts", "checksum", "threshold",
    "familiar", "versions", "tree", "tensor", "pairs", "kind", "sampler",
    "stride", "predictor", "inputs", "dtype", "shape", "data_offsets", "__metadata__",
    "flawtrace",
))  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8), NAMES
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8)


@st.composite
def png(draw: st.DrawFn) -> bytes:
    """A header and some chunks, whose lengths and checksums need not be true."""
    header = struct.pack(
        ">IIBBBBB", draw(NUMBERS), draw(NUMBERS), *(draw(st.integers(0, 16)) for _ in range(5))
    )
    chunks = [(b"IHDR", header, None)]
    kinds = st.sampled_from([b"IDAT", b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"zTXt", b"acTL", b"fdAT", b"IEND"])
    for _ in range(draw(st.integers(0, 4))):
        content = draw(st.binary(max_size=60))
        packed = zlib.compress(content * draw(st.integers(1, 40)))
        chunks.append((draw(kinds), draw(st.sampled_from([content, packed])), draw(st.none() | NUMBERS)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body) if said is None else said)
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body, said in chunks
    )


@st.composite
def tiff(draw: st.DrawFn) -> bytes:
    """A directory of tags that readers look at, each with any type, count and value."""
    tags = st.sampled_from([254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 338, 339])
    entries = [
        struct.pack("<HHII", draw(tags), draw(st.integers(1, 13)), draw(NUMBERS), draw(NUMBERS))
        for _ in range(draw(st.integers(1, 14)))
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(sorted(entries)) + struct.pack("<I", draw(NUMBERS))
    return b"II*\0" + struct.pack("<I", 8) + directory + draw(st.binary(max_size=400))


@st.composite
def bmp(draw: st.DrawFn) -> bytes:
    fields = [draw(NUMBERS) for _ in range(9)]
    header = struct.pack("<IIIIHHIIIIII", 40, *fields[:2], 0, 1, draw(st.integers(0, 64)), *fields[2:8])
    return b"BM" + struct.pack("<IHHI", fields[8], 0, 0, 54) + header[4:] + draw(st.binary(max_size=200))


@st.composite
def toml(draw: st.DrawFn) -> bytes:
    """Tables of names and values, written as JSON, which mostly is TOML too."""
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        lines.append(f"[{draw(NAMES)}]")
        lines += [f"{draw(NAMES)} = {json.dumps(draw(VALUES))}" for _ in range(draw(st.integers(0, 3)))]
    return "\n".join(lines).encode(errors="replace")


@st.composite
def safetensors(draw: st.DrawFn) -> bytes:
    """A length, a header in JSON, and bytes; lengths are true more often than not."""
    said = draw(OBJECTS)
    if draw(st.booleans()):
        said["__metadata__"] = {"flawtrace": json.dumps(draw(OBJECTS)), "tree": json.dumps(draw(VALUES))}
    header = json.dumps(said).encode()
    return struct.pack("<Q", draw(st.just(len(header)) | NUMBERS)) + header + draw(st.binary(max_size=64))


LABELS = st.sampled_from((
    "id", "image_id", "category_id", "file_name", "height", "width", "name", "segmentation", "counts", "size",
    "bbox", "normal", "label", "points", "shape_type", "mask", "flags", "group_id", "imagePath",
    "imageHeight", "imageWidth", "data", "image", "annotations", "result", "value", "type", "original_height",
    "original_width", "rle", "x", "y", "radiusX", "radiusY", "rotation", "brushlabels", "rectanglelabels",
    "choices", "was_cancelled", "a.png", "b.png", "../a.png", "/etc/a.png", "..\\..\\a.png", "dent", "ignore",
    "ok", "polygon", "circle", "rectangle", "line", "point", "polygonlabels", "keypointlabels",
))  # fmt: skip
PLAIN = st.one_of(
    LABELS, st.integers(-2, 30), NUMBERS, st.floats(), st.none(), st.booleans(), st.text(max_size=6)
)
ANY = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LABELS, inner, max_size=6),
    max_leaves=10,
)
PAIRS = st.lists(st.tuples(PLAIN, PLAIN) | ANY, max_size=5)
SHAPES_OF_LABELME = st.sampled_from(["polygon", "rectangle", "circle", "line", "point", "mask"])


def like(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with these fields, all of which may be missing, or anything else."""
    return st.fixed_dictionaries({}, optional=fields) | st.fixed_dictionaries(fields) | ANY


def listed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | ANY


COCO = st.fixed_dictionaries(
    {
        "images": listed(
            like(
                id=st.integers(0, 2), file_name=LABELS, height=st.just(24) | PLAIN, width=st.just(24) | PLAIN
            )
        ),
        "annotations": listed(
            like(
                image_id=st.integers(0, 2),
                category_id=st.integers(0, 2),
                segmentation=like(
                    counts=st.lists(PLAIN, max_size=5) | st.text(max_size=9), size=st.just([24, 24]) | ANY
                )
                | st.lists(PAIRS, max_size=2),
                bbox=st.lists(PLAIN, min_size=4, max_size=4),
            )
        ),
        "categories": listed(like(id=st.integers(0, 2), name=LABELS)),
    }
)
LABELME = st.fixed_dictionaries(
    {
        "shapes": listed(
            like(label=LABELS, shape_type=SHAPES_OF_LABELME, points=PAIRS, mask=st.text(max_size=9))
        ),
        "imagePath": st.just("a.png") | PLAIN,
        "imageHeight": st.just(24) | ANY,
        "imageWidth": st.just(24) | ANY,
        "flags": ANY,
    }
)
LABEL_STUDIO = st.lists(
    st.fixed_dictionaries({
        "data": like(image=LABELS),
        "annotations": listed(
            like(
                was_cancelled=st.booleans(),
                result=listed(
                    like(
                        type=LABELS,
                        original_height=st.just(24) | PLAIN,
                        original_width=st.just(24) | PLAIN,
                        value=like(
                            x=PLAIN, y=PLAIN, width=PLAIN, height=PLAIN, radiusX=PLAIN, radiusY=PLAIN,
                            rotation=PLAIN, points=PAIRS, rle=st.lists(PLAIN, max_size=9),
                            brushlabels=listed(LABELS), choices=ANY,
                        ),
                    )
                ),
            )
        ),
    }),
    max_size=2,
)  # fmt: skip


@st.composite
def cvat(draw: st.DrawFn) -> bytes:
    """An image and shapes, whose attributes need not be there or be numbers."""
    value = st.one_of(st.integers(-2, 30), NUMBERS, st.floats(), st.text("0123456789,;.-e ", max_size=12))
    names = st.sampled_from((
        "label", "points", "xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry", "rotation", "rle", "left",
        "top", "width", "height", "occluded", "outside",
    ))  # fmt: skip
    kinds = st.sampled_from(["polygon", "polyline", "points", "box", "mask", "ellipse", "tag", "skeleton"])
    root = ElementTree.Element("annotations")
    for _ in range(draw(st.integers(0, 2))):
        size = {name: str(draw(st.just(24) | NUMBERS)) for name in ("width", "height")}
        image = ElementTree.SubElement(root, "image", {"name": draw(LABELS), **size})
        for _ in range(draw(st.integers(0, 3))):
            said = {draw(names): str(draw(value)) for _ in range(draw(st.integers(0, 8)))}
            ElementTree.SubElement(image, draw(kinds), {"label": "dent", **said})
    return ElementTree.tostring(root)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


ROWS = st.lists(PLAIN.map(str), max_size=8).map(" ".join)
JSON = VALUES.map(lambda value: json.dumps(value).encode())
PICTURES = st.one_of(png(), tiff(), bmp(), st.binary(max_size=200).map(lambda rest: b"\xff\xd8\xff" + rest))
FILES: dict[str, st.SearchStrategy[bytes]] = {
    "image": PICTURES,
    "mask": PICTURES,
    "size": PICTURES,
    "settings": toml(),
    "methods": toml(),
    "detector": safetensors(),
    "onnx": st.binary(max_size=300),
    "split": JSON | OBJECTS.map(lambda value: json.dumps(value).encode()),
    "json": JSON,
    "rows": st.lists(JSON, max_size=4).map(b"\n".join),
    "checkpoint": safetensors(),
    "coco": COCO.map(dumped),
    "labelme": LABELME.map(dumped),
    "label-studio": LABEL_STUDIO.map(dumped),
    "cvat": cvat(),
    "yolo": st.lists(ROWS, max_size=4).map(lambda lines: "\n".join(lines).encode(errors="replace")),
    "voc": PICTURES,
    "masks": PICTURES,
    "classes": st.text(max_size=80).map(lambda text: text.encode(errors="replace")),
}
