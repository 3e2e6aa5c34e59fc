"""JPEG XL: the master for the web, float32, lossless, linear Rec.709, 1.0 = SDR white, straight alpha."""

from pathlib import Path

import imagecodecs

from luxscaler.io.exif.describe import exif_item
from luxscaler.io.frame import THREADS, Frame
from luxscaler.io.isobmff import box
from luxscaler.io.jxl.luminance import with_luminance
from luxscaler.picture import REFERENCE_WHITE_CD_M2


def write_jxl(path: Path, frame: Frame) -> None:
    """Write a container (ISO/IEC 18181-2) of the codestream and, behind it, EXIF.

    Its intensity_target says that 1.0 stands for 203 cd/m²; readers assume 255 where nothing is said.
    Effort 1: higher ones take longer and save 1 % on float samples. Nor does a rounded mantissa save anything
    here, so all bits are kept.
    """
    container = bytes(
        imagecodecs.jpegxl_encode(
            frame.interleaved(), lossless=True, effort=1, usecontainer=True, numthreads=THREADS
        )
    )
    head, rest = with_luminance(container, REFERENCE_WHITE_CD_M2)
    with path.open("wb") as file:
        file.write(head)
        file.write(memoryview(container)[rest:])
        file.write(box(b"Exif", exif_item(frame)))
