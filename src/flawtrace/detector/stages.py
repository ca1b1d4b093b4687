"""The stages of a detector, and an exported one cut off after each, so that they can be timed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

STAGES = ("resize", "encoder", "profile and novelty", "predictors", "resize back")
KEY = "stage"
RESIZING = "/resampling:"
"""The module that resizes images and maps, to and from working size."""


def mark(model: "ModelProto") -> None:
    """Leave on each node of a graph its stage, and nothing else that the exporter says of it."""
    reached = 0
    for node in model.graph.node:
        said = "".join(entry.value for entry in node.metadata_props if entry.key == "namespace")
        reached = max(reached, _stage(said, reached))
        del node.metadata_props[:]
        entry = node.metadata_props.add()
        entry.key, entry.value = KEY, STAGES[reached]


def _stage(said: str, reached: int) -> int:
    """Of a node in these modules, after a node of the stage `reached`: what no module does, predictors do."""
    if "/reader:" in said:
        return 1 if "/reader.encoder:" in said else 2
    return 0 if not reached else 4 if reached >= 3 and RESIZING in said else 3


def prefixes(model: "ModelProto") -> dict[str, bytes]:
    """By stage, the graph of an exported detector up to its end; the last is the whole graph.

    Empty for files whose nodes do not say their stage.
    """
    stage_of: dict[str, int] = {}
    for node in model.graph.node:
        said = {entry.key: entry.value for entry in node.metadata_props}
        if said.get(KEY) not in STAGES:
            return {}
        stage_of |= dict.fromkeys(node.output, STAGES.index(said[KEY]))
    cut = {name: _until(model, stage, stage_of) for stage, name in enumerate(STAGES[:-1])}
    return cut | {STAGES[-1]: model.SerializeToString()}


def _until(model: "ModelProto", stage: int, stage_of: dict[str, int]) -> bytes:
    """The graph with what its later part needs of the earlier one as outputs."""
    later = (node for node in model.graph.node if stage_of[node.output[0]] > stage)
    needed = dict.fromkeys(
        name for node in later for name in node.input if stage_of.get(name, stage + 1) <= stage
    )
    cut = type(model)()
    cut.CopyFrom(model)
    nodes = [node for node in model.graph.node if stage_of[node.output[0]] <= stage]
    del cut.graph.node[:], cut.graph.output[:]
    cut.graph.node.extend(nodes)
    for name in needed:
        cut.graph.output.add().name = name
    whole: bytes = cut.SerializeToString()
    return whole
