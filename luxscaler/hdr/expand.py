"""hdr_boost: multiplies the bright parts of an SDR picture by the gain that a network estimates for them.

A network looks at the whole picture once, small (analysis.py, network.py), and estimates for each of its
regions how far a pixel of some brightness was darkened. At full size every pixel is multiplied by what
this map says of its place and brightness (gain_map.py); one factor for all three channels keeps the hue.
The map belongs to the whole picture, so all of its tiles agree. Up to the knee the factor is exactly 1; it
never falls with brightness and never exceeds `hdr_boost`. What rises above SDR white is an estimate: SDR
pictures do not hold it.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from luxscaler.color_torch import decode_number
from luxscaler.geometry import NO_WRAP, WHOLE, TileBox, Wrap
from luxscaler.hdr.analysis import Analysis, analyse
from luxscaler.hdr.dequantize import RADIUS, dequantized
from luxscaler.hdr.gain_map import KNEE, GainMap, guide_of, strongest_of
from luxscaler.hdr.network import GainNetwork, gain_network
from luxscaler.options import check_boost

SDR_PEAK = 2.0
"""A peak from 1 to this comes from colours outside Rec.709: the white of such a picture is still 1."""
BAND_PIXELS, DEVICE_BAND_PIXELS = 1 << 19, 1 << 23
"""Pixels done at once, on the CPU and elsewhere: a plane of 2 MiB stays in a processor's cache. A device
takes more: each band costs it some dozens of launches, however small it is."""


@dataclass(frozen=True)
class ToneStatistics:
    """What the expansion needs to know about the whole picture; the same for all of its tiles."""

    peak: float
    """The linear value that counts as the picture's white, 1.0 = SDR white; 0: the picture is black."""
    analysis: Analysis | None = None
    """None where only the peak was measured: such statistics cannot expand the range."""
    wrap: Wrap = NO_WRAP
    """The axes along which the picture goes on at its other side. Boxes are then of three pictures side by
    side along each such axis, so that what lies across an edge has a place too."""
    shares: Tensor | None = None
    """(knots, REGIONS, REGIONS): the shares of one boost, if they were computed before, of a picture or of a
    shot (shot.py); None: the network computes them from `analysis`."""

    @staticmethod
    def of(rgb: Tensor, wrap: Wrap = NO_WRAP) -> "ToneStatistics":
        """Statistics of (H, W, 3) float32 linear light, the whole picture at any size."""
        white = white_of(rgb)
        return ToneStatistics(white, analyse(rgb, white, wrap) if white > 0.0 else None, wrap)

    def decided(self, boost: float) -> "ToneStatistics":
        """These statistics with the shares of that boost, so that the network runs once for all parts."""
        if boost == 1.0 or self.analysis is None or self.shares is not None:
            return self
        return replace(self, shares=gain_network().shares_of(self.analysis, boost, self.wrap))

    def gain_map(self, boost: float, network: GainNetwork) -> GainMap:
        """The map of gains for a boost above 1. Raises ValueError without an analysis."""
        shares = self.shares
        if shares is None:
            if self.analysis is None:
                raise ValueError("these statistics hold a peak only")
            shares = network.shares_of(self.analysis, boost, self.wrap)
        gains = GainMap.of(shares)
        return gains.side_by_side(self.wrap) if self.wrap else gains


def white_of(rgb: Tensor) -> float:
    """The linear value that counts as the white of a picture, (H, W, 3) float32 linear light.

    1 for SDR pictures, dim ones too; the peak for pictures that hold HDR; 0 for black ones.
    """
    peak = float(rgb.max())
    return 0.0 if peak <= 0.0 else 1.0 if peak < SDR_PEAK else peak


@torch.inference_mode()
def expand(
    rgb: Tensor,
    boost: float,
    statistics: ToneStatistics,
    box: TileBox | None = WHOLE,
    *,
    in_place: bool = False,
    network: GainNetwork | None = None,
) -> Tensor:
    """Expand the dynamic range by at most the factor `boost`.

    rgb: (H, W, 3) float32, linear Rec.709, 1.0 = SDR white. What is below the knee (a code of 64 of 255 of
    the guide, gain_map.py) stays bit for bit; nothing rises above boost × its own light. box: where `rgb`
    sits in the picture that the statistics are of; None: unknown, and then the mean of all places counts.
    in_place: the result replaces `rgb`, which saves a picture's memory. network: another than the fitted one.
    Returns (H, W, 3) float32, a new tensor, or `rgb` itself when boost is 1 or the picture is black. Raises
    InputError for a boost outside [1, 49], ValueError for statistics without an analysis.
    """
    check_boost(boost)
    if boost == 1.0 or statistics.peak <= 0.0:
        return rgb
    network = network or gain_network()
    gains = statistics.gain_map(boost, network).to(rgb)
    if box is None:
        gains, box = gains.without_place(), WHOLE
    brightest_part = float(torch.sigmoid(network.brightest_part))
    log_boost = math.log(boost)
    # Light this far below the knee cannot reach it: the guide lies below the strongest channel's code.
    dark = decode_number(KNEE) * statistics.peak
    out = rgb if in_place else torch.empty_like(rgb)
    height, width = rgb.shape[:2]
    above = rgb.new_empty((0, width))  # the guide of the rows above a band: they may be overwritten
    pixels = BAND_PIXELS if rgb.device.type == "cpu" else DEVICE_BAND_PIXELS
    step = max(RADIUS, pixels // width)
    for start in range(0, height, step):
        band = rgb[start : start + step]
        around = guide_of(rgb[start : start + step + RADIUS], statistics.peak, brightest_part)
        guide = torch.cat((above, around))
        likely = dequantized(guide)[len(above) : len(above) + len(band)]
        shares = gains.shares_at(likely, box, (start, start + len(band)), height)
        shares.masked_fill_(strongest_of(band) <= dark, 0.0)
        above = around[: len(band)][-RADIUS:]
        torch.mul(band, shares.mul_(log_boost).exp_()[..., None], out=out[start : start + step])
    return out
