"""WebP: the SDR rendering, 8 bits, for the web."""

from pathlib import Path

import numpy as np
from PIL import Image

from luxscaler.io.exif_write import describe
from luxscaler.io.frame import Job
from luxscaler.io.icc_write import srgb_profile
from luxscaler.io.sdr import encode_sdr

MAX_SIDE = 16383
"""Pixels a side: 14-bit fields of the VP8 frame header (RFC 6386, 9.1)."""


def write_webp(path: Path, job: Job) -> None:
    """Write lossy 8-bit sRGB that says so by an ICC profile, alpha lossless."""
    image = Image.fromarray(encode_sdr(job, np.dtype(np.uint8)))
    image.save(path, "WEBP", quality=job.options.webp_quality, exif=describe(job), icc_profile=srgb_profile())
