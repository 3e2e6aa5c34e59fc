"""Rows of the result out of the tiles that cover them.

Neighbouring tiles share pixels, in which their weights are raised cosines that add up to one (tiled.py).
Where a single tile covers a pixel, it is copied. Where tiles meet, they are added in a fixed order, so the
same tiles give the same bytes. Where opposite edges meet, their tiles are blended too (wrap.py).

Blending runs on the device that holds the tiles: PyTorch on a card; on a processor NumPy, in blocks of rows
that fit into its cache. NumPy uses one thread on purpose: a master needs few copies and sums, and every call
of PyTorch waits for all of its threads, which come late on a processor that encodes rows at the same time
(docs/experiments.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from luxscaler.geometry import Span
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.strips import Lines, UpscaledTile
from luxscaler.tiling.wrap import Fold
from luxscaler.upscaling.tiled import weights

BLOCK_BYTES = 2 * 2**20
"""Of the rows that a processor blends at once, about: with the parts of tiles, what a core's cache holds."""
Array = Any
"""An array of NumPy or a tensor of PyTorch; the functions used here have the same names in both."""


def library_of(device: torch.device) -> Any:
    """NumPy or PyTorch, whichever blends there."""
    return np if device.type == "cpu" else torch


class Blender:
    """Blends the tiles of one plan, into memory that is used again for the next rows."""

    def __init__(
        self, plan: Plan, tile_of: Callable[[int], UpscaledTile], device: torch.device, *, has_alpha: bool
    ) -> None:
        """tile_of: the upscaled tile of a number. device: where to blend. has_alpha: of the tiles."""
        self._plan = plan
        self._tile_of = tile_of
        self._device = device
        self._library = library_of(device)
        self._has_alpha = has_alpha
        rows, columns = plan.border
        self.fold = Fold(plan.output_height, rows)
        """How the rows of a border lie over those of the opposite side."""
        self._fold_columns = Fold(plan.output_width, columns)
        down = [_weights(i, plan.rows, self.fold) for i in range(len(plan.rows))]
        across = [_weights(i, plan.columns, self._fold_columns) for i in range(len(plan.columns))]
        self._lower, self._alone = [_ones(line) for line in down], [_ones(line) for line in across]
        self._down = [self._array(line) for line in down]
        self._across = [self._array(line[:, None].repeat(1, 3)) for line in across]
        """(width, 3): a product of rows with it runs through memory in one piece."""
        self._memory = torch.empty(0, 0, 3, device=device)
        self._product = self._array(torch.empty(0))

    @property
    def owns(self) -> bool:
        """Whether the caller may change what `rows` returns; the rows of a single tile are the tile's own."""
        return len(self._plan) > 1 or bool(self._plan.wrap)

    def rows(self, top: int, bottom: int) -> Lines:
        """Rows [top, bottom) of the result, on the device. The next call overwrites them."""
        if not self.owns:
            rgb, alpha = self._tile_of(0).lines(top, bottom)
            return Lines(rgb.to(self._device), None if alpha is None else alpha.to(self._device))
        width = self._plan.output_width
        if len(self._memory) < bottom - top:
            self._memory = torch.empty(bottom - top, width, 3, device=self._device)
        blended = self._memory[: bottom - top]
        light = self._array(blended)
        alpha = torch.zeros(bottom - top, width, device=self._device) if self._has_alpha else None
        coverage = None if alpha is None else Coverage.nothing(self._array(alpha), self._library)
        step = bottom - top if self._device.type != "cpu" else max(1, BLOCK_BYTES // (width * 12))
        for first in range(top, bottom, step):
            inside = slice(first - top, min(first + step, bottom) - top)
            light[inside] = 0.0
            self._add_rows(first, light[inside], None if coverage is None else coverage.part(inside))
        if coverage is not None:
            coverage.finish()
        return Lines(blended, alpha)

    def _array(self, tensor: Tensor) -> Array:
        """The tensor on the device, or the array that shares its memory."""
        return tensor.to(self._device) if self._library is torch else tensor.cpu().numpy()

    def _add_rows(self, top: int, rgb: Array, alpha: "Coverage | None") -> None:
        """Add what tiles have of the rows from `top`."""
        for lines, at in self.fold.lines(top, top + len(rgb)):
            for row, span in enumerate(self._plan.rows):
                first, last = max(lines.start, span.start), min(lines.stop, span.stop)
                if first < last:
                    inside = slice(at + first - lines.start, at + last - lines.start)
                    part = Span(first - span.start, last - span.start)
                    self._add_row(row, part, rgb[inside], None if alpha is None else alpha.part(inside))

    def _add_row(self, row: int, lines: Span, rgb: Array, alpha: "Coverage | None") -> None:
        """Add lines of a row of tiles, times their weights."""
        weights = self._down[row][lines.start : lines.stop]
        ones = self._lower[row]
        down = None if ones.start <= lines.start and lines.stop <= ones.stop else weights[:, None, None]
        for column, span in enumerate(self._plan.columns):
            tile = self._tile_of(row * len(self._plan.columns) + column)
            part = tile.lines(lines.start, lines.stop)
            seen, alone = self._array(part.rgb), self._alone[column]
            for place, at in self._fold_columns.places(span):
                end = at + place.stop - place.start
                for left, right in _split(at, end, alone):
                    is_alone = alone.start <= left and right <= alone.stop
                    across = None if is_alone else self._across[column][left:right]
                    target = rgb[:, place.start + left - at : place.start + right - at]
                    self._add(target, seen[:, left:right], down, across)
                if alpha is not None and part.alpha is not None:
                    weight = weights[:, None] * self._across[column][at:end, 0]
                    where = alpha.part(slice(None), slice(place.start, place.stop))
                    where.add(self._array(part.alpha)[:, at:end], weight)

    def _add(self, target: Array, seen: Array, down: Array | None, across: Array | None) -> None:
        """Add (n, w, 3) times the weights of its rows and of its columns; None are ones."""
        weight = across if down is None else down if across is None else down * across
        if weight is None:
            target[...] = seen  # times 1, and added to 0
            return
        size = math.prod(seen.shape)
        if len(self._product) < size:
            self._product = self._array(torch.empty(size))
        product = self._product[:size].reshape(seen.shape)
        # Two roundings, whatever the processor: a fused product and sum has one, and other last bits.
        self._library.multiply(seen, weight, out=product)
        self._library.add(target, product, out=target)


@dataclass(frozen=True)
class Coverage:
    """Alpha of rows that are being blended, (n, width) each.

    Weights add up to one but for the last bit, so what all tiles of a pixel agree on is kept: clear stays
    exactly clear, and opaque opaque.
    """

    total: Array
    least: Array
    most: Array
    library: Any
    """NumPy or PyTorch, whichever made the arrays."""

    @classmethod
    def nothing(cls, total: Array, library: Any) -> "Coverage":
        """The coverage before any tile is added. total: zeros, which become the blended alpha."""
        return cls(total, library.ones_like(total), library.zeros_like(total), library)

    def part(self, rows: slice, columns: slice = slice(None)) -> "Coverage":
        """A view of some rows and columns: what is added to it is added here."""
        place = rows, columns
        return Coverage(self.total[place], self.least[place], self.most[place], self.library)

    def add(self, alpha: Array, weight: Array) -> None:
        """A tile's alpha, (n, width) in [0, 1], times its weights; where those are 0 it does not count."""
        library, counts = self.library, weight > 0.0
        self.total[...] += alpha * weight
        self.least[...] = library.where(counts, library.minimum(self.least, alpha), self.least)
        self.most[...] = library.where(counts, library.maximum(self.most, alpha), self.most)

    def finish(self) -> None:
        """`total` becomes the blended alpha, (n, width) in [0, 1]."""
        self.library.clip(self.total, self.least, self.most, out=self.total)


def _split(start: int, stop: int, alone: slice) -> list[tuple[int, int]]:
    """[start, stop) in up to three parts: before, in and after `alone`."""
    first = min(max(alone.start, start), stop)
    last = min(max(alone.stop, first), stop)
    return [(a, b) for a, b in ((start, first), (first, last), (last, stop)) if a < b]


def _weights(index: int, cuts: tuple[Span, ...], fold: Fold) -> Tensor:
    line = weights(index, list(cuts), 1).float()
    return line * torch.from_numpy(fold.weights(cuts[index])) if fold.border else line


def _ones(line: Tensor) -> slice:
    """The middle of a tile, where its weights are 1 and no other tile counts."""
    (places,) = torch.nonzero(line != 1.0, as_tuple=True)
    middle = len(line) // 2
    before, after = places[places < middle], places[places >= middle]
    return slice(int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else len(line))
