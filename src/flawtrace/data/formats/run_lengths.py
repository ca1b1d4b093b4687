"""Masks as run lengths, in the three ways that labelling programs write them."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from flawtrace.data.formats.annotated import Plane


def lengths(values: Bool[np.ndarray, " n"]) -> list[int]:
    """Lengths of runs of False and True in turn, beginning with False (which may be 0 long).

    >>> lengths(np.array([True, True, False]))
    [0, 2, 1]
    """
    changes = np.flatnonzero(np.diff(values)) + 1
    runs = np.diff(np.concatenate([[0], changes, [len(values)]])).tolist()
    return [0, *runs] if len(values) and values[0] else runs


def unrolled(runs: Sequence[int]) -> Bool[np.ndarray, " n"]:
    """The values that these run lengths stand for."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def from_coco(counts: str | Sequence[int], height: int, width: int) -> Plane:
    """COCO's run lengths, compressed or not: column by column."""
    runs = _unpacked(counts) if isinstance(counts, str) else list(counts)
    values = unrolled(runs)
    if len(values) != height * width:
        raise ValueError(f"run lengths of {len(values)} pixels for an image of {height * width}")
    return values.reshape(width, height).T


def to_coco(mask: Plane) -> str:
    """Compressed: differences of every other length, in groups of five bits as printable characters."""
    runs, packed = lengths(mask.T.ravel()), ""
    for index, run in enumerate(runs):
        rest = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            bits = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if bits & 0x10 else 0)
            packed += chr((bits | 0x20 if more else bits) + 48)
    return packed


def _unpacked(packed: str) -> list[int]:
    runs: list[int] = []
    place = 0
    while place < len(packed):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(packed[place]) - 48
            value |= (bits & 0x1F) << shift
            more, place, shift = bool(bits & 0x20), place + 1, shift + 5
            if not more and bits & 0x10:
                value |= -1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


WORD, SIZES = 8, (3, 7, 12, 16)
"""Bits of a value, and of the four kinds of run lengths, in what is written for Label Studio."""


def from_brush(packed: Sequence[int], height: int, width: int) -> Plane:
    """Label Studio's brush: a bit stream of runs of the bytes of an RGBA picture, of which alpha counts."""
    bits = _Bits(packed)
    count, word = bits.take(32), bits.take(5) + 1
    sizes = [bits.take(4) + 1 for _ in range(4)]
    values = np.zeros(count, dtype=np.uint8)
    place = 0
    while place < count:
        same = bits.take(1)
        end = place + 1 + bits.take(sizes[bits.take(2)])
        if same:
            values[place:end] = bits.take(word)
        else:
            values[place:end] = [bits.take(word) for _ in range(end - place)]
        place = end
    if count != 4 * height * width:
        raise ValueError(f"a brush of {count // 4} pixels for an image of {height * width}")
    return values.reshape(height, width, 4)[..., 3] > 0


def to_brush(mask: Plane) -> list[int]:
    """The same, as Label Studio reads it."""
    written = [_bits(4 * mask.size, 32), _bits(WORD - 1, 5), *(_bits(size - 1, 4) for size in SIZES)]
    for index, run in enumerate(lengths(mask.ravel())):
        for part in _parts(4 * run, 2 ** SIZES[-1]):
            kind = next(number for number, size in enumerate(SIZES) if part <= 2**size)
            written += ["1", _bits(kind, 2), _bits(part - 1, SIZES[kind]), _bits(255 * (index % 2), WORD)]
    stream = "".join(written)
    stream += "0" * (-len(stream) % 8)
    packed: UInt8[np.ndarray, " n"] = np.packbits(np.frombuffer(stream.encode(), np.uint8) - ord("0"))
    return packed.tolist()


def _parts(length: int, most: int) -> Iterator[int]:
    while length:
        part = min(length, most)
        yield part
        length -= part


def _bits(value: int, size: int) -> str:
    return format(value, f"0{size}b")


class _Bits:
    """A stream of bits, highest first."""

    def __init__(self, packed: Sequence[int]) -> None:
        self._stream = "".join(np.unpackbits(np.array(packed, dtype=np.uint8)).astype(str))
        self._place = 0

    def take(self, count: int) -> int:
        bits = self._stream[self._place : self._place + count]
        if len(bits) < count:
            raise ValueError("the brush ends too early")
        self._place += count
        return int(bits, 2)
