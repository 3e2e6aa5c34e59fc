"""Which pictures show the same: copies that were resized, compressed or mirrored, and parts of one picture.

What is learned from in one of them is no fair question in another, so they are held out together or not at
all. Copies are found by small versions of them, in all eight ways in which a crop may be turned and mirrored;
parts by runs of pixels that are equal to the bit, wherever they lie. A part that was resized or compressed
is not found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luxscaler.picture import FloatArray

_LEAST_CORRELATION = 0.99
"""Of two thumbnails that show the same."""
_LEAST_CONTRAST = 4 / 255
"""Standard deviation of a thumbnail, in code values, below which it shows nothing to compare."""
_RUN = 32
"""Pixels of a row that are compared at once: a power of two."""
_LEAST_CHANGES = 16
"""From pixel to pixel of a run; plain areas are equal in pictures that have nothing else in common."""
_ONE_IN = 512
"""Of so many runs one is kept, chosen by its pixels and so the same one in every picture."""
_LEAST_SHARED, _LEAST_SHARE = 8, 0.05
"""Kept runs that two pictures must have in common: a number, and a share of the fewer."""
_BAND = 256
"""Rows looked at in one go."""
_FACTOR, _MIXER = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93


@dataclass(frozen=True)
class Look:
    """What is remembered of a picture."""

    thumbnail: FloatArray
    """(s, s, 3) averages of the code values."""
    runs: NDArray[np.uint64]
    """Hashes of kept runs, each once, sorted."""


def runs_of(code: FloatArray) -> NDArray[np.uint64]:
    """(height, width, 3) code values → hashes of the kept runs of its green, in 8 bits."""
    green = np.rint(code[..., 1].clip(0.0, 1.0) * 255.0).astype(np.uint8)
    if green.shape[1] < _RUN:
        return np.empty(0, np.uint64)
    found = [_kept(green[top : top + _BAND]) for top in range(0, len(green), _BAND)]
    return np.unique(np.concatenate(found))


def groups_of(looks: Sequence[Look]) -> list[list[int]]:
    """Numbers of the pictures that belong together, also by way of a third; each is in one group."""
    first = list(range(len(looks)))

    def root(number: int) -> int:
        while first[number] != number:
            number = first[number]
        return number

    for one, other in (*_copies(looks), *_parts(looks)):
        first[max(root(one), root(other))] = min(root(one), root(other))
    groups: dict[int, list[int]] = {}
    for number in range(len(looks)):
        groups.setdefault(root(number), []).append(number)
    return list(groups.values())


def _kept(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A polynomial hash of every run, doubled in length step by step; the kept ones."""
    hashes, factor, length = rows.astype(np.uint64) + np.uint64(1), _FACTOR, 1
    while length < _RUN:
        hashes = hashes[:, :-length] * np.uint64(factor) + hashes[:, length:]
        factor, length = factor * factor % 2**64, 2 * length
    hashes = (hashes ^ (hashes >> np.uint64(31))) * np.uint64(_MIXER)
    hashes ^= hashes >> np.uint64(29)
    changes = np.cumsum(rows[:, 1:] != rows[:, :-1], axis=1, dtype=np.int32)
    changes = np.pad(changes, ((0, 0), (1, 0)))
    is_lively = changes[:, _RUN - 1 :] - changes[:, : 1 - _RUN] >= _LEAST_CHANGES
    kept: NDArray[np.uint64] = hashes[is_lively & (hashes % np.uint64(_ONE_IN) == 0)]
    return kept


def _copies(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    small = np.array([look.thumbnail for look in looks], np.float32)
    small = small - small.mean((1, 2), keepdims=True)
    contrast = small.std((1, 2, 3), keepdims=True)
    small = np.where(contrast < _LEAST_CONTRAST, 0.0, small / np.maximum(contrast, 1e-9))
    lines = small.reshape(len(looks), -1)
    for turn in range(4):
        for turned in (np.rot90(small, turn, (1, 2)), np.rot90(small, turn, (1, 2))[:, :, ::-1]):
            other = turned.reshape(len(looks), -1).T / lines.shape[1]
            for top in range(0, len(looks), _BAND):
                alike = np.argwhere(lines[top : top + _BAND] @ other >= _LEAST_CORRELATION)
                yield from ((top + int(one), int(two)) for one, two in alike if top + one < two)


def _parts(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """Pairs that share enough runs; of pictures that all share one, each with the next."""
    counts = np.array([len(look.runs) for look in looks], np.int64)
    runs = np.concatenate([look.runs for look in looks])
    owners = np.repeat(np.arange(len(looks)), counts)
    order = np.argsort(runs, kind="stable")
    runs, owners = runs[order], owners[order]
    is_shared = runs[1:] == runs[:-1]
    pairs = owners[:-1][is_shared] * len(looks) + owners[1:][is_shared]
    for pair, count in zip(*np.unique(pairs, return_counts=True), strict=True):
        one, other = divmod(int(pair), len(looks))
        if count >= max(_LEAST_SHARED, _LEAST_SHARE * min(counts[one], counts[other])):
            yield one, other
