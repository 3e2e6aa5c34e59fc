"""float32 linear light → a file: EXR, TIFF, JPEG XL, PNG, WebP, AVIF, JPEG. The front door of luxscaler/io.

    import hdr_exporter
    hdr_exporter.export("master.exr", rgb, alpha, file_format="exr")

`export` takes a whole picture, `open_stream` one that comes row by row because it does not fit into memory.
Their docstrings, in luxscaler/io/write.py, say what the arguments mean and what is raised.
"""

from luxscaler.io.write import (
    ESTIMATED_RANGE_COMMENT,
    EXR_COMPRESSIONS,
    EXR_TYPES,
    FLOAT_FORMATS,
    FORMATS,
    FULL_MANTISSA_BITS,
    HDR_FORMATS,
    KNEE,
    REFERENCE_WHITE_CD_M2,
    STREAM_FORMATS,
    SUFFIXES,
    ExportError,
    ExportOptions,
    StreamWriter,
    check_exif,
    check_picture,
    export,
    open_stream,
    suffix_of,
    tone_map,
)

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
