"""Masks as lengths of runs: plain ones, and COCO's, compressed or not."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from flawtrace.data.formats.annotated import Plane, Size
from flawtrace.data.formats.errors import DamageError
from flawtrace.pictures.decoding import MAX_PIXELS


def lengths(values: Bool[np.ndarray, " n"]) -> list[int]:
    """Lengths of runs of False and True in turn, beginning with False (which may be 0 long).

    >>> lengths(np.array([True, True, False]))
    [0, 2, 1]
    """
    changes = np.flatnonzero(np.diff(values)) + 1
    runs: list[int] = np.diff(np.concatenate([[0], changes, [len(values)]])).tolist()
    return [0, *runs] if len(values) and values[0] else runs


def unrolled(runs: Sequence[int], size: Size) -> Plane:
    """The mask of this size whose rows, one after the other, have these runs.

    Raises:
        DamageError: they are not runs of as many pixels.
    """
    counts = np.array(runs, dtype=np.int64)
    pixels = size[0] * size[1]
    wrong = ((counts < 0) | (counts > pixels)).any() or int(counts.sum()) != pixels
    if wrong or not 0 < pixels <= MAX_PIXELS:
        raise DamageError(f"its run lengths are not those of {size[1]} x {size[0]} pixels (width x height)")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size)


def from_coco(counts: str | Sequence[int], size: Size) -> Plane:
    """COCO's run lengths go column by column.

    Raises:
        DamageError: they are damaged, or of another size.
    """
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    return np.ascontiguousarray(unrolled(runs, size[::-1]).T)


def to_coco(mask: Plane) -> str:
    """Compressed: each length as its difference from the one before the last, five bits to a character."""
    runs, packed = lengths(mask.T.ravel()), []
    for index, run in enumerate(runs):
        rest, more = run - runs[index - 2] if index > 2 else run, True
        while more:
            bits = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if bits & 0x10 else 0)
            packed.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(packed)


def _unpacked(packed: str) -> list[int]:
    runs: list[int] = []
    value, shift = 0, 0
    for letter in packed:
        bits = ord(letter) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            if shift > 40:
                raise DamageError("its compressed run lengths are damaged")
            continue
        value |= -1 << shift if bits & 0x10 else 0
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    return runs
