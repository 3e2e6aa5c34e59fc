"""Near-duplicates: pictures that are resized, compressed or mirrored copies, or parts, of one another.

Validating on a copy of a training picture would overstate the gain, so near-duplicates are held out together
or not at all. Copies are found by comparing thumbnails in all eight turned and mirrored positions; parts by
runs of pixels that are equal to the bit, wherever they lie. A part that was resized or compressed is missed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luxscaler.picture import FloatArray

_LEAST_CORRELATION = 0.99
"""Least correlation of the thumbnails of two copies."""
_LEAST_CONTRAST = 4 / 255
"""Standard deviation of a thumbnail, in code values, below which it shows nothing to compare."""
_RUN = 32
"""Pixels of a row that are compared at once: a power of two."""
_LEAST_CHANGES = 16
"""Least changes from pixel to pixel of a run: plain areas are equal in unrelated pictures too."""
_ONE_IN = 512
"""One run in so many is kept, selected by its hash, so that all pictures keep the same ones."""
_LEAST_SHARED, _LEAST_SHARE = 8, 0.05
"""Kept runs that two pictures must share: a number, and a share of the picture with fewer."""
_BAND = 256
"""Rows looked at in one go."""
_FACTOR, _MIXER = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93


@dataclass(frozen=True)
class Look:
    """What near-duplicates of a picture are found by."""

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
    """The numbers of near-duplicate pictures, also by way of a third one; each picture is in one group."""
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
    """The polynomial hashes of the kept runs of some rows, computed by doubling the runs' length."""
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
    """Pairs that share enough runs; of several pictures with the same run, each is compared with the next."""
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
