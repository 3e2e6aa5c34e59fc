"""TIFF: the master in 32-bit float, for programs that read no EXR."""

from pathlib import Path
from typing import Any

import tifffile

from luxscaler.io.exif.describe import baseline_tags
from luxscaler.io.float_rounding import round_mantissa
from luxscaler.io.frame import THREADS, Frame
from luxscaler.io.icc import linear_grey_profile, linear_profile
from luxscaler.picture import FloatArray

_XMP, _IPTC = 700, 33723
CLASSIC_BYTES = 0xF000_0000
"""3.75 GiB of samples; beyond it 32-bit offsets could overflow."""


def write_tiff(path: Path, frame: Frame) -> None:
    """Float32 strips, ZIP with the floating-point predictor: what OpenCV and OpenImageIO read bit for bit.

    Level 1 takes half the time of level 6 and 3.6 % more space on a noisy picture.
    """
    samples = without_axis_of_one(round_mantissa(frame.samples(), frame.options.mantissa_bits))
    tifffile.imwrite(
        path,
        samples,
        bigtiff=samples.nbytes > CLASSIC_BYTES,  # tifffile decides so for uncompressed files only
        **settings(frame),
    )


def without_axis_of_one(samples: FloatArray) -> FloatArray:
    """(height, width) where there is one channel, as tifffile wants it."""
    return samples[..., 0] if samples.shape[2] == 1 else samples


def settings(frame: Frame) -> dict[str, Any]:
    """Return tifffile's arguments: the coding, and what the file says about itself."""
    inherited = frame.inherited
    alpha = "assocalpha" if frame.is_associated else "unassalpha"
    return {
        "photometric": "minisblack" if frame.is_grey else "rgb",
        "planarconfig": "contig" if frame.channels > 1 else None,
        "extrasamples": None if frame.alpha is None else [alpha],
        "compression": "zlib",
        "compressionargs": {"level": 1},
        "predictor": 3,
        "iccprofile": linear_grey_profile() if frame.is_grey else linear_profile(),
        "software": frame.options.software,
        "description": frame.notes(),
        "resolution": frame.resolution_dpi
        or (None if frame.pixel_aspect == 1 else (1.0, frame.pixel_aspect)),
        "resolutionunit": "NONE" if frame.resolution_dpi is None else "INCH",
        "extratags": [
            *((tag, 2, None, text.encode() + b"\0", True) for tag, text in baseline_tags(frame).items()),
            *((tag, 1, len(data), data, True) for tag, data in ((_XMP, inherited.xmp),) if data),
            *((tag, 7, len(data), data, True) for tag, data in ((_IPTC, inherited.iptc),) if data),
        ],
        "metadata": None,  # or tifffile writes a description of its own
        "maxworkers": THREADS,
        "buffersize": 1 << 24,  # bytes of strips or tiles in flight
    }
