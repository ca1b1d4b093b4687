"""How much of the error is the last pixel at the edges of masks?

    python benchmarks/edges.py DATA/mvtec_ad/grid runs/grid

For a finished run and the images that its training did not see: F1_max over all pixels, and without those
within 1 or 2 pixels of an edge of a mask; and the F1 of the masks themselves, drawn a pixel too
wide or too narrow.
"""

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from flawtrace.data.folders import read_category
from flawtrace.detector.artefact import Detector
from flawtrace.measures.evaluation import evaluate
from flawtrace.measures.metrics import Maps, Masks, pixel_f1, pixel_f1_max

SQUARE = np.ones((1, 3, 3), dtype=bool)
"""A pixel and its eight neighbours, in each image by itself."""


def widened(masks: Masks, pixels: int) -> Masks:
    """`masks` grown by so many pixels to every side; below 0 shrunk."""
    if pixels < 0:
        shrunk: Masks = np.logical_not(widened(~masks, -pixels))
        return shrunk
    grown: Masks = ndimage.binary_dilation(masks, SQUARE, pixels) if pixels else masks
    return grown


def away_from_edges(masks: Masks, pixels: int) -> Masks:
    """What lies further than so many pixels from any edge, on either side."""
    inside: Masks = ~(widened(masks, pixels) & ~widened(masks, -pixels))
    return inside


def best_f1(maps: Maps, masks: Masks, kept: Masks) -> float | None:
    return pixel_f1_max(maps[kept][None, None], masks[kept][None, None])


def row(maps: Maps, masks: Masks) -> dict[str, float | None]:
    """F1 of the maps and of masks that are a pixel off; the share of defective pixels near an edge."""
    away = {pixels: away_from_edges(masks, pixels) for pixels in (0, 1, 2)}
    return {
        "F1_max": best_f1(maps, masks, away[0]),
        "1 px from edges left out": best_f1(maps, masks, away[1]),
        "2 px left out": best_f1(maps, masks, away[2]),
        "masks 1 px too wide": pixel_f1(widened(masks, 1).astype(np.float32), masks, 0.5),
        "1 px too narrow": pixel_f1(widened(masks, -1).astype(np.float32), masks, 0.5),
        "defective pixels within 1 px": 1 - float(away[1][masks].mean()),
        "within 2 px": 1 - float(away[2][masks].mean()),
    }


def main(data: Path, run: Path) -> None:
    cases = evaluate(Detector.load(run), read_category(data).samples).cases
    maps = np.stack([case.anomaly_map.numpy() for case in cases])
    found = row(maps, np.stack([case.mask.numpy() for case in cases]))
    print("| | " + " | ".join(found) + " |\n|---|" + "---:|" * len(found))
    print(f"| {data.name} | " + " | ".join("–" if x is None else f"{x:.3f}" for x in found.values()) + " |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Expected two arguments, a category and a finished run:\n\n" + str(__doc__))
    main(Path(sys.argv[1]), Path(sys.argv[2]))
