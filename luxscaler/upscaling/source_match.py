"""Back to the source's code values: every area of the result has the mean that it has in the source.

The networks shift colours, thicken dark strokes and darken the gaps between leaves. Where the source is at
hand, what they changed is known at each of its pixels: the difference between the source's code value and the
mean of the result's code values in that pixel. It is given back at the source's own resolution, so it ends
where the source has its edges: no large cell is brightened as a whole for the sake of a dark tree in it.

Two things are not given back pixel by pixel. Differences as small as noise and compression are what a network
is there to lose: only their mean over a few source pixels comes back. And pixels are kept in the range that
the source has around them: where it leaves no room, each result pixel goes the same share of its way to the
limit, so that the paper around letters stays white and gaps between leaves are hardly brighter than the sky.
What is then missing from the means, little by now, is shared out up to black and white.

Code values rather than light, because SDR pictures are reduced in code values and because equal steps are
equally visible in them. Float and HDR sources keep the light itself (back_projection.py).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.upscaling import code_values

NOISE = 7.0 / 255.0
"""Root mean square over the channels of what may be noise, in code values."""
MASKED = 0.7
"""Share of it that an edge from black to white hides."""
ROUNDS = 3
"""Rounds of solving for the correction at the source's size."""
EXACT_ROUNDS = 8
"""Rounds of solving for the last, exact shares, at the source's size."""
MOST_AT_EDGES = 14.0 / 255.0
"""Most that the last shares change a single pixel by: more would give smooth lines back their steps."""
LEAST_ROOM = 1e-4
"""Least way to a limit, in code values, of which a share is taken."""
ROWS = 256
"""Rows done at once, so that temporaries stay small beside the picture."""


@torch.inference_mode()
def match_source(rgb: Tensor, source: Tensor) -> Tensor:
    """Give every area of `rgb` the mean code value that it has in the picture it was upscaled from.

    rgb: (H, W, 3) float32, linear light, changed in place and returned. source: (h, w, 3) float32, linear
    light, on the same device, h ≤ H and w ≤ W. Means of areas of 16 × 16 source pixels agree to 0.5/255, and
    to 1/255 beside hard edges where the scale is no whole number; those of single pixels to about NOISE.
    No value leaves the range of `source` and `rgb`, widened to [0, 1].
    """
    wanted = code_values.encode(source)
    near = _near(wanted)
    noise = _noise(near)
    size = (source.shape[0], source.shape[1])
    scale = rgb.shape[0] / size[0]
    for band in _bands(rgb):
        band.copy_(code_values.encode(band))
    _add(rgb, _correction(wanted - area_means(rgb, size), scale, noise), near)
    found = area_means(rgb, size)
    _add_shares(rgb, _shares(_correction(wanted - found, scale, None), found, near), near)
    full = _Range(near.low.clamp_(max=0.0), near.high.clamp_(min=1.0))
    del near, found
    _add_shares(rgb, _exact_shares(wanted, area_means(rgb, size), noise, full), full, mode="nearest")
    for band in _bands(rgb):
        code_values.decode_(band)
    return rgb


@dataclass(frozen=True)
class _Range:
    """Between which code values a correction may move a pixel, (h, w, 3) each."""

    low: Tensor
    high: Tensor


def _near(source: Tensor) -> _Range:
    """The source's own range around each pixel, wider by NOISE, but within [0, 1] where the source is."""
    plane = source.permute(2, 0, 1)[None]
    high, low = (sign * F.max_pool2d(sign * plane, 3, stride=1, padding=1) for sign in (1.0, -1.0))
    high, low = (limit[0].permute(1, 2, 0) for limit in (high, low))
    return _Range(
        torch.maximum(low - NOISE, low.clamp(max=0.0)), torch.minimum(high + NOISE, high.clamp(min=1.0))
    )


def _bands(picture: Tensor) -> Iterator[Tensor]:
    return (picture[start : start + ROWS] for start in range(0, picture.shape[0], ROWS))


def _noise(near: _Range) -> Tensor:
    """(h, w, 1): NOISE, and less where edges hide it, so that both sides of them keep their places."""
    contrast = (near.high - near.low - 2.0 * NOISE).amax(-1, keepdim=True).clamp_(0.0, 1.0)
    return NOISE * (1.0 - MASKED * contrast)


