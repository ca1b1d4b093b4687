"""Lets torchvision import where its compiled operators cannot load, as beside a CPU-only torch.

Without those operators torchvision fails while it registers shapes for two of them, `nms` and `qnms`.
Declaring them is enough: no peer detects objects, so they need no body. A `.pth` file imports this module
when Python starts; it does nothing before somebody imports torchvision.
"""

import sys
from importlib.abc import MetaPathFinder

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing; it only learns that torchvision is about to be imported."""

    library = None

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 (the import system's signature)
        if name == "torchvision" and self.library is None:
            import torch  # noqa: PLC0415 (torch is slow to import and not every program needs it)

            self.library = torch.library.Library("torchvision", "FRAGMENT")
            for schema in SCHEMAS:
                self.library.define(schema)


sys.meta_path.insert(0, _BeforeTorchvision())
