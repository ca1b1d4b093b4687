"""Test images to look at: every wrong or unsure verdict, and examples of the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace.data import natural
from flawtrace.ground.shapes import Image
from flawtrace.measures import Case
from flawtrace.pictures.images import fit, fit_mask, read_image
from flawtrace.report.album import Album
from flawtrace.report.pictures import SMALL_SIDE, heat, outlined, picture, row_of_pictures
from flawtrace.report.style import DEFECTIVE, PREDICTED

SHOWN_ROWS = 3
"""Images of each kind at most with all their pictures; the others of a wrong verdict are small."""
APART = 4
"""Places in the folder between images that are shown together: neighbours are often shots of one part."""
ALIKE = 0.5
"""Two images are shots of one part, too, if they differ by less than this share of the usual."""
LOOKED_AT = 6
"""Images among which one is chosen, so that few have to be read."""
EMBEDDED = 300
"""Small pictures that the page holds itself; further ones it takes from the album."""
TINY = 16
"""Pixels along an image that is compared with others."""
FULL_SIDE = 2048
"""Pixels along a picture in full size at most."""


@dataclass(frozen=True)
class Part:
    """Cases of one kind, of one type or of good parts."""

    kind: str | None
    """A type of defect; None for good parts."""
    rows: Sequence[Case]
    small: Sequence[Case]


@dataclass(frozen=True)
class Group:
    """Cases that are shown under one headline."""

    name: str
    parts: list[Part]

    @property
    def count(self) -> int:
        return sum(len(part.rows) + len(part.small) for part in self.parts)


def groups_shown(cases: Sequence[Case], album: Album) -> list[dict[str, Any]]:
    """What the page shows of the test images, with pictures; those in full size go to the album."""
    places = _places(cases)
    shown, embedded = [], 0
    for group in grouped(cases, places):
        parts = []
        for part in group.parts:
            small = [_small(case, album, embedded + n < EMBEDDED) for n, case in enumerate(part.small)]
            embedded += len(small)
            rows = [_shown(case, album) for case in part.rows]
            parts.append({"kind": part.kind, "rows": rows, "small": small})
        shown.append({"name": group.name, "count": group.count, "parts": parts})
    return shown


def grouped(cases: Sequence[Case], places: dict[int, int] | None = None) -> list[Group]:
    """The cases to look at, each once: all wrong and unsure verdicts, then examples of the right ones."""
    places = _places(cases) if places is None else places
    wrong = [
        ("Missed defects", [case for case in cases if case.sample.anomalous and _says(case, "OK")], False),
        ("Good parts rejected", [c for c in cases if not c.sample.anomalous and _says(c, "DEFECT")], True),
        ("UNSURE", [case for case in cases if _says(case, "UNSURE")], True),
    ]
    groups = [Group(name, list(_whole(some, places, highest))) for name, some, highest in wrong]
    found = [case for case in cases if case.sample.anomalous and _says(case, "DEFECT")]
    groups.append(Group("Found: the best and the worst outline of each type", list(_ends(found, places))))
    quiet = [case for case in cases if not case.sample.anomalous and _says(case, "OK")]
    rows = apart(sorted(quiet, key=_score, reverse=True), places, SHOWN_ROWS)
    groups.append(Group("Good parts with the highest scores", [Part(None, rows, [])]))
    return [group for group in groups if group.count]


def apart(ranked: Sequence[Case], places: dict[int, int], count: int) -> list[Case]:
    """The first `count` cases that are no shots of one part, as far as there are so many.

    Such shots lie side by side in their folder, or look alike.
    """
    looked_at = ranked[: LOOKED_AT * count]
    gap = min(APART, max(1, len(ranked) // count))
    differences = _differences(looked_at)
    others = differences[~torch.eye(len(differences), dtype=torch.bool)]
    least = ALIKE * float(others.median()) if len(others) else 0.0
    chosen: list[int] = []
    for row, case in enumerate(looked_at):
        near = (abs(places[id(case)] - places[id(looked_at[other])]) < gap for other in chosen)
        if not any(near) and all(differences[row, other] >= least for other in chosen):
            chosen.append(row)
    return [looked_at[row] for row in chosen[:count]]


def _differences(cases: Sequence[Case]) -> Float[Tensor, "n n"]:
    """Between the images of cases, each small and grey, whatever its light."""
    if not cases:
        return torch.zeros(1, 1)
    small = torch.stack([fit(read_image(case.sample.image), TINY).mean(dim=0).flatten() for case in cases])
    small = small - small.mean(dim=1, keepdim=True)
    return torch.cdist(small, small)


def _whole(cases: Sequence[Case], places: dict[int, int], highest: bool) -> Iterator[Part]:
    """All of them, by type, the most striking first."""
    for kind, some in _by_type(cases):
        ranked = sorted(some, key=_score, reverse=highest)
        rows = apart(ranked, places, SHOWN_ROWS)
        yield Part(kind, rows, [case for case in ranked if all(case is not row for row in rows)])


def _ends(found: Sequence[Case], places: dict[int, int]) -> Iterator[Part]:
    """Of each type the best outline, and the worst that is no neighbour of it."""
    for kind, some in _by_type(found):
        ranked = sorted(some, key=lambda case: case.f1 or 0.0)
        yield Part(kind, apart([ranked[-1], *ranked[:-1]], places, 2), [])


def _by_type(cases: Sequence[Case]) -> list[tuple[str | None, list[Case]]]:
    """Good parts last."""
    types = {case.sample.defect_type for case in cases}
    ordered = sorted(types, key=lambda kind: (kind is None, kind or ""))
    return [(kind, [case for case in cases if case.sample.defect_type == kind]) for kind in ordered]


def _places(cases: Sequence[Case]) -> dict[int, int]:
    """Where each case lies when all are in the order of their files."""
    ordered = sorted(cases, key=lambda case: natural(str(case.sample.image)))
    return {id(case): place for place, case in enumerate(ordered)}


def _score(case: Case) -> float:
    return case.score


def _says(case: Case, verdict: str) -> bool:
    return case.prediction.verdict == verdict


def _facts(case: Case) -> dict[str, Any]:
    return {
        "name": case.sample.image.name,
        "type": case.sample.defect_type,
        "score": case.score,
        "f1": case.f1,
        "verdict": case.prediction.verdict,
        "doubt": case.prediction.doubt,
        "masked": case.outlined,
        "vanished": case.sample.mask is not None and not case.outlined,
    }


def _shown(case: Case, album: Album) -> dict[str, Any]:
    """One row of pictures: image, truth, anomaly map, prediction."""
    whole = read_image(case.sample.image)
    image = fit(whole, *case.mask.shape)
    return {
        **_facts(case),
        "aspect": round(whole.shape[2] / whole.shape[1], 4),
        "full": _full(case, whole, album),
        **row_of_pictures(image, case.mask, case.anomaly_map, case.prediction.mask),
    }


def _small(case: Case, album: Album, embedded: bool) -> dict[str, Any]:
    """One picture with both outlines, and the map."""
    whole = read_image(case.sample.image)
    image = outlined(fit(whole, *case.mask.shape), case.mask, DEFECTIVE)
    full = _full(case, whole, album)
    return {
        **_facts(case),
        "aspect": round(whole.shape[2] / whole.shape[1], 4),
        "full": full,
        "picture": picture(outlined(image, case.prediction.mask, PREDICTED), SMALL_SIDE)
        if embedded
        else full,
        "map": picture(heat(case.anomaly_map), SMALL_SIDE) if embedded else None,
    }


def _full(case: Case, image: Image, album: Album) -> str:
    """The image as large as it is, with the outlines of truth and prediction."""
    height, width = image.shape[1:]
    if (scale := FULL_SIDE / max(height, width)) < 1:
        image = fit(image, max(1, round(height * scale)), max(1, round(width * scale)))
    for mask, colour in ((case.mask, DEFECTIVE), (case.prediction.mask, PREDICTED)):
        if mask.any():
            image = outlined(image, fit_mask(mask, *image.shape[1:]), colour)
    return album.add(image)
