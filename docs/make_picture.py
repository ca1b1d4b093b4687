"""The picture in the README: the demo's test images of middling quality, one per defect type.

flawtrace demo -o flawtrace-demo
python docs/make_picture.py flawtrace-demo docs/demo.jpg
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from flawtrace.data import read_category
from flawtrace.detector import Detector
from flawtrace.measures import Case, evaluate
from flawtrace.pictures.images import overlay, read_image


def middling(cases: list[Case]) -> Case:
    """The case of median F1."""
    return sorted(cases, key=lambda case: case.f1 or 0.0)[len(cases) // 2]


def main(demo: Path, picture: Path) -> None:
    detector = Detector.load(demo / "run")
    evaluation = evaluate(detector, read_category(demo / "images").samples)
    figure, axes = plt.subplots(3, 4, figsize=(10, 7.8), layout="constrained")
    for row, kind in zip(axes, evaluation.per_type, strict=True):
        case = middling([case for case in evaluation.cases if case.sample.defect_type == kind])
        image = read_image(case.sample.image)
        outline = overlay(image, case.anomaly_map, detector.thresholds.outline, case.prediction.mask)
        row[0].imshow(image.permute(1, 2, 0))
        row[1].imshow(case.mask, cmap="gray")
        row[2].imshow(case.anomaly_map, cmap="inferno", vmin=0, vmax=1)
        row[3].imshow(outline)
        row[0].set_ylabel(kind)
    for cell in axes.flat:
        cell.set(xticks=[], yticks=[])
    for cell, title in zip(axes[0], ["image", "truth", "anomaly map", "outlined"], strict=True):
        cell.set_title(title)
    figure.savefig(picture, dpi=80, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
