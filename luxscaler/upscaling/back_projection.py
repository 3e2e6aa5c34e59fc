"""Back-projection: keeps the light that the source's pixels measured; the network only distributes it.

Each source pixel is the average of the light in its area. A network drifts from that, most outside its
training data: in highlights and deep shadows. Here the enlarged picture is corrected, smoothly, until its
averages are the source's again (iterative back-projection: Irani and Peleg, "Improving resolution by image
registration", CVGIP 53, 1991), by gains rather than offsets, so that no light turns negative and edges of
highlights do not ring. Noise of the source comes back with it, so it is for sources without compression:
float and HDR pictures.

A sun of one or two pixels holds more light than all the rest of a panorama. Its gains differ too much between
neighbours for a smooth field, so `keep_lights` then gives each pixel as bright as a lamp its light.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.picture import HALF_MAX

ROUNDS = 2
"""More change the PSNR by less than 0.01 dB (docs/experiments.md)."""
FLOOR = 1e-3
"""Linear light added before the ratio, so that blacks ask for no gain."""
MAX_GAIN = 20.0
LAMP = 100.0
"""Linear light, 20,300 cd/m², above which no display shows a shape, and a sum of light is what counts."""
LAMP_TOLERANCE = 0.05
"""Share of its light by which a pixel may be off: a gain of its own shows the pixel's edges, which matters in
pictures that are bright all over, because their values are cd/m²."""
LAMP_ROUNDS = 16
"""What the ceiling cuts off goes to the rest of the pixel in the rounds after the first."""


@torch.inference_mode()
def keep_averages(enlarged: Tensor, source: Tensor) -> Tensor:
    """Correct `enlarged` so that its averages over the source's pixels are the source's.

    enlarged: (n·H, n·W, 3), source: (H, W, 3) float32, linear light, on one device, n a whole number.
    Changed in place and returned; where neither is negative, the result is not negative.
    """
    height, width = source.shape[:2]
    factor = enlarged.shape[0] // height
    for channel in range(3):  # one at a time: the enlarged correction is the largest temporary
        plane = enlarged[..., channel][None, None]
        wanted = source[..., channel][None, None]
        for _ in range(ROUNDS):
            found = F.avg_pool2d(plane, factor)
            lit = (wanted > 0.0) & (found > 0.0)
            gain = ((wanted + FLOOR) / (found + FLOOR)).clamp_(1.0 / MAX_GAIN, MAX_GAIN).log_()
            size = (factor * height, factor * width)
            field = _enlarged(torch.where(lit, gain, 0.0), size).exp_()
            plane.add_(FLOOR).mul_(field).sub_(FLOOR)
            if not bool(lit.all()):  # out-of-gamut colours are negative, and have no ratio
                plane.add_(_enlarged(torch.where(lit, 0.0, wanted - found), size))
            if float(wanted.min()) >= 0.0:
                plane.clamp_(min=0.0)
    return enlarged


@torch.inference_mode()
def keep_lights(enlarged: Tensor, source: Tensor) -> Tensor:
    """Give pixels above LAMP, in the source or in `enlarged`, their average where it is far off.

    As in `keep_averages`, after it. Such a pixel keeps the shape that the network drew in it, so its highest
    value may exceed what the source has, as the light of a lamp smaller than a pixel does; but a picture that
    half floats hold does not leave their range.
    """
    most = float(source.max())
    if most <= LAMP:
        return enlarged
    ceiling = HALF_MAX if most <= HALF_MAX else float("inf")
    height, width = source.shape[:2]
    factor = enlarged.shape[0] // height
    for channel in range(3):
        blocks = enlarged[..., channel].view(height, factor, width, factor).transpose(1, 2)
        wanted, found = source[..., channel], blocks.mean((2, 3))
        lamps = (torch.maximum(wanted, found) > LAMP) & (wanted > 0.0) & (found > FLOOR)
        lamps &= (wanted - found).abs() > LAMP_TOLERANCE * wanted
        light, wanted = blocks[lamps], wanted[lamps][:, None, None]  # few: a copy of them is small
        for _ in range(LAMP_ROUNDS):
            light = (light * (wanted / light.mean((1, 2), keepdim=True))).clamp_(max=ceiling)
        blocks[lamps] = light
    return enlarged


def _enlarged(field: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(field, size, mode="bilinear", align_corners=False)
