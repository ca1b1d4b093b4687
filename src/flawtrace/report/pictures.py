"""One row of pictures of an image: itself, the truth, the map, what was found."""

from flawtrace.ground.shapes import AnomalyMap, Image, Mask
from flawtrace.report import plots
from flawtrace.report.plots import DEFECTIVE, PREDICTED


def row_of_pictures(image: Image, mask: Mask, anomaly_map: AnomalyMap, threshold: float) -> dict[str, str]:
    return {
        "image": plots.picture(image),
        "truth": plots.picture(plots.outlined(image, mask, DEFECTIVE)),
        "map": plots.picture(plots.heat(anomaly_map, threshold)),
        "prediction": plots.picture(plots.outlined(image, anomaly_map >= threshold, PREDICTED)),
    }
