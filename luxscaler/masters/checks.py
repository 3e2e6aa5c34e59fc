"""Checks that what a backend returned is the tile that was asked for: size, finite values, same picture.

A remote machine can return a black picture, half of one, or that of another tile. What passes here goes into
the master.
"""

import math

import numpy as np
import torch

from luxscaler.backends.base import Output, Tile, TileOutput
from luxscaler.errors import TileError
from luxscaler.masters.reducer import Reducer
from luxscaler.picture import FloatArray
from luxscaler.tiling.strips import as_tensor
from luxscaler.upscaling import code_values
from luxscaler.upscaling.side_stream import SideStream

CELL = 4
"""Source pixels a side whose averages are compared: what networks invent is finer."""
TOLERANCE = 0.03
"""Difference of averages, in sRGB code values of 1, that is never an error."""
TOLERANCE_OF_CONTRAST = 0.5
"""The same as a share of the tile's own contrast: another picture differs by more than all of it."""


def check_tile(tile: Tile, output: Output) -> None:
    """Raise TileError when `output` cannot be the upscaled `tile`."""
    what = f"tile {tile.index}"
    if not _is_float32(output.rgb) or output.rgb.ndim != 3 or output.rgb.shape[2] != 3:
        raise TileError(
            f"{what} came back as {tuple(output.rgb.shape)} {output.rgb.dtype}, not as float32 RGB"
        )
    if output.rgb.shape[:2] != tile.output_size:
        got, wanted = output.rgb.shape, tile.output_size
        raise TileError(
            f"{what} came back with {got[1]} × {got[0]} pixels; asked for were {wanted[1]} × {wanted[0]}"
        )
    low, high = _range(output.rgb)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise TileError(f"{what} came back with values that are not finite")
    if (tile.picture.alpha is None) != (output.alpha is None):
        raise TileError(f"{what} came back {'without' if output.alpha is None else 'with'} alpha")
    if output.alpha is not None:
        _check_alpha(what, tile, output.alpha)
    if isinstance(output, TileOutput) and not output.trusted:
        _check_resemblance(what, tile, output)


def _is_float32(samples: FloatArray | torch.Tensor) -> bool:
    return samples.dtype in {np.dtype(np.float32), torch.float32}


@torch.inference_mode()
def _range(samples: FloatArray | torch.Tensor) -> tuple[float, float]:
    """The least and the largest value, NaN where there is one."""
    values = as_tensor(samples) if isinstance(samples, np.ndarray) else samples
    with SideStream(values.device):  # the network is at the next tile already
        low, high = torch.stack(values.aminmax()).tolist()
    return low, high


def _check_alpha(what: str, tile: Tile, alpha: FloatArray | torch.Tensor) -> None:
    if not _is_float32(alpha) or alpha.shape != tile.output_size:
        raise TileError(f"{what} came back with an alpha of {tuple(alpha.shape)} {alpha.dtype}")
    low, high = _range(alpha)
    if not 0.0 <= low <= high <= 1.0:  # also catches NaN
        raise TileError(f"{what} came back with an alpha from {low:g} to {high:g}, not within 0 to 1")


@torch.inference_mode()
def _check_resemblance(what: str, tile: Tile, output: TileOutput) -> None:
    height, width = tile.picture.height, tile.picture.width
    cells = (math.ceil(height / CELL), math.ceil(width / CELL))
    # One row of the result for each of the source tells two pictures apart as well as all of them.
    lines = slice(None, None, max(1, output.rgb.shape[0] // height))
    wanted, got = _averages(tile.picture.rgb, cells), _averages(output.rgb[lines], cells)
    if tile.picture.alpha is not None and output.alpha is not None:
        shown = _averages(tile.picture.alpha[..., None], cells, coded=False)
        difference, limit = _compared(shown, _averages(output.alpha[..., None], cells, coded=False))
        if difference > limit:
            raise TileError(
                f"{what} came back with another alpha: its averages are off by {difference:.3f}, "
                f"and {limit:.3f} is allowed"
            )
        if not tile.picture.source.is_associated:  # straight colour under transparent pixels may be anything
            wanted, got = wanted * shown, got * shown
    if float(got.max()) <= 0.0 and float(wanted.max()) > TOLERANCE:
        raise TileError(f"{what} came back black")
    difference, limit = _compared(wanted, got)
    if difference > limit:
        raise TileError(
            f"{what} came back as another picture: its averages are off by {difference:.3f} "
            f"of white in sRGB, and {limit:.3f} is allowed"
        )


def _compared(wanted: torch.Tensor, got: torch.Tensor) -> tuple[float, float]:
    """Of two (C, h, w) planes of averages the largest difference, and the largest that is allowed."""
    contrast = float((wanted - wanted.mean((0, 1), keepdim=True)).square().mean().sqrt())
    difference = float((got - wanted).square().mean().sqrt())
    return difference, max(TOLERANCE, TOLERANCE_OF_CONTRAST * contrast)


def _averages(samples: FloatArray, cells: tuple[int, int], *, coded: bool = True) -> torch.Tensor:
    """(H, W, C) linear light → (*cells, C) averages over cells, in the network's code values."""
    reducer = Reducer((samples.shape[0], samples.shape[1]), cells, samples.shape[2])
    reducer.add(0, samples)  # without a copy of the tile, of which many are under way
    small = torch.from_numpy(reducer.means())
    return code_values.encode(small) if coded else small
