"""The global reference: what the whole master says about the low frequencies of one tile.

The reference is trusted for averages over areas of several of its own pixels, and for nothing finer. The
tile is divided into cells; a smooth field of gains, one per channel, makes the average of every cell that of
the reference, so that exposure or colour drift between tiles vanishes and detail stays. The gains are found
on the tile as it was before the network: it has the edges that the reference has, so that only drift is left
between them (source_match.py takes back what the network shifted). Cells are those of the whole master, so
that neighbouring tiles compare the same ones. Gains rather than offsets, because drift of exposure and white
balance multiplies linear light. Where the tile sits is given as a TileBox; registration.py finds one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from luxscaler.errors import InputError
from luxscaler.geometry import WHOLE, TileBox

CELL_REFERENCE_PIXELS = 8.0
"""Least side of a cell in reference pixels: coarser than how any two reductions of a picture differ."""
FOUND_CELL_REFERENCE_PIXELS = 16.0
"""The same where the box was found by registration, which errs by up to a pixel."""
CELL_SOURCE_PIXELS = 16.0
"""Least side of a cell in the tile's own source pixels: finer is detail, which is the network's."""
MAX_CELLS = 256
"""Most cells along a side."""
FLOOR = 1e-3
"""Linear light added before the ratio, so that blacks ask for no gain."""
ROUNDS = 4
"""Rounds of fitting: the gains overlap, so that one division does not suffice."""
MAX_GAIN = 4.0
"""A tile two stops away from its reference is not drift but another picture."""
NO_DRIFT = 0.015
"""Median of the cells' differences, in stops, up to which a tile agrees: reductions of a picture differ by as
much, and in single cells of dark edges by far more."""
ROWS = 256
"""Rows done at once, so that temporaries stay small beside the picture."""


@torch.inference_mode()
def match_low_band(
    rgb: Tensor,
    source: Tensor,
    reference: Tensor,
    box: TileBox,
    *,
    cell_pixels: float = CELL_REFERENCE_PIXELS,
    is_own: bool = False,
) -> Tensor:
    """Give `rgb` the low frequencies that `reference` has at `box`.

    rgb: (H, W, 3) float32, linear light, the upscaled tile. source: (n, m, 3), the tile before the network.
    reference: (h, w, 3), the whole master at any size; both float32, linear light, on the device of `rgb`.
    cell_pixels: least side of a cell in reference pixels. is_own: whether the reference was made of the very
    picture that the tile was cut from, so that a large difference is no error.
    Returns a new (H, W, 3) float32, no brighter than the brighter of the two, or `rgb` itself where nothing
    drifted. Raises InputError when the two differ by more than two stops on average and the reference is not
    the tile's own: the box or the reference is of another picture.
    """
    rows = _grid(source.shape[0], box.y, box.height, reference.shape[0] / cell_pixels)
    columns = _grid(source.shape[1], box.x, box.width, reference.shape[1] / cell_pixels)
    # Where an SDR reference is clipped, a brighter tile is not wrong: both are compared up to that level.
    ceiling = max(float(reference.max()), 1.0)
    if float(reference.min()) < 0.0:  # colours outside Rec.709: clipped on both sides or on neither
        reference = reference.clamp(min=0.0)
    wanted = _cell_means(reference, rows, columns, box).add_(FLOOR)
    offset = source.clamp(0.0, ceiling).add_(FLOOR)
    drift = (wanted / _cell_means(offset, rows, columns, WHOLE)).log2_()
    if float(drift.abs_().flatten(0, 1).median(0).values.max()) < NO_DRIFT:
        return rgb
    gains = _fit(offset, wanted, rows, columns)
    typical = float(gains.log2().median())
    if not is_own and abs(typical) > math.log2(MAX_GAIN) - 1e-3:
        raise InputError(
            f"tile_input and global_reference differ {2.0 ** abs(typical):.1f} times or more in brightness "
            f"at tile_box {box}; at most {MAX_GAIN:g} times is taken for drift"
        )
    return _apply(rgb, gains, rows, columns).clamp_(max=max(ceiling, float(rgb.max())))


@dataclass(frozen=True)
class Grid:
    """Cells along one axis of a tile. All are equally long; the outer ones end with the tile."""

    cells: int
    first: float = 0.0
    """Where the first cell begins, in lengths of the tile: 0, or before it, or half a cell behind it."""
    reach: float = 1.0
    """Length of all cells together, in lengths of the tile."""


def _grid(source_pixels: int, start: float, size: float, master_cells: float) -> Grid:
    """The cells of a tile that takes [start, start + size) of the master along this axis.

    master_cells: how many cells the reference allows along the master.
    """
    cell = max(CELL_SOURCE_PIXELS, source_pixels / size / master_cells, source_pixels / MAX_CELLS)
    begin = start / size * source_pixels / cell  # in cells of the master
    end = begin + source_pixels / cell
    # Less than half a cell is left to the neighbour: its average would be of too little.
    first, last = math.floor(begin + 0.5 - 1e-6), math.floor(end + 0.5 + 1e-6)
    if last - first < 2:
        return Grid(1)
    length = end - begin
    return Grid(last - first, (first - begin) / length, (last - first) / length)


def _cell_means(picture: Tensor, rows: Grid, columns: Grid, box: TileBox) -> Tensor:
    """Averages of `picture` over the cells of the box: (rows, columns, 3)."""
    height, width = picture.shape[:2]
    down = averaging(height, rows, box.y * height, (box.y + box.height) * height).to(picture.device)
    across = averaging(width, columns, box.x * width, (box.x + box.width) * width).to(picture.device)
    return torch.einsum("rh,hwc,kw->rkc", down, picture, across)


def averaging(length: int, grid: Grid, start: float, stop: float) -> Tensor:
    """(cells, length) weights that average samples over the cells of [start, stop], fractions included."""
    begin = start + (stop - start) * grid.first
    end = begin + (stop - start) * grid.reach
    edges = torch.linspace(begin, end, grid.cells + 1, dtype=torch.float64)
    edges[0], edges[-1] = start, stop
    position = torch.arange(length, dtype=torch.float64)
    left = torch.maximum(edges[:-1, None], position)
    right = torch.minimum(edges[1:, None], position + 1.0)
    covered = (right - left).clamp_(min=0.0)
    return (covered / covered.sum(dim=1, keepdim=True).clamp_(min=1e-12)).float()


def spreading(length: int, grid: Grid) -> Tensor:
    """(length, cells) weights that interpolate cell values to pixels smoothly (cubic B-spline, clamped).

    All weights are at least 0 and add up to one for every pixel, so that the field never overshoots.
    """
    cells = grid.cells
    place = (torch.arange(length, dtype=torch.float64) + 0.5) / length
    position = (place - grid.first) * (cells / grid.reach) - 0.5
    base = position.floor()
    weights = torch.zeros((length, cells), dtype=torch.float64)
    for offset in (-1, 0, 1, 2):
        distance = (position - (base + offset)).abs()
        near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
        far = (2.0 - distance).clamp(min=0.0) ** 3 / 6.0
        index = (base + offset).long().clamp_(0, cells - 1)[:, None]
        weights.scatter_add_(1, index, torch.where(distance < 1.0, near, far)[:, None])
    return weights.float()


def _fit(offset: Tensor, wanted: Tensor, rows: Grid, columns: Grid) -> Tensor:
    """The gains (rows, columns, 3) that bring the cell averages of `offset` (light + FLOOR) to `wanted`."""
    gains = torch.ones_like(wanted)
    for _ in range(ROUNDS):
        field = _field(gains, offset.shape[0], offset.shape[1], rows, columns)
        found = _cell_means(offset * field, rows, columns, WHOLE)
        gains.mul_(wanted / found).clamp_(1.0 / MAX_GAIN, MAX_GAIN)
    return gains


def _field(gains: Tensor, height: int, width: int, rows: Grid, columns: Grid) -> Tensor:
    down = spreading(height, rows).to(gains.device)
    across = spreading(width, columns).to(gains.device)
    return torch.einsum("hr,rkc,wk->hwc", down, gains, across)


def _apply(rgb: Tensor, gains: Tensor, rows: Grid, columns: Grid) -> Tensor:
    """(rgb + FLOOR) · gain − FLOOR, a band of rows at a time."""
    height, width = rgb.shape[:2]
    down = spreading(height, rows).to(rgb.device)
    across = torch.einsum("rkc,wk->rwc", gains, spreading(width, columns).to(rgb.device))
    out = torch.empty_like(rgb)
    for start in range(0, height, ROWS):
        field = torch.einsum("hr,rwc->hwc", down[start : start + ROWS], across)
        band = torch.add(rgb[start : start + ROWS], FLOOR, out=out[start : start + ROWS])
        band.mul_(field).sub_(FLOOR)
    return out
