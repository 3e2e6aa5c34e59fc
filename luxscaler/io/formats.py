"""The formats that a result can be written in, and what each of them can hold.

These are facts to ask before the work; neither NumPy nor an encoder is imported for them. The names are those
of `--format` and of `output_format`; write.py and write_rows.py have the functions that write them.
"""

from pathlib import Path

from luxscaler.errors import ExportError, InputError

FORMATS = ("webp", "png", "tiff", "tiff16", "exr", "png-pq", "avif", "jxl", "jpg")
FLOAT_FORMATS = ("tiff", "exr", "jxl")
"""Masters: linear float32 or half, unbounded."""
ASSOCIATED_FORMATS = ("tiff", "exr")
"""Formats that can store premultiplied colour, and so light where alpha is 0."""
HDR_FORMATS = (*FLOAT_FORMATS, "png-pq", "avif", "jpg")
"""Formats that hold light above SDR white; the others show an SDR rendering of the same scene."""
DUAL_FORMATS = ("jpg",)
"""Formats that hold the SDR and the HDR rendering side by side: a JPEG with a gain map."""
STREAM_FORMATS = ("tiff", "tiff16", "exr", "png", "png-pq")
"""Formats that can be written row by row; the others are encoded from memory."""
SUFFIXES = {
    ".webp": "webp",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".exr": "exr",
    ".avif": "avif",
    ".jxl": "jxl",
    ".jpg": "jpg",
    ".jpeg": "jpg",
}
"""Formats by the suffix of a path, in lower case. png-pq and tiff16 share those of png and tiff, and are
chosen by name."""
_SIDE_LIMITS = {
    "webp": ("WebP", 16383),  # 14-bit fields of the VP8 frame header (RFC 6386, 9.1)
    "avif": ("AVIF", 65536),  # 16-bit fields of AV1's sequence header (AV1 specification, 5.5.1)
    "jpg": ("JPEG", 65500),  # libjpeg's limit
}
"""Title, and the most pixels a side."""
_ANY_SIDE = 2**31 - 1


def format_named(path: Path, file_format: str | None) -> str:
    """The format that is asked for by name, or by the suffix of `path` where `file_format` is None.

    Raises ExportError if there is no such format.
    """
    if file_format is None:
        try:
            return format_of(path)
        except InputError as error:
            raise ExportError(str(error)) from error
    if file_format not in FORMATS:
        raise ExportError(f"unknown output format {file_format!r}; known are {', '.join(FORMATS)}")
    return file_format


def format_of(path: Path) -> str:
    """The format that a path's suffix names. Raises InputError for a suffix of no known format."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        known = " ".join(SUFFIXES)
        raise InputError(
            f"{str(path)!r} has no suffix of a known format ({known}), and no format is named"
        ) from None


def misnamed(path: Path, file_format: str) -> tuple[str, ...]:
    """A notice of a file whose suffix names another format than the one that it has."""
    named = SUFFIXES.get(path.suffix.lower())
    if named is None or suffix_of(named) == suffix_of(file_format):
        return ()
    return (f"{path.name!r} holds {file_format}, as asked for; its suffix says {named}",)


def suffix_of(file_format: str) -> str:
    """The suffix of a format's files, e.g. ".png" for "png-pq"."""
    return {"png-pq": ".png", "tiff16": ".tiff"}.get(file_format, f".{file_format}")


def check_picture(file_format: str, width: int, height: int, *, transparent: bool) -> None:
    """Raise ExportError if the format cannot hold a picture of width × height pixels.

    transparent: whether any alpha is below 1; JPEG has no alpha.
    """
    title, most = _SIDE_LIMITS.get(file_format, ("", _ANY_SIDE))
    if max(width, height) > most:
        raise ExportError(
            f"{title} holds at most {most} pixels a side, got {width} × {height}: choose png, tiff or exr"
        )
    if transparent and file_format == "jpg":
        raise ExportError("JPEG holds no transparency: choose avif, png-pq or jxl")


def check_pixels(file_format: str, width: int, height: int, most: int) -> None:
    """Raise ExportError if the format cannot hold width × height pixels, or is encoded from memory and they
    are more than `most`."""
    check_picture(file_format, width, height, transparent=False)
    pixels = width * height
    if file_format not in STREAM_FORMATS and pixels > most:
        raise ExportError(
            f"the result would have {pixels:,} pixels ({width} × {height}), and "
            f"{file_format} is encoded in memory, up to {most:,}: choose {', '.join(STREAM_FORMATS)}"
        )
