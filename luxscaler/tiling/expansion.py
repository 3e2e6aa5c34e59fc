"""How the range of a whole picture is expanded, and the expansion of its rows, strip by strip."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from luxscaler.errors import InputError
from luxscaler.geometry import WHOLE, TileBox, Wrap
from luxscaler.hdr.dequantize import RADIUS
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.hdr.mask import mask_at, masked, reduced_mask
from luxscaler.upscaling.render import is_grey

STRIP_BYTES = 48 * 2**20
"""Float32 samples of a strip, about."""
MARGIN = RADIUS
"""Rows above and below a strip that the expansion looks at."""


@dataclass(frozen=True)
class Expansion:
    """How the range of the whole picture is expanded. Raises InputError for a mask without a box."""

    boost: float
    statistics: ToneStatistics
    box: TileBox | None = WHOLE
    """Where the picture sits in the one that the statistics are of; None: not known."""
    mask: Tensor | None = None
    """(h, w) float32 in [0, 1] over the whole picture of the statistics: the gain becomes gain^mask."""

    def __post_init__(self) -> None:
        if self.mask is not None and self.box is None:
            raise InputError("boost_mask: it is not known where in it the picture sits; give tile_box")

    def laid_out(self, wrap: Wrap) -> "Expansion":
        """The expansion for a picture that wraps: its box is then the middle one of three pictures.

        They lie side by side along each axis that wraps (ToneStatistics.wrap). Raises ValueError where the
        statistics wrap along other axes.
        """
        if not wrap or self.boost == 1.0:
            return self
        if self.statistics.wrap != wrap or self.box != WHOLE:
            raise ValueError(f"the statistics wrap along {self.statistics.wrap!s}, the plan along {wrap!s}")
        down, across = (3 if wrap.y else 1), (3 if wrap.x else 1)
        box = TileBox(1 / 3 if wrap.x else 0.0, 1 / 3 if wrap.y else 0.0, 1 / across, 1 / down)
        return replace(self, box=box, mask=None if self.mask is None else self.mask.repeat(down, across))

    def for_size(self, height: int, width: int) -> "Expansion":
        """The expansion prepared for the strips of a picture of that size.

        The map of gains is computed, once for all of them, and a mask that is finer than the picture reduced.
        """
        how = replace(self, statistics=self.statistics.decided(self.boost))
        if self.mask is None or self.box is None:
            return how
        whole = math.ceil(height / self.box.height), math.ceil(width / self.box.width)
        return replace(how, mask=reduced_mask(self.mask, *whole))


@torch.inference_mode()
def expand_whole(rgb: Tensor, expansion: Expansion, *, in_place: bool) -> Tensor:
    """The whole result of a plan of one tile, expanded in the same strips as an Assembler's.

    rgb: (H, W, 3) float32, linear light. in_place: the result replaces it. On a CPU strip by strip, since
    vectorised powers differ in the last bit by where a strip begins; elsewhere at once.
    """
    height, width = rgb.shape[:2]
    step = strip_rows(width)
    if rgb.device.type != "cpu" and expansion.mask is None:
        return expand(rgb, expansion.boost, expansion.statistics, expansion.box, in_place=in_place)
    if expansion.boost == 1.0:
        return rgb
    expansion = expansion.for_size(height, width)
    out = rgb if in_place else torch.empty_like(rgb)
    above = rgb[:0]
    for top in range(0, height, step):
        bottom = min(top + step, height)
        seen = torch.cat((above, rgb[top : min(bottom + MARGIN, height)]))
        before, until = len(above), len(above) + bottom - top
        above = seen[:until][-MARGIN:].clone()
        out[top:bottom] = expanded_rows(seen, top - before, height, expansion)[before:until]
    return out


def strip_rows(width: int) -> int:
    """Rows of a strip of a result that is `width` pixels wide."""
    return max(1, STRIP_BYTES // (width * 16))


def expanded_rows(
    rgb: Tensor, top: int, height: int, how: Expansion, *, wraps: bool = False, in_place: bool = False
) -> Tensor:
    """Expand rows from `top` of a result of `height` rows, (n, W, 3) float32 linear light.

    wraps: whether the left and right edges meet. in_place: `rgb` may be overwritten. Rows within MARGIN of a
    cut are not yet those of the whole picture.
    """
    if how.boost == 1.0:
        return rgb
    box = how.box
    if wraps and box is not None:
        width = rgb.shape[1]
        seen = torch.arange(-MARGIN, width + MARGIN, device=rgb.device).remainder_(width)
        wide = box.width * (1.0 + 2.0 * MARGIN / width)
        box = TileBox(box.x - box.width * MARGIN / width, box.y, wide, box.height)
        wider = expanded_rows(rgb[:, seen], top, height, replace(how, box=box), in_place=True)
        return wider[:, MARGIN : MARGIN + width]
    if box is not None:
        box = TileBox(box.x, box.y + top / height * box.height, box.width, rgb.shape[0] / height * box.height)
    in_place = in_place and how.mask is None
    expanded = expand(rgb, how.boost, how.statistics, box, in_place=in_place)
    if how.mask is None or box is None or expanded is rgb:
        return expanded
    result = masked(rgb, expanded, mask_at(how.mask, box, *rgb.shape[:2]).to(rgb.device))
    if is_grey(rgb):  # vectorised powers round equal channels differently in the last bit
        result[..., ::2] = result[..., 1:2]
    return result
