"""Which codec an EXR gets where none is named: it depends on how well the samples compress.

A computed picture's float32 has noise in half of its bits: ZIP then takes a dozen times as long as writing
the samples as they are, and saves a twentieth of the bytes. Drawings, screenshots and pictures made of
integers have few different samples and shrink to a fraction. Compressing some blocks tells the two apart.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from luxscaler.io.options import ExportOptions

Samples = NDArray[np.float32 | np.float16]

WORTH = 0.85
"""Size by ZIP / size as it is, up to which ZIP is taken."""
PIZ_MANTISSA_BITS = 16
"""Most explicit bits of mantissa at which PIZ is faster and smaller than ZIP; half floats have 10."""
_BLOCKS, _ROWS, _COLUMNS = 12, 16, 256


def codec(options: ExportOptions, samples: Samples) -> str:
    """Return one of EXR_COMPRESSIONS, but not "auto": what `options` name, or what fits the samples.

    samples: (height, width, channels) as they are stored, or the first rows of them.
    """
    if options.exr_compression != "auto":
        return options.exr_compression
    if options.exr_type == "half" or options.mantissa_bits <= PIZ_MANTISSA_BITS:
        return "piz"
    return "zip" if zipped_share(samples) <= WORTH else "none"


def zipped_share(samples: Samples) -> float:
    """Return about what share of the samples' bytes ZIP leaves, from blocks all over the picture."""
    height, width = samples.shape[:2]
    tops = np.linspace(0, max(height - _ROWS, 0), _BLOCKS).astype(int)
    # From side to side as they go down, so that no column of the picture stands for all.
    lefts = np.linspace(0, max(width - _COLUMNS, 0), _BLOCKS).astype(int)[(5 * np.arange(_BLOCKS)) % _BLOCKS]
    before = after = 0
    for top, left in zip(tops, lefts, strict=True):
        block = samples[top : top + _ROWS, left : left + _COLUMNS]
        data = _predicted(np.ascontiguousarray(block.transpose(0, 2, 1)).view(np.uint8).reshape(-1))
        before += data.size
        after += len(zlib.compress(data.data, 1))
    return after / before


def _predicted(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes as OpenEXR's ZIP compresses them: every second one first, each less the one before it."""
    sorted_ = np.concatenate((data[0::2], data[1::2]))
    return np.diff(sorted_, prepend=sorted_[:1])
