"""JPEG with a gain map (ISO 21496-1, "UltraHDR"): an SDR picture for every reader, HDR for those that know.

libultrahdr makes both from the HDR picture. The base, 8 bits in Display P3, is its own tone map and not the
one of PNG and WebP.
"""

import struct
from pathlib import Path

import imagecodecs
import numpy as np

from hdr_files.exif import describe
from hdr_files.job import WHITE_CD_M2, Job
from hdr_files.pq import PEAK_CD_M2

MIN_SIDE, MAX_SIDE = 8, 8192
"""Pixels a side that libultrahdr takes."""
_MAX_SEGMENT = 65533
_MP_ENTRY = 0xB002


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
    path.write_bytes(_with_exif(bytes(encoded), describe(job).tobytes()))


def _with_exif(jpeg: bytes, exif: bytes) -> bytes:
    """Insert an APP1 segment after the start of the image, and tell the multi-picture index of it.

    The index (CIPA DC-007, 5.2) counts places from itself on, which move together; only the size that it
    gives for the first picture grows. A block that no segment holds (64 KiB) is left out.
    """
    if len(exif) > _MAX_SEGMENT:
        return jpeg
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif
    start = jpeg.index(b"MPF\0") + 4
    order = ">" if jpeg[start : start + 2] == b"MM" else "<"
    (directory,) = struct.unpack_from(f"{order}I", jpeg, start + 4)
    (count,) = struct.unpack_from(f"{order}H", jpeg, start + directory)
    at = start + directory + 2
    tags = dict(struct.unpack_from(f"{order}H6xI", jpeg, at + 12 * number) for number in range(count))
    size_at = start + tags[_MP_ENTRY] + 4  # behind the first picture's attributes
    (size,) = struct.unpack_from(f"{order}I", jpeg, size_at)
    grown = struct.pack(f"{order}I", size + len(segment))
    return jpeg[:2] + segment + jpeg[2:size_at] + grown + jpeg[size_at + 4 :]
