"""A workspace to try things out: made-up images of a product, most of them labelled."""

import tempfile
from pathlib import Path

from flawtrace.data import mask_of, read_category
from flawtrace.pictures.images import mask_file_content
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.station.store.shelf import add_image, label
from flawtrace.station.store.strokes import save_mask, tag
from flawtrace.station.store.workspace import Workspace

LABELLED = 8
"""Images of each defect type that have masks, some for learning and some for testing; the others wait for a
label."""


def fill(workspace: Workspace) -> None:
    """Add the images of `flawtrace demo`: the normal ones labelled, and some of the defects outlined."""
    with tempfile.TemporaryDirectory() as folder:
        make_dataset(Path(folder), seed=0)
        category = read_category(Path(folder))
        given: dict[str, int] = {}
        for sample in category.samples:
            row, _ = add_image(workspace, sample.image.read_bytes(), sample.image.name)
            kind = sample.defect_type or ""
            given[kind] = given.get(kind, 0) + 1
            if not sample.anomalous:
                with workspace.database.writing() as session:
                    label(session, row.hash, "normal")
            elif given[kind] <= LABELLED:
                save_mask(workspace, row.hash, mask_file_content(mask_of(sample)), tag(row), kind)
