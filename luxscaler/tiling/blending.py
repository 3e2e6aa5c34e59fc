"""Rows of the result out of the tiles that cover them.

Neighbouring tiles share pixels, in which their weights are raised cosines that add up to one (tiled.py).
Where a tile is alone its rows are copied, once; products and sums are made where tiles meet, in a fixed
order: the same tiles give the same bytes. All of it happens where the tiles lie, on a card or in memory.
Where opposite edges meet, their tiles are blended too (wrap.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from luxscaler.geometry import Span
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.strips import Lines, UpscaledTile
from luxscaler.tiling.wrap import Fold
from luxscaler.upscaling.tiled import weights


class Blender:
    """Blends the tiles of one plan, into memory that is used again for the next rows."""

    def __init__(
        self, plan: Plan, tile_of: Callable[[int], UpscaledTile], device: torch.device, *, has_alpha: bool
    ) -> None:
        """tile_of: the upscaled tile of a number. device: where to blend."""
        self._plan = plan
        self._tile_of = tile_of
        self._device = device
        self._has_alpha = has_alpha
        rows, columns = plan.border
        self.fold = Fold(plan.output_height, rows)
        """Of the rows."""
        self._fold_columns = Fold(plan.output_width, columns)
        self._down = [_weights(i, plan.rows, self.fold) for i in range(len(plan.rows))]
        self._across = [_weights(i, plan.columns, self._fold_columns) for i in range(len(plan.columns))]
        self._alone = [_ones(line) for line in self._across]
        self._across = [line.to(device) for line in self._across]
        self._memory = torch.empty(0, 0, 3, device=device)

    @property
    def owns(self) -> bool:
        """Whether rows are in memory that may be changed: those of a single tile are the tile's own."""
        return len(self._plan) > 1 or bool(self._plan.wrap)

    def rows(self, top: int, bottom: int) -> Lines:
        """Rows [top, bottom) of the result, until the next call."""
        if not self.owns:
            return self._on_device(self._tile_of(0).lines(top, bottom))
        width = self._plan.output_width
        if len(self._memory) < bottom - top:
            self._memory = torch.empty(bottom - top, width, 3, device=self._device)
        rgb = self._memory[: bottom - top].zero_()
        alpha = Coverage(bottom - top, width, self._device) if self._has_alpha else None
        for lines, at in self.fold.lines(top, bottom):
            for row, span in enumerate(self._plan.rows):
                first, last = max(lines.start, span.start), min(lines.stop, span.stop)
                if first < last:
                    inside = slice(at + first - lines.start, at + last - lines.start)
                    part = Span(first - span.start, last - span.start)
                    self._add_row(row, part, rgb[inside], alpha, inside)
        return Lines(rgb, None if alpha is None else alpha.blended())

    def _add_row(self, row: int, lines: Span, rgb: Tensor, alpha: "Coverage | None", inside: slice) -> None:
        """Add lines of a row of tiles, times their weights."""
        down = self._down[row][lines.start : lines.stop]
        is_alone = bool((down == 1.0).all())
        down = down.to(self._device)[:, None]
        for column, span in enumerate(self._plan.columns):
            tile = self._tile_of(row * len(self._plan.columns) + column)
            part = self._on_device(tile.lines(lines.start, lines.stop))
            weight = down * self._across[column]
            alone = self._alone[column] if is_alone else slice(0, 0)
            for place, at in self._fold_columns.places(span):
                end = at + place.stop - place.start
                for left, right in _split(at, end, alone):
                    target = rgb[:, place.start + left - at : place.start + right - at]
                    seen = part.rgb[:, left:right]
                    if alone.start <= left and right <= alone.stop:
                        target.copy_(seen)  # times 1, and added to 0
                    else:
                        target.add_(seen * weight[:, left:right, None])
                if alpha is not None and part.alpha is not None:
                    columns = slice(place.start, place.stop)
                    alpha.add((inside, columns), part.alpha[:, at:end], weight[:, at:end])

    def _on_device(self, lines: Lines) -> Lines:
        rgb, alpha = lines
        return Lines(rgb.to(self._device), None if alpha is None else alpha.to(self._device))


class Coverage:
    """Alpha of rows that are being blended.

    Weights add up to one but for the last bit, so what all tiles of a pixel agree on is kept: clear stays
    exactly clear, and opaque opaque.
    """

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        self._sum = torch.zeros(height, width, device=device)
        self._least = torch.ones_like(self._sum)
        self._most = torch.zeros_like(self._sum)

    def add(self, place: tuple[slice, slice], alpha: Tensor, weight: Tensor) -> None:
        """A tile's alpha, (n, w) in [0, 1], times its weights; where those are 0 it does not count."""
        self._sum[place] += alpha * weight
        counts = weight > 0.0
        least, most = self._least[place], self._most[place]
        torch.where(counts, torch.minimum(least, alpha), least, out=least)
        torch.where(counts, torch.maximum(most, alpha), most, out=most)

    def blended(self) -> Tensor:
        """(height, width) in [0, 1]."""
        return self._sum.clamp_(self._least, self._most)


def _split(start: int, stop: int, alone: slice) -> list[tuple[int, int]]:
    """[start, stop) in up to three parts: before, in and after `alone`."""
    first = min(max(alone.start, start), stop)
    last = min(max(alone.stop, first), stop)
    return [(a, b) for a, b in ((start, first), (first, last), (last, stop)) if a < b]


def _weights(index: int, cuts: tuple[Span, ...], fold: Fold) -> Tensor:
    line = weights(index, list(cuts), 1).float()
    return line * torch.from_numpy(fold.weights(cuts[index])) if fold.border else line


def _ones(line: Tensor) -> slice:
    """The middle of a tile, where no other tile has a part."""
    (places,) = torch.nonzero(line != 1.0, as_tuple=True)
    middle = len(line) // 2
    before, after = places[places < middle], places[places >= middle]
    return slice(int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else len(line))
