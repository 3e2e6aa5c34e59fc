"""Run a function on overlapping tiles and blend the results, in bounded memory.

Neighbouring tiles share `overlap` source pixels. Across the shared band their weights are raised cosines
that add up to one (a partition of unity), squeezed into the middle half of the band: the outer quarters,
where a tile lacks context, do not count. When memory runs out the tile is halved and only that piece is
repeated.

Networks that shrink what they see, fold pixels or look at it in windows give another result where a tile
begins elsewhere in that grid, so tiles of theirs begin at multiples of its step (`align`).
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from luxscaler.errors import UpscaleError
from luxscaler.geometry import Span, spans

RAMP_SHARE = 0.5
"""Share of the overlap in which the weights change; the rest is context on both sides."""


def ramp(length: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Weights of the later tile across `length` shared output pixels: 0, a raised cosine, 1.

    `ramp(n) + ramp(n).flip(0)` is 1 everywhere.
    """
    position = (torch.arange(length, dtype=torch.float64) + 0.5) / max(length, 1) - 0.5
    phase = (position / RAMP_SHARE).clamp(-0.5, 0.5)
    return (0.5 + 0.5 * torch.sin(math.pi * phase)).to(dtype)


def weights(index: int, cuts: list[Span], scale: int) -> Tensor:
    """Weights of tile `index` along one axis, (scale · its length,): over all tiles they add up to one."""
    span = cuts[index]
    result = torch.ones((span.stop - span.start) * scale)
    if index > 0:
        shared = (cuts[index - 1].stop - span.start) * scale
        result[:shared] = ramp(shared)
    if index + 1 < len(cuts):
        shared = (span.stop - cuts[index + 1].start) * scale
        result[len(result) - shared :] *= ramp(shared).flip(0)
    return result


def aligned_spans(length: int, tile: int, overlap: int, align: int) -> list[Span]:
    """`spans` that begin at multiples of `align`.

    Where tile − overlap is less than two such steps, `align` is halved until it is not.
    """
    while tile - overlap < 2 * align and align > 1:
        align //= 2
    if align == 1 or length <= tile:
        return spans(length, tile, overlap)
    cuts = spans(length, tile - align, overlap)
    starts = [span.start // align * align for span in cuts]
    return [Span(start, stop + overlap) for start, stop in pairwise([*starts, length - overlap])]


class TiledRun:
    """Runs a function over a picture, in tiles that fit into memory."""

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        scale: int,
        tile: int,
        overlap: int,
        progress: Callable[[int, int], None] | None = None,
        align: int = 1,
    ) -> None:
        """function: 1×C×h×w float32 → 1×C'×(scale·h)×(scale·w) float32.

        tile, overlap, align: in source pixels, the largest side of a tile, what neighbours share, and what
        tiles begin at multiples of (`aligned_spans`). progress: called with (source pixels done, in all).
        """
        self._align = align
        self._function = function
        self._scale = scale
        self._tile = tile
        self._overlap = overlap
        self._progress = progress
        self._done = self._total = self._share = 0

    def __call__(self, picture: Tensor) -> Tensor:
        """1×C×H×W → 1×C'×(scale·H)×(scale·W), float32.

        Raises UpscaleError when memory does not suffice even for the smallest tile.
        """
        self._done, self._total = 0, picture.shape[2] * picture.shape[3]
        return self._piece(picture, report=self._total)

    def _piece(self, picture: Tensor, report: int) -> Tensor:
        """Do a piece at once or in tiles; `report`: how many source pixels it is in the progress."""
        height, width = picture.shape[2:]
        if max(height, width) <= self._tile:
            self._share = report
            out = self._attempt(picture)
            if out is not None:
                self._advance(report)
                return out
        return self._blend(picture, report)

    def _attempt(self, picture: Tensor) -> Tensor | None:
        """The function on a piece; None, with the tile halved, when memory ran out."""
        try:
            return self._function(picture)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # Halved from the piece's own side: that is what did not fit.
            side, least = max(picture.shape[2:]), max(2 * self._overlap, 1)
            smaller = max(side // 2, least)
            if smaller >= side:
                raise UpscaleError(
                    f"out of memory on a tile of {picture.shape[3]} × {picture.shape[2]} source pixels, "
                    f"and tiles may not be smaller than twice the overlap ({2 * self._overlap})"
                ) from error
            self._tile = min(self._tile, smaller)
        # Outside the except clause: the exception's frames hold the tensors that are to be freed.
        if picture.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _blend(self, picture: Tensor, report: int) -> Tensor:
        height, width = picture.shape[2:]
        rows, columns = (
            aligned_spans(length, self._tile, self._overlap, self._align) for length in (height, width)
        )
        out: Tensor | None = None
        shares = _shares(report, len(rows) * len(columns))
        for i, row in enumerate(rows):
            down = weights(i, rows, self._scale).to(picture.device)[:, None]
            for j, column in enumerate(columns):
                across = weights(j, columns, self._scale).to(picture.device)
                piece = picture[:, :, row.start : row.stop, column.start : column.stop]
                result = self._piece(piece, next(shares)).mul_(down).mul_(across)
                if out is None:
                    out = result.new_zeros((1, result.shape[1], height * self._scale, width * self._scale))
                top, left = row.start * self._scale, column.start * self._scale
                out[:, :, top : top + result.shape[2], left : left + result.shape[3]] += result
        assert out is not None  # noqa: S101 - there is at least one tile
        return out

    def within(self, fraction: float) -> None:
        """Report the share of the current piece that is done, 0 to 1; for `function` to call."""
        if self._progress is not None:
            self._progress(self._done + int(fraction * self._share), self._total)

    def _advance(self, pixels: int) -> None:
        self.within(1.0)
        self._done += pixels


def _shares(total: int, count: int) -> Iterator[int]:
    """`count` whole numbers that add up to `total`."""
    return ((total * (i + 1)) // count - (total * i) // count for i in range(count))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch (or the host) raised this because an allocation failed."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "not enough memory" in text or "can't allocate memory" in text