def _correction(difference: Tensor, scale: float, noise: Tensor | None) -> Tensor:
    """(h, w, 3): what, enlarged and added to the result, changes its means by `difference`.

    noise: (h, w, 1), how large a difference of a single pixel may be and still be noise; None: only smooth
    differences are given back.
    """
    total = torch.zeros_like(difference)
    for _ in range(ROUNDS):
        left = difference - _seen(total, scale)
        smooth = _smoothed(left)
        total += smooth if noise is None else smooth + _without_noise(left.sub_(smooth), noise)
    return total


def _without_noise(detail: Tensor, noise: Tensor) -> Tensor:
    """The non-negative garrote (Gao 1998): large values nearly as they are, those below `noise` gone."""
    energy = detail.square().mean(-1, keepdim=True).clamp_(min=1e-12)
    return detail * (1.0 - noise.square() / energy).clamp_(min=0.0)


def _smoothed(picture: Tensor) -> Tensor:
    """(h, w, 3) through a tent of 5 × 5 pixels; the sum over the picture stays."""
    means = _pooled if picture.device.type != "cpu" else _averaged
    return means(means(picture))


def _pooled(picture: Tensor) -> Tensor:
    """Means over 3 × 3 pixels of (h, w, 3), the outermost pixels repeated beyond the edges."""
    plane = F.pad(picture.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(plane, 3, stride=1)[0].permute(1, 2, 0)


def _averaged(picture: Tensor) -> Tensor:
    """The same but for last bits, in a quarter of a processor's time; on a card it would be many launches."""
    total = picture
    for axis in (0, 1):
        length = total.shape[axis]
        line, total = total, total.clone()
        total.narrow(axis, 1, length - 1).add_(line.narrow(axis, 0, length - 1))
        total.narrow(axis, 0, length - 1).add_(line.narrow(axis, 1, length - 1))
        for edge in (0, length - 1):
            total.select(axis, edge).add_(line.select(axis, edge))
    return total.div_(9.0)


def _seen(picture: Tensor, scale: float) -> Tensor:
    """The means of `picture` after a linear enlargement: what its neighbours leave of a pixel."""
    side = (1.0 - scale**-2) / 8.0  # mean distance of the enlarged pixels from the middle, halved
    kernel = picture.new_tensor([side, 1.0 - 2.0 * side, side])
    kernel = (kernel[:, None] * kernel[None, :])[None, None]
    seen = torch.empty_like(picture)
    for channel in range(picture.shape[2]):  # one by one: the convolution's scratch is as large as its planes
        plane = F.pad(picture[None, None, :, :, channel], (1, 1, 1, 1), mode="replicate")
        seen[..., channel] = F.conv2d(plane, kernel)[0, 0]
    return seen


def _shares(change: Tensor, found: Tensor, range_: _Range) -> Tensor:
    """(h, w, 3) in [−1, 1]: the share of their way to the upper (or, below 0, lower) limit that pixels go."""
    up, down = (range_.high - found).clamp_(min=0.0), (found - range_.low).clamp_(min=0.0)
    return _shares_of(change, _smoothed(up), _smoothed(down))


def _exact_shares(wanted: Tensor, found: Tensor, noise: Tensor, range_: _Range) -> Tensor:
    """(h, w, 3) in [−1, 1]: shares, one for all of a source pixel, that make the means of areas `wanted`.

    A share of a pixel's way changes its mean by that share of the mean way, so the rounds need no picture.
    """
    left = wanted - found
    edges = _without_noise(left - _smoothed(left), noise).clamp_(-MOST_AT_EDGES, MOST_AT_EDGES)
    reached = edges.add_(found)
    for _ in range(EXACT_ROUNDS):
        change = _smoothed(_smoothed(wanted - reached))
        up, down = (range_.high - reached).clamp_(min=0.0), (reached - range_.low).clamp_(min=0.0)
        shares = _shares_of(change, _smoothed(_smoothed(up)), _smoothed(_smoothed(down)))
        reached += shares * torch.where(shares > 0.0, up, down)
    return _shares_of(reached - found, range_.high - found, found - range_.low)


def _shares_of(change: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """`change` as a share, in [−1, 1], of the way up or down."""
    way = torch.where(change > 0.0, up, down).clamp_(min=LEAST_ROOM)
    return (change / way).clamp_(-1.0, 1.0)


def _add(code: Tensor, change: Tensor, range_: _Range) -> None:
    """Add `change`, enlarged, in place: nothing leaves the range, and what is outside goes no further."""
    for band, *small in _enlarged(code, change, range_.low, range_.high):
        more, low, high = small
        low, high = torch.minimum(low, band), torch.maximum(high, band)
        torch.clamp(band.add_(more), low, high, out=band)


def _add_shares(code: Tensor, shares: Tensor, range_: _Range, mode: str = "bilinear") -> None:
    """Move each pixel, in place, by its share of the way to the upper or to the lower limit."""
    for band, *small in _enlarged(code, shares, range_.low, range_.high, mode=mode):
        share, low, high = small
        room = torch.where(share > 0.0, high.sub_(band), low.neg_().add_(band)).clamp_(min=0.0)
        band.add_(room.mul_(share))


def _enlarged(code: Tensor, *small: Tensor, mode: str = "bilinear") -> Iterator[tuple[Tensor, ...]]:
    """Bands of `code`, (ROWS, W, 3), each with the bands of `small`, (h, w, 3), enlarged to its size.

    mode: bilinear, or nearest.
    """
    height, width = code.shape[:2]
    count = small[0].shape[0]
    rows = (torch.arange(height, dtype=torch.float64) + 0.5) * (count / height) - 0.5
    if mode == "nearest":
        rows = (rows + 0.5).floor_()
    rows.clamp_(0.0, count - 1.0)
    upper = rows.long()
    share = (rows - upper).float().to(code.device)[:, None, None]
    upper = upper.to(code.device)
    lower = (upper + 1).clamp_(max=count - 1)
    for start in range(0, height, ROWS):
        part = slice(start, start + ROWS)
        above, below = upper[part], lower[part]
        bands = (torch.lerp(one[above], one[below], share[part]) for one in small)
        yield (code[part], *(_widened(band, width, mode) for band in bands))


def _widened(band: Tensor, width: int, mode: str) -> Tensor:
    """(n, w, 3) → (n, width, 3)."""
    plane, size = band.permute(2, 0, 1)[None], (band.shape[0], width)
    if mode == "nearest":
        wide = F.interpolate(plane, size, mode="nearest-exact")
    else:
        wide = F.interpolate(plane, size, mode="bilinear", align_corners=False)
    return wide[0].permute(1, 2, 0)


def area_means(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W, 3) → (h, w, 3): means over equal areas, pixels on their borders counted in part."""
    out = picture.new_empty((*size, picture.shape[2]))
    down = _taps(picture.shape[0], size[0], picture.device)
    across = _taps(picture.shape[1], size[1], picture.device)
    step = max(1, ROWS * size[0] // picture.shape[0])
    for start in range(0, size[0], step):
        part = slice(start, start + step)
        rows = _gathered(picture, 0, [(index[part], weight[part]) for index, weight in down])
        out[part] = _gathered(rows, 1, across)
    return out


def _taps(length: int, count: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Indices and weights, (count,) each: the n-th pixel that each of `count` equal spans touches."""
    ratio = length / count
    begin = torch.arange(count, dtype=torch.float64) * ratio
    end = begin + ratio
    taps = []
    for offset in range(math.ceil(ratio) + 1):
        index = (begin + 1e-9).floor() + offset
        weight = (torch.minimum(end, index + 1.0) - torch.maximum(begin, index)) / ratio
        if float(weight.max()) > 1e-6:
            index, weight = index.long().clamp_(max=length - 1), weight.clamp_(min=0.0).float()
            taps.append((index.to(device), weight.to(device)))
    return taps


def _gathered(picture: Tensor, axis: int, taps: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The weighted sum of what the taps pick along an axis (0 or 1) of (H, W, 3)."""
    total: Tensor | None = None
    for index, weight in taps:
        part = picture.index_select(axis, index).mul_(weight[:, None, None] if axis == 0 else weight[:, None])
        total = part if total is None else total.add_(part)
    assert total is not None  # noqa: S101 - a span touches at least one pixel
    return total
