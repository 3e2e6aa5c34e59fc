"""float32 linear light → a file: EXR, TIFF, JPEG XL, PNG, WebP, AVIF, JPEG. The front door of luxscaler/io.

    import hdr_exporter
    hdr_exporter.export("master.exr", rgb, alpha, file_format="exr")

`export` takes a whole picture, `open_stream` one that comes row by row because it does not fit into memory.
Their docstrings, in luxscaler/io/write.py, say what the arguments mean and what is raised.
"""

from luxscaler.errors import ExportError
from luxscaler.io.exif.describe import check_exif
from luxscaler.io.formats import (
    FLOAT_FORMATS,
    FORMATS,
    HDR_FORMATS,
    STREAM_FORMATS,
    SUFFIXES,
    check_picture,
    suffix_of,
)
from luxscaler.io.frame import ESTIMATED_RANGE_COMMENT
from luxscaler.io.options import EXR_COMPRESSIONS, EXR_TYPES, FULL_MANTISSA_BITS, ExportOptions
from luxscaler.io.sdr import KNEE, tone_map
from luxscaler.io.write import export, open_stream
from luxscaler.io.write_rows import StreamWriter
from luxscaler.picture import REFERENCE_WHITE_CD_M2

__all__ = [
    "ESTIMATED_RANGE_COMMENT",
    "EXR_COMPRESSIONS",
    "EXR_TYPES",
    "FLOAT_FORMATS",
    "FORMATS",
    "FULL_MANTISSA_BITS",
    "HDR_FORMATS",
    "KNEE",
    "REFERENCE_WHITE_CD_M2",
    "STREAM_FORMATS",
    "SUFFIXES",
    "ExportError",
    "ExportOptions",
    "StreamWriter",
    "check_exif",
    "check_picture",
    "export",
    "open_stream",
    "suffix_of",
    "tone_map",
]
