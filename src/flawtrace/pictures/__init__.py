"""Everything about pixels, before anyone asks what they show.

Image files come in (`decoding`, `images`), masks too (`mask_files`), as do pictures that a program holds
(`arrays`); maps, masks and overlays go out (`images`). Between lie resizing for exported graphs
(`resampling`), tiles of large images (`tiles`), the eight orientations of a square (`turns`), what an image
looks like from afar (`traits`), what normal images vary in (`variation`), what another day's camera does
(`disturbance`), copies and pasted defects (`augmentation`), defects that nobody photographed (`made_up`,
with shapes from `outlines`), the region of interest (`region`), what encloses a mask (`contours`) and the
demo's data (`synthetic`). Each file is public as it is.
"""

__all__ = [
    "arrays",
    "augmentation",
    "contours",
    "decoding",
    "disturbance",
    "errors",
    "images",
    "made_up",
    "mask_files",
    "outlines",
    "region",
    "resampling",
    "synthetic",
    "tiles",
    "traits",
    "turns",
    "variation",
]
