"""How steeply a gain may rise with brightness: at most so that a difference becomes twice as visible.

A gain that rises steeply tears smooth areas: clouds, noise and JPEG blocks that hardly showed become patches
with rims. What the eye sees is measured in PU21 units, which are equally visible at every luminance. Between
two neighbouring knots a grey may come to differ at most STEEPEST times as much as before. Only above
FREE_FROM a curve may be steeper: there lie the lights that a camera clipped, whose edges are sharp anyway.

The limit lowers what lies above a steep step, and never lifts. On pictures that the fit had not seen it takes
the tearing of pairs from 0.25 to 0.09 % and changes no group's figures by more than 0.06 dB or 0.02 JOD.
"""

import torch
from torch import Tensor

from luxscaler.color_torch import decode_number
from luxscaler.picture import REFERENCE_WHITE_CD_M2

PU21 = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)
"""Mantiuk and Azimi, "PU21: A novel perceptually uniform encoding", PCS 2021, variant banding_glare."""
STEEPEST = 2.0
"""How many times as visible a difference may become: BT.2446-1 A stays below this but near white."""
FREE_FROM = 245
"""8-bit code of the guide above which a curve may be steeper."""


def limited(shares: Tensor, log_boost: float, codes: tuple[int, ...]) -> Tensor:
    """Shares of a boost at the knots, lowered where a curve rises too steeply.

    shares: (knots, …) float in [0, 1], not falling along the first dimension; codes: the knots' 8-bit codes.
    log_boost: natural logarithm of the boost, above 0. A new tensor of the same kind, not falling either. A
    higher boost with the same shares or higher ones still lowers no gain.
    """
    light = [REFERENCE_WHITE_CD_M2 * decode_number(code / 255) for code in codes]
    seen = pu21(torch.tensor(light, dtype=torch.float64))
    found = [shares[0].double()]
    for knot in range(1, len(codes)):
        share = shares[knot].double()
        if codes[knot] <= FREE_FROM:
            below = pu21(light[knot - 1] * torch.exp(log_boost * found[-1]))
            highest = cd_m2_of(below + STEEPEST * (seen[knot] - seen[knot - 1]))
            share = torch.minimum(share, torch.log(highest / light[knot]) / log_boost)
        found.append(torch.maximum(share, found[-1]))
    return torch.stack(found).to(shares.dtype)


def pu21(cd_m2: Tensor) -> Tensor:
    """PU21 units of luminance in cd/m², at least 0.005."""
    power = cd_m2 ** PU21[3]
    return PU21[6] * (((PU21[0] + PU21[1] * power) / (1 + PU21[2] * power)) ** PU21[4] - PU21[5])


def cd_m2_of(units: Tensor) -> Tensor:
    """The luminance of PU21 units, in cd/m²: the inverse of `pu21`."""
    root = (units / PU21[6] + PU21[5]) ** (1 / PU21[4])
    return ((root - PU21[0]) / (PU21[1] - PU21[2] * root)) ** (1 / PU21[3])
