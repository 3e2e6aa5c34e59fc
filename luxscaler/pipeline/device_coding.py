"""A finished picture coded on its device as the file stores it, so that less of it comes over the bus.

    float32 RGB, 12 bytes a pixel ─→ WebP 3 · PNG 6 · EXR of half floats 6 bytes, and a third more with alpha

The codes are those of the writers (io/sdr.py, io/exr/write.py), in float64 as there; powers differ between a
device and a processor in the last of 53 bits, which moves one code in 10^11. On a CPU nothing is copied and
the writers do it themselves. Formats that need the picture's light as well (gain maps, light levels) and
float masters come over as floats.
"""

import torch
from torch import Tensor

from luxscaler.color_torch import encode_srgb
from luxscaler.io.options import ExportOptions
from luxscaler.io.sdr import KNEE
from luxscaler.picture import HALF_MAX
from luxscaler.pipeline.output import WHOLE_PIXELS
from luxscaler.pipeline.request import UpscaleRequest

SDR_BITS = {"webp": 8, "png": 16}
"""Bits of the formats that show the SDR rendering."""
ROWS = 256
"""Rows coded at once: temporaries in float64 stay small beside the picture."""
_INTEGERS = {8: torch.uint8, 16: torch.uint16}


def is_coded(request: UpscaleRequest, pixels: int) -> bool:
    """Whether a result of so many pixels may be coded by `coded`.

    Larger results are written row by row, and other colour spaces than the usual one are left to the writers.
    """
    is_half = request.output_format == "exr" and request.export.exr_type == "half"
    if request.export.profile != ExportOptions().profile:
        return False
    return pixels <= WHOLE_PIXELS and (request.output_format in SDR_BITS or is_half)


@torch.inference_mode()
def coded(request: UpscaleRequest, rgb: Tensor, alpha: Tensor | None, sdr_peak: float) -> Tensor:
    """(H, W, 3 or 4) uint8, uint16 or float16 on the device, as the request's format stores it.

    rgb: (H, W, 3) float32, linear light, finite. alpha: (H, W) float32 in [0, 1]. sdr_peak: as in Frame.
    """
    bits = SDR_BITS.get(request.output_format)
    kind = torch.float16 if bits is None else _INTEGERS[bits]
    out = torch.empty((*rgb.shape[:2], 3 if alpha is None else 4), dtype=kind, device=rgb.device)
    for top in range(0, rgb.shape[0], ROWS):
        band = slice(top, top + ROWS)
        part = None if alpha is None else alpha[band]
        if bits is None:
            out[band, :, :3] = _half(rgb[band] if part is None else rgb[band] * part[..., None])
        else:
            out[band, :, :3] = _integers(
                encode_srgb(tone_map(rgb[band].double().clamp_(min=0.0), sdr_peak)), bits
            )
        if part is not None:
            out[band, :, 3] = _half(part) if bits is None else _integers(part.double(), bits)
    return out


def tone_map(rgb: Tensor, peak: float) -> Tensor:
    """`io.sdr.tone_map` on tensors: (…, 3) float64, linear, ≥ 0 → [0, 1]."""
    level = rgb.amax(-1, keepdim=True)
    above = (level - KNEE).clamp_(min=0.0).div_(1 - KNEE)
    white = (max(peak, 1.0) - KNEE) / (1 - KNEE)
    mapped = (1 - KNEE) * above * (1 + above / white**2) / (1 + above) + KNEE
    changed = level > (KNEE if peak > 1 else 1)
    return torch.where(changed, rgb * (mapped.clamp_(max=1.0) / level), rgb)


def _integers(values: Tensor, bits: int) -> Tensor:
    """[0, 1] → integer codes of so many bits, rounded to nearest, ties to even, as NumPy's rint does."""
    codes = values.mul_(2**bits - 1).round_()
    # uint16 lacks most of PyTorch's operators; through int32 every device converts.
    return codes.to(torch.uint8) if bits == 8 else codes.to(torch.int32).to(torch.uint16)


def _half(values: Tensor) -> Tensor:
    return values.clamp(-HALF_MAX, HALF_MAX).half()
