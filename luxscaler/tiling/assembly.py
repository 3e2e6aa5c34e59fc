"""Tiles to rows: blends what overlaps, expands the dynamic range, and hands the rows on, top to bottom.

    tiles → blended strip → expanded strip → host memory → `take`

A strip is a few rows over the whole width. It is made as soon as all of its tiles are there, so rows are
written while other tiles are computed, and memory does not grow with the picture. It is blended and expanded
on the device that holds the tiles; finished rows are copied to the host once. The range is expanded here and
not in the tiles, by one map of gains of the whole picture.
"""

from collections.abc import Callable

import torch

from luxscaler.geometry import Span
from luxscaler.tiling.blending import Blender
from luxscaler.tiling.expansion import MARGIN, Expansion, expanded_rows, strip_rows
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.strips import Strip, UpscaledTile
from luxscaler.upscaling.pinned_copy import to_host
from luxscaler.upscaling.side_stream import SideStream

CPU = torch.device("cpu")


class Assembler:
    """Makes the rows of a master from its tiles."""

    def __init__(
        self,
        plan: Plan,
        tile_of: Callable[[int], UpscaledTile],
        expansion: Expansion,
        take: Callable[[Strip], None],
        *,
        has_alpha: bool,
        border: int = 0,
        shows_both: bool = False,
        device: torch.device = CPU,
    ) -> None:
        """tile_of: the upscaled tile of a number. take: called with every strip, in order. has_alpha: whether
        tiles have alpha. border: rows of the opposite side that are passed on before the first row and after
        the last, where the edges meet. shows_both: whether strips have the light before the expansion too.
        device: where rows are made; tiles that lie elsewhere are copied to it.
        """
        self._plan = plan
        self._expansion = expansion.laid_out(plan.wrap).for_size(plan.output_height, plan.output_width)
        self._take = take
        self._next, self._end = -border, plan.output_height + border
        self._shows_both = shows_both
        self._blender = Blender(plan, tile_of, device, has_alpha=has_alpha)
        self._stream = SideStream(device)
        self.peak = 0.0
        """Largest linear value so far."""

    @property
    def rows_done(self) -> int:
        """Rows of the result that were passed on; below 0 while those of the border are."""
        return self._next

    def needs(self, number: int) -> bool:
        """Whether rows that were not passed on yet need that tile."""
        span = self._plan.cut(number).rows
        if self._next == self._end:
            return False
        first, last = self._rows_seen(self._next, self._end)
        lines = (lines for lines, _ in self._blender.fold.lines(first, last))
        return any(line.start < span.stop and span.start < line.stop for line in lines)

    def advance(self, done: Callable[[int], bool], halted: Callable[[], bool] = lambda: False) -> None:
        """Pass on all rows that need only tiles for which `done` is true; stop early if `halted` is true."""
        absent = self._absent(done)
        step = strip_rows(self._plan.output_width)
        # Strips lie on a fixed grid, whenever tiles come: where a strip begins shows in the last bits.
        while self._next < (bottom := min(self._next + step, self._end)) and self._is_ready(bottom, absent):
            if halted():
                return
            self._take(self._strip(self._next, bottom))
            self._next = bottom

    def _absent(self, done: Callable[[int], bool]) -> list[Span]:
        """Which rows of the result, in spans, have a tile that is not done."""
        columns = len(self._plan.columns)
        return [
            span
            for row, span in enumerate(self._plan.rows)
            if not all(done(row * columns + column) for column in range(columns))
        ]

    def _is_ready(self, bottom: int, absent: list[Span]) -> bool:
        """Whether the rows from the next to `bottom` need nothing of `absent`."""
        seen = [lines for lines, _ in self._blender.fold.lines(*self._rows_seen(self._next, bottom))]
        return not any(
            lines.start < span.stop and span.start < lines.stop for span in absent for lines in seen
        )

    def _rows_seen(self, top: int, bottom: int) -> tuple[int, int]:
        """The rows that the expansion of [top, bottom) reads; they go beyond edges that meet."""
        margin = MARGIN if self._expansion.boost > 1.0 else 0
        if self._plan.wrap.y:
            return top - margin, bottom + margin
        return max(top - margin, 0), min(bottom + margin, self._plan.output_height)

    @torch.inference_mode()
    def _strip(self, top: int, bottom: int) -> Strip:
        """Finished rows [top, bottom), in the host's memory."""
        first, last = self._rows_seen(top, bottom)
        rows = slice(top - first, bottom - first)
        with self._stream:
            light, alpha = self._blender.rows(first, last)
            expanded = expanded_rows(
                light,
                first,
                self._plan.output_height,
                self._expansion,
                wraps=self._plan.wrap.x,
                in_place=self._blender.owns and not self._shows_both,
            )
            rgb = to_host(expanded[rows])
            # On a card there, else by NumPy, which does not wait for PyTorch's threads (blending.py).
            seen = rgb if expanded.device.type == "cpu" else expanded[rows]
            self.peak = max(self.peak, float(seen.max()))
            sdr = rgb if expanded is light else to_host(light[rows])
            coverage = None if alpha is None else to_host(alpha[rows])
        return Strip(top, rgb, sdr if self._shows_both else None, coverage)
