"""JPEG with a gain map (ISO 21496-1, "UltraHDR"): an SDR picture for every reader, HDR for those that know.

libultrahdr makes both from the HDR picture. The base, 8 bits in Display P3, is its own tone map and not the
one of PNG and WebP.
"""

from pathlib import Path

import imagecodecs
import numpy as np

from hdr_files.job import WHITE_CD_M2, Job
from hdr_files.pq import PEAK_CD_M2

MIN_SIDE, MAX_SIDE = 8, 8192
"""Pixels a side that libultrahdr takes."""


def write_jpeg(path: Path, job: Job) -> None:
    """Write Rec.709, clipped at 0 and at 10,000 cd/m²; there is no alpha."""
    height, width = job.rgb.shape[:2]
    rgba = np.ones((height, width, 4), np.float16)
    rgba[..., :3] = np.clip(job.rgb, 0, PEAK_CD_M2 / WHITE_CD_M2)
    # The display that shows all of the gain: told more than there is, dimmer displays would get less of it.
    peak = max(float(rgba[..., :3].max()) * WHITE_CD_M2, WHITE_CD_M2)
    encoded = imagecodecs.ultrahdr_encode(
        rgba, gamut=imagecodecs.ULTRAHDR.CG.BT_709, nits=min(peak, PEAK_CD_M2)
    )
    path.write_bytes(encoded)
