"""From a folder to samples: which images are normal, which show what defect, and who is labelled.

A folder enters (`read_category`, `inspect`); categories, splits and the trials of a benchmark leave. No pixel
is kept here, only paths, types and boxes.
"""

from flawtrace.data import formats, pieces
from flawtrace.data.errors import (
    DataError,
    FewImagesWarning,
    ForeignFolderError,
    LeftOutWarning,
    MissingFolderError,
    NoImagesError,
    VanishedDefectError,
    WideMasksWarning,
)
from flawtrace.data.folders import Reading, read_category, read_folder, with_hint
from flawtrace.data.inspection import Inspection, inspect
from flawtrace.data.masks import mask_of
from flawtrace.data.outputs import refuse_folder, refuse_foreign
from flawtrace.data.places import (
    Named,
    below,
    files_below,
    holds_product,
    images_in,
    is_image,
    kind_of,
    kinds,
    products_in,
    visible,
)
from flawtrace.data.protocols import Trial, trials, write_split
from flawtrace.data.samples import Category, Sample, Split, evenly, natural
from flawtrace.data.splits import draw_available, draw_keeping, draw_split, scarce

__all__ = [
    "Category",
    "DataError",
    "FewImagesWarning",
    "ForeignFolderError",
    "Inspection",
    "LeftOutWarning",
    "MissingFolderError",
    "Named",
    "NoImagesError",
    "Reading",
    "Sample",
    "Split",
    "Trial",
    "VanishedDefectError",
    "WideMasksWarning",
    "below",
    "draw_available",
    "draw_keeping",
    "draw_split",
    "evenly",
    "files_below",
    "formats",
    "holds_product",
    "images_in",
    "inspect",
    "is_image",
    "kind_of",
    "kinds",
    "mask_of",
    "natural",
    "pieces",
    "products_in",
    "read_category",
    "read_folder",
    "refuse_folder",
    "refuse_foreign",
    "scarce",
    "trials",
    "visible",
    "with_hint",
    "write_split",
]
