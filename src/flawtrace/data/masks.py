"""The mask of a sample, from the files that hold it."""

import torch

from flawtrace.data.errors import UnlikeMasksError
from flawtrace.data.samples import Sample
from flawtrace.ground.shapes import Mask
from flawtrace.pictures.mask_files import read_mask


def mask_of(sample: Sample) -> Mask:
    """Where the sample's masks mark a defect: all of them together, at their own size.

    Raises:
        UnlikeMasksError: several masks of one image have different sizes.
    """
    assert sample.mask is not None, f"{sample.image} has no mask"
    masks = [read_mask(file) for file in (sample.mask, *sample.more_masks)]
    for file, mask in zip(sample.more_masks, masks[1:], strict=True):
        if mask.shape != masks[0].shape:
            raise UnlikeMasksError(sample.image, sample.mask, file)
    return torch.stack(masks).any(dim=0)
