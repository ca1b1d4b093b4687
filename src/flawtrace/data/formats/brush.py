"""Label Studio's brush: a mask as the RGBA picture it was painted in, packed bit by bit.

The stream, highest bit first: 32 bits for the number of values, 5 for the bits of a value less one, four
times 4 for the bits of a run's length less one; then for each run one bit (1: a value repeated, 0: values one
by one), 2 bits that choose among the four kinds of lengths, the length less one, and the value or values.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from flawtrace.data.formats.annotated import Plane, Size
from flawtrace.data.formats.errors import DamageError
from flawtrace.data.formats.run_lengths import lengths
from flawtrace.pictures.decoding import MAX_PIXELS

CHANNELS = 4
"""Red, green, blue, alpha; what is painted is not transparent."""
VALUE_BITS = 8
LENGTH_BITS = (3, 4, 8, 16)


def from_brush(packed: Sequence[int], size: Size) -> Plane:
    """What was painted in an image of this size.

    Raises:
        DamageError: the stream ends too early, or is of another size.
    """
    bits = _Bits(packed)
    count, value_bits = bits.take(32), bits.take(5) + 1
    length_bits = [bits.take(4) + 1 for _ in range(4)]
    if count != CHANNELS * size[0] * size[1] or count > CHANNELS * MAX_PIXELS:
        raise DamageError(f"its brush is of {count // CHANNELS} pixels, not of {size[1]} x {size[0]}")
    values, start = np.zeros(count, dtype=bool), 0
    while start < count:
        repeated = bits.take(1)
        end = start + 1 + bits.take(length_bits[bits.take(2)])
        if repeated:
            values[start:end] = bits.take(value_bits) > 0
        else:
            values[start:end] = [bits.take(value_bits) > 0 for _ in range(end - start)][: count - start]
        start = end
    return np.ascontiguousarray(values.reshape(*size, CHANNELS)[..., CHANNELS - 1])


def to_brush(mask: Plane) -> list[int]:
    """The bytes that Label Studio reads, one number each."""
    written = [_bits(CHANNELS * mask.size, 32), _bits(VALUE_BITS - 1, 5)]
    written += [_bits(size - 1, 4) for size in LENGTH_BITS]
    for index, run in enumerate(lengths(mask.ravel())):
        for part in _parts(CHANNELS * run, 1 << LENGTH_BITS[-1]):
            kind = next(number for number, size in enumerate(LENGTH_BITS) if part <= 1 << size)
            value = 255 * (index % 2)
            written += ["1", _bits(kind, 2), _bits(part - 1, LENGTH_BITS[kind]), _bits(value, VALUE_BITS)]
    digits = np.frombuffer("".join(written).encode(), np.uint8) - ord("0")
    packed: UInt8[np.ndarray, " n"] = np.packbits(digits)
    return [int(byte) for byte in packed]


def _parts(length: int, most: int) -> Iterator[int]:
    """A length as lengths of at most so much."""
    while length:
        part = min(length, most)
        yield part
        length -= part


def _bits(value: int, size: int) -> str:
    return format(value, f"0{size}b")


class _Bits:
    """Takes numbers from a stream of bytes."""

    def __init__(self, packed: Sequence[int]) -> None:
        self._bytes = bytes(packed)
        self._place = 0

    def take(self, count: int) -> int:
        end = self._place + count
        if end > 8 * len(self._bytes):
            raise DamageError("its brush ends too early")
        whole = int.from_bytes(self._bytes[self._place // 8 : -(-end // 8)])
        self._place = end
        return whole >> (-end % 8) & ((1 << count) - 1)
