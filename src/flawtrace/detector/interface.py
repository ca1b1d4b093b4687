"""What an exported graph takes and gives: names, meanings, and images as floats or as a camera's bytes."""

from importlib import import_module
from typing import TYPE_CHECKING

from flawtrace.detector.stages import KEY, STAGES
from flawtrace.ground.config import Config
from flawtrace.ground.groups import InputKind

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

FLOAT, BYTES = 1, 2
"""Kinds of values, as ONNX numbers them."""
AXES = ("batch", "height", "width")
"""Of what comes out; of a score or verdict the first alone."""
IMAGES = "images"
PIXELS = "pixels"
"""The images as floats, in a graph that takes bytes."""
OUTPUTS = {
    "map": "float32, the probability of a defect in each pixel, in [0, 1]",
    "mask": "bool, the pixels whose probability reaches `outline`; none where the verdict is OK",
    "score": "float32, how likely the image shows a defect, in [0, 1]; higher is worse",
    "verdict": "int64, 0 OK, 1 UNSURE (the score reaches `unsure`) or 2 DEFECT (it reaches `defect`)",
}
TAKES: dict[InputKind, str] = {
    "float": "float32, channels in the order RGB, from 0 (black) to 1 (white): bytes divided by 255",
    "uint8": "uint8, channels in the order RGB, from 0 (black) to 255 (white)",
}


def describe(model: "ModelProto", config: Config) -> None:
    """Say in the file itself what goes in and what comes out."""
    (images,), tile = model.graph.input, config.tile_side
    size = "of any size" if tile is None else f"tiles of {tile} x {tile} pixels, cut from images with overlap"
    images.doc_string = f"{TAKES['uint8' if takes_bytes(model) else 'float']}; {size}"
    for output in model.graph.output:
        output.doc_string = OUTPUTS[output.name]
        for name, axis in zip(AXES, output.type.tensor_type.shape.dim, strict=False):
            axis.dim_param = name
    values = [f"{value.name}: {value.doc_string}." for value in (images, *model.graph.output)]
    model.producer_name = "flawtrace"
    model.doc_string = "\n".join(
        (
            "A detector of defects in images of one product, exported by flawtrace.",
            *values,
            "The thresholds `outline`, `unsure` and `defect` are initializers, and named in the metadata.",
        )
    )


def takes_bytes(model: "ModelProto") -> bool:
    return any(PIXELS in node.output for node in model.graph.node)


def with_bytes(model: "ModelProto") -> None:
    """Let a graph that takes floats take bytes (b, h, w, 3) instead, and make floats of them itself."""
    helper = import_module("onnx.helper")
    white = helper.make_tensor("white", FLOAT, (), [255.0])
    front = [
        helper.make_node("Cast", [IMAGES], ["levels"], to=FLOAT),
        helper.make_node("Div", ["levels", white.name], ["shares"]),
        helper.make_node("Transpose", ["shares"], [PIXELS], perm=(0, 3, 1, 2)),
    ]
    for node in front:
        helper.set_model_props(node, {KEY: STAGES[0]})
    graph = model.graph
    graph.initializer.append(white)
    _begin(graph, front, [*graph.node], reads=(IMAGES, PIXELS))
    images = helper.make_tensor_value_info(IMAGES, BYTES, ("batch", "height", "width", 3))
    graph.input[0].CopyFrom(images)


def with_floats(model: "ModelProto") -> None:
    """Undo `with_bytes`, so that images of more than 8 bits and resized tiles keep their precision."""
    if not takes_bytes(model):
        return
    helper, graph = import_module("onnx.helper"), model.graph
    names = [output for node in graph.node for output in node.output]
    _begin(graph, [], [*graph.node][names.index(PIXELS) + 1 :], reads=(PIXELS, IMAGES))
    images = helper.make_tensor_value_info(IMAGES, FLOAT, ("batch", 3, "height", "width"))
    graph.input[0].CopyFrom(images)


def _begin(
    graph: "GraphProto", front: list["NodeProto"], rest: list["NodeProto"], reads: tuple[str, str]
) -> None:
    """Let a graph begin with `front`, and the rest of its nodes read the second name instead of the first."""
    old, new = reads
    kept = [type(node).FromString(node.SerializeToString()) for node in (*front, *rest)]
    for node in kept[len(front) :]:
        node.input[:] = [new if name == old else name for name in node.input]
    del graph.node[:]
    graph.node.extend(kept)
