"""JPEG XL: the master for the web, float32, lossless, linear Rec.709, 1.0 = SDR white, straight alpha.

imagecodecs writes no intensity_target, so a reader that follows the standard's default (255 cd/m² for 1.0)
shows the picture 0.33 stops brighter in absolute terms; relative to SDR white it is the same.
"""

import struct
from pathlib import Path

import imagecodecs

from hdr_files.exif import describe, tiff_block
from hdr_files.job import THREADS, Job


def write_jxl(path: Path, job: Job) -> None:
    """Write a container (ISO/IEC 18181-2) of the codestream and, behind it, EXIF.

    Effort 1: higher ones take longer and save 1 % on float samples. Nor does a rounded mantissa save anything
    here, so all bits are kept.
    """
    container = imagecodecs.jpegxl_encode(
        job.interleaved(), lossless=True, effort=1, usecontainer=True, numthreads=THREADS
    )
    exif = struct.pack(">I", 0) + tiff_block(describe(job))  # the number: where in it the TIFF header starts
    with path.open("wb") as file:
        file.write(container)
        file.write(struct.pack(">I4s", 8 + len(exif), b"Exif") + exif)
