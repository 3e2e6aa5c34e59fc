"""JPEG XL: the master for the web, float32, lossless, linear light in a profile's primaries, straight."""

from pathlib import Path

import imagecodecs
import numpy as np

from luxscaler.color import REC709
from luxscaler.io.exif.describe import exif_item
from luxscaler.io.frame import THREADS, Frame
from luxscaler.io.isobmff import box
from luxscaler.io.jxl.luminance import with_luminance
from luxscaler.picture import REFERENCE_WHITE_CD_M2

_EFFORT = 1
"""Higher ones take longer and save 1 % on float samples."""
_EFFORT_WITH_SIGN = 3
"""What efforts 1 and 2 write of samples with a sign does not open before libjxl 0.11 (tried with djxl 0.7 of
Debian 12); this one takes twice the time of effort 1."""


def write_jxl(path: Path, frame: Frame) -> None:
    """Write a container (ISO/IEC 18181-2) of the codestream and, behind it, EXIF.

    Its intensity_target says that 1.0 stands for 203 cd/m²; readers assume 255 where nothing is said. A
    rounded mantissa would not make the file smaller, so all bits are kept. Raises OSError, and what
    imagecodecs raises.
    """
    samples = frame.interleaved()
    effort = _EFFORT_WITH_SIGN if np.signbit(samples).any() else _EFFORT
    container = bytes(
        imagecodecs.jpegxl_encode(
            samples, lossless=True, effort=effort, usecontainer=True, numthreads=THREADS
        )
    )
    primaries = frame.profile.primaries
    head, rest = with_luminance(container, REFERENCE_WHITE_CD_M2, None if primaries == REC709 else primaries)
    with path.open("wb") as file:
        file.write(head)
        file.write(memoryview(container)[rest:])
        file.write(box(b"Exif", exif_item(frame)))
        if frame.inherited.xmp:
            file.write(box(b"xml ", frame.inherited.xmp))
