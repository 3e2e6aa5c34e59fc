"""A mask over hdr_boost: the gain becomes gain^mask, none where the mask is 0, all of it where it is 1.

A mask covers the whole picture at any size. Between its pixels it is read at places that depend on the
picture alone, so that all tiles and strips of a picture agree.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.geometry import TileBox


def reduced_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """A mask of at most height × width pixels, averaged where it is larger.

    mask: (h, w) float32 in [0, 1]; returned as it is where it is small enough.
    """
    size = min(mask.shape[0], height), min(mask.shape[1], width)
    if size == tuple(mask.shape):
        return mask
    return F.interpolate(mask[None, None], size, mode="area")[0, 0].clamp_(0.0, 1.0)


def mask_at(mask: Tensor, box: TileBox, height: int, width: int) -> Tensor:
    """(h, w) in [0, 1] → (height, width) float32 of the part at `box`, bilinear; edges are continued."""
    above, below, down = _between(box.y, box.height, height, mask.shape[0])
    left, right, across = _between(box.x, box.width, width, mask.shape[1])
    rows = _mixed(mask[above], mask[below], down[:, None])
    return _mixed(rows[:, left], rows[:, right], across)


def masked(rgb: Tensor, expanded: Tensor, mask: Tensor) -> Tensor:
    """rgb · (expanded / rgb)^mask, a new tensor; bit for bit `rgb` for a mask of 0, `expanded` for one of 1.

    rgb, expanded: (H, W, 3) linear light before and after the expansion. mask: (H, W) in [0, 1]. Where the
    two have no ratio above 0 (black, a change of sign) they are mixed in linear light.
    """
    share = mask[..., None]
    gain = expanded / rgb
    has_gain = (gain > 0.0) & gain.isfinite()
    between = torch.where(has_gain, rgb * gain.pow_(share), torch.lerp(rgb, expanded, share))
    return torch.where(share == 0.0, rgb, torch.where(share == 1.0, expanded, between))


def _between(start: float, extent: float, count: int, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two cells around each of `count` pixels, and the weight of the second.

    start, extent: where the pixels lie, as fractions of the axis, which has `cells`.
    """
    middles = (torch.arange(count, dtype=torch.float64) + 0.5) / count * extent + start
    places = (middles * cells - 0.5).clamp_(0.0, cells - 1.0)
    first = places.floor()
    before = first.long()
    return before, (before + 1).clamp_(max=cells - 1), (places - first).float()


def _mixed(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Linear interpolation that gives exactly the common value between equal ones."""
    return first + (second - first) * share
