"""Images, maps and visits as pictures for a page."""

import io

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from torch import Tensor

from flawtrace.ground.shapes import AnomalyMap, Image, Mask, Picture
from flawtrace.pictures.images import as_picture, outline
from flawtrace.report.style import DEFECTIVE, INK, PREDICTED, data_uri

PICTURE_SIDE = 256
"""Pixels along a picture at most: enough for print, and a report stays small enough for a mail."""


LEAST_STRIP = 20
"""Pixels of height of a caption at least."""
VERDICTS = {"OK": "#0B6A4B", "UNSURE": "#7A5200", "DEFECT": "#A6261E"}
"""Grounds for white text."""


SMALL_SIDE = 128
"""Of pictures of which a page has hundreds."""


def picture(image: Image, side: int = PICTURE_SIDE) -> str:
    """A JPEG of at most `side` pixels along its longer side."""
    canvas = Pillow.fromarray(as_picture(image).cpu().numpy())
    canvas.thumbnail((side, side))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=88, subsampling=0)
    return data_uri("image/jpeg", buffer.getvalue())


def outlined(image: Image, region: Mask, colour: str) -> Image:
    """`image` with a line around `region`, with a dark rim that shows on bright products."""
    width = max(1, min(region.shape) // 128)
    for line, paint in [(outline(region, width + 1), INK), (outline(region, width), colour)]:
        image = torch.where(line, torch.tensor(_rgb(paint))[:, None, None], image)
    return image


def captioned(shown: Picture, verdict: str, score: float) -> UInt8[Tensor, "_ w 3"]:
    """The picture with a strip below it that says verdict and score; no pixel moves."""
    height, width = shown.shape[:2]
    tall = max(LEAST_STRIP, min(height, width) // 20)
    text, font = f"{verdict}  {score:.3f}", ImageFont.load_default(0.7 * tall)
    needed = round(font.getlength(text)) + 2 * tall
    strip = Pillow.new("RGB", (max(width, needed), tall), VERDICTS[verdict])
    ImageDraw.Draw(strip).text((tall / 2, tall / 2), text, fill="white", font=font, anchor="lm")
    return torch.cat([shown, torch.from_numpy(np.array(strip.resize((width, tall))))])


def heat(anomaly_map: AnomalyMap) -> Image:
    """`anomaly_map` in colours: dark at 0, bright at 1."""
    return _coloured("inferno", anomaly_map.numpy())


def heat_scale() -> str:
    """The colours of `heat`, from 0 to 1, left to right."""
    return picture(_coloured("inferno", np.tile(np.linspace(0, 1, 256), (8, 1))))


def visit_map(visits: AnomalyMap, most: float) -> str:
    """Visits per cell in colours, dark where there were none and bright where there were `most`."""
    return picture(enlarged(_coloured("viridis", (visits / max(most, 1e-9)).clamp(0, 1).numpy()), "nearest"))


def visits_over(image: Image, visits: AnomalyMap, most: float) -> str:
    """`image` in pale grey, coloured where patches were taken."""
    visits = enlarged(visits[None], "nearest")[0]
    pale = 0.35 + 0.65 * enlarged(image).mean(dim=0, keepdim=True).expand(3, -1, -1)
    colours = _coloured("viridis", (visits / max(most, 1e-9)).clamp(0, 1).numpy())
    return picture(pale.lerp(colours, 0.65 * (visits > 0).float()))


def visit_scale() -> str:
    """The colours of `visit_map`, from none to most, left to right."""
    return picture(_coloured("viridis", np.tile(np.linspace(0, 1, 256), (8, 1))))


def enlarged(image: Float[Tensor, "c h w"], mode: str = "bilinear") -> Float[Tensor, "c side side"]:
    """At PICTURE_SIDE pixels along its sides, whatever a browser would make of them."""
    return torch.nn.functional.interpolate(image[None], size=(PICTURE_SIDE, PICTURE_SIDE), mode=mode)[0]


def _rgb(colour: str) -> list[float]:
    return [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]


def _coloured(scale: str, values: np.ndarray) -> Image:
    table = matplotlib.colormaps[scale]
    return torch.from_numpy(table(values)[..., :3]).float().permute(2, 0, 1)


def row_of_pictures(image: Image, mask: Mask, anomaly_map: AnomalyMap, found: Mask) -> dict[str, str]:
    return {
        "image": picture(image),
        "truth": picture(outlined(image, mask, DEFECTIVE)),
        "map": picture(heat(anomaly_map)),
        "prediction": picture(outlined(image, found, PREDICTED)),
    }
