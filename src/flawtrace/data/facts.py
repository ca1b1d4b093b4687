"""What decoding one sample tells."""

from dataclasses import dataclass, field

from flawtrace.data.folders import mask_facts
from flawtrace.data.samples import Sample
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.groups import Polygons
from flawtrace.pictures.decoding import Pixels, decode
from flawtrace.pictures.images import as_image, digest, full_range
from flawtrace.pictures.traits import Traits, blank, traits


@dataclass(frozen=True)
class SampleFacts:
    """What decoding one sample told."""

    sample: Sample
    problem: FlawtraceError | None = None
    size: tuple[int, int] | None = None
    kind: str = ""
    brightest: float = 0.0
    """As a share of the full range."""
    blank: bool = False
    """Of a single colour."""
    digest: str = ""
    mask_share: float = 0.0
    traits: Traits = field(default_factory=dict)
    """Of a normal image."""


def facts_of(sample: Sample, region: Polygons | None = None) -> SampleFacts:
    """Of the whole image; traits of the region of interest in it, if there is one."""
    try:
        pixels = decode(sample.image)
    except FlawtraceError as error:
        return SampleFacts(sample, problem=error)
    size = (pixels.shape[0], pixels.shape[1])
    problem, share = mask_facts(sample, size)
    image = as_image(pixels)
    return SampleFacts(
        sample,
        problem=problem,
        size=size,
        kind=kind(pixels),
        brightest=float(pixels.max()) / full_range(pixels),
        blank=blank(image),
        digest=digest(image),
        mask_share=share,
        traits={} if sample.anomalous else traits(image, region),
    )


def kind(pixels: Pixels) -> str:
    """Depth and colour.

    >>> import numpy as np
    >>> kind(np.zeros((16, 16, 3), np.uint16))
    '16-bit colour'
    """
    depth = {"b": "1-bit", "f": "float"}.get(pixels.dtype.kind, f"{pixels.dtype.itemsize * 8}-bit")
    return f"{depth} {'grey' if pixels.ndim == 2 else 'colour'}"
