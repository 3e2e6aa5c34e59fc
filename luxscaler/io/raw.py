"""Camera raw files through LibRaw (rawpy), which is an optional extra: the container does not carry it.

Developed with the camera's white balance to linear 16-bit Rec.2020, nothing brightened: 1.0 is where the
sensor clips. LibRaw's automatic white level is switched off, because it would differ between pictures of a
series. A TIFF counts as raw if it has a DNGVersion tag, or holds a colour filter array.
"""

import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from luxscaler.color import REC2020
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ColorCoding, keep_linear
from luxscaler.io.decoder import FileInfo, Samples
from luxscaler.io.exif.ifd import SUB_IFDS, Entries, Tiff, stream_reader
from luxscaler.io.exif.read import Metadata, from_tiff
from luxscaler.words import counted

if TYPE_CHECKING:
    import rawpy

EXTRA = "pip install 'luxscaler[raw]'"
_PHOTOMETRIC, _DNG_VERSION = 262, 50706
_COLOR_FILTER_ARRAY = 32803
_MAX_SUB_IFDS = 8
# LibRaw's flips: none, half a turn, a quarter anticlockwise, a quarter clockwise → EXIF orientation.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
_CODING = ColorCoding("camera raw, linear Rec.2020", keep_linear, REC2020)


def is_raw_tiff(stream: BinaryIO) -> bool:
    """Whether a TIFF file is that of a camera; never raises."""
    try:
        tiff = Tiff.of(stream_reader(stream))
        first = tiff.directory(tiff.start, {_PHOTOMETRIC, SUB_IFDS, _DNG_VERSION})
        if _DNG_VERSION in first:
            return True
        others = [tiff.directory(offset, {_PHOTOMETRIC}) for offset in _below(tiff, first)]
    except (ValueError, struct.error):
        return False
    wanted = struct.pack(tiff.order + "H", _COLOR_FILTER_ARRAY)
    return any(page[_PHOTOMETRIC][2][:2] == wanted for page in (first, *others) if _PHOTOMETRIC in page)


def _below(tiff: Tiff, directory: Entries) -> list[int]:
    """Places of the first directories below one."""
    _, count, value = directory.get(SUB_IFDS, (0, 0, b""))
    size = len(value) // count if count else 1
    return [tiff.number(value[at : at + size]) for at in range(0, len(value), size)][:_MAX_SUB_IFDS]


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header. Raises PictureError where rawpy is not installed."""
    with _opened(stream) as raw:
        sizes, colors = raw.sizes, raw.num_colors
    if colors != 3:
        raise PictureError(f"is a camera raw file of {counted(colors, 'colour')}, only 3 are supported")
    stream.seek(0)
    is_tiff = stream.read(4) in (b"II*\0", b"MM\0*")
    return FileInfo(
        format="raw",
        width=sizes.width,
        height=sizes.height,
        bits=16,
        channels=3,
        coding=_CODING,
        orientation=_ORIENTATIONS.get(sizes.flip, 1),
        notices=("camera raw: developed with the camera's white balance, without tone curve or sharpening",),
        metadata=from_tiff(stream) if is_tiff else Metadata(),
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:  # noqa: ARG001 (Decoder)
    """Develop to uint16, not yet upright."""
    import rawpy  # noqa: PLC0415 - optional

    with _opened(stream) as raw:
        return raw.postprocess(
            output_color=rawpy.ColorSpace.Rec2020,
            gamma=(1, 1),
            output_bps=16,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            use_camera_wb=True,
            user_flip=0,
        )


def _opened(stream: BinaryIO) -> "rawpy.RawPy | Any":
    try:
        import rawpy  # noqa: PLC0415 - optional
    except ImportError as error:
        raise PictureError(f"is a camera raw file; reading those needs an extra: {EXTRA}") from error
    stream.seek(0)
    try:
        return rawpy.imread(stream)
    except rawpy.LibRawError as error:  # its text comes as bytes
        said = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise PictureError(f"is a camera raw file that LibRaw cannot read: {said}") from error
