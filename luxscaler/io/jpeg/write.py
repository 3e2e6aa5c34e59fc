"""JPEG with a gain map: an SDR picture for every reader, and what to multiply it by for HDR displays.

Two JPEGs in one file (CIPA DC-007, "multi-picture format"): the base, code values of the frame's profile, and
a map of log2(HDR / SDR) of each channel in the base's primaries. Its metadata stands there as ISO
21496-1:2025, annex C, has it and again as XMP for older readers. This is written here because the SDR picture
is given: libultrahdr, behind imagecodecs, computes a base of its own from the HDR picture.
"""

import io
import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from luxscaler.color import PQ_PEAK_CD_M2, apply_matrix
from luxscaler.errors import ExportError
from luxscaler.io.exif.describe import describe
from luxscaler.io.exif.ifd import LONG, UNDEFINED, Entries, tiff_block
from luxscaler.io.frame import Frame, in_bands
from luxscaler.io.icc import coded_profile
from luxscaler.io.jpeg.gain_map_xmp import base_xmp, map_xmp
from luxscaler.io.jpeg.segments import ISO_NAME
from luxscaler.io.sdr import encode_sdr, peak_in
from luxscaler.io.xmp import descriptions_of
from luxscaler.picture import REFERENCE_WHITE_CD_M2

_QUALITY = 95
_OFFSET = 1 / 64  # added to both before the ratio, so that black has one
_MIN_PEAK = 1.001  # readers refuse a headroom of 0
_LARGEST = PQ_PEAK_CD_M2 / REFERENCE_WHITE_CD_M2  # linear value of 10,000 cd/m²
_FRACTION = 1 << 20  # denominator of the metadata's numbers
_MAX_SEGMENT = 65533
_START = b"\xff\xd8"
_INDEX_BYTES = 82  # of the multi-picture index from its TIFF header on: 8, directory 42, two entries 32


def write_jpeg(path: Path, frame: Frame) -> None:
    """Write in the profile's primaries, HDR clipped there at 0 and at 10,000 cd/m²; there is no alpha.

    Raises ExportError for EXIF, XMP or IPTC that does not go into a segment.
    """
    base = encode_sdr(frame, np.dtype(np.uint8), frame.sdr)[..., :3]
    codes, low, high = _gain_map(frame, base)
    headroom = math.log2(np.clip(peak_in(frame.profile, frame.rgb), _MIN_PEAK, _LARGEST))
    gain = _jpeg(codes)
    said = _segment(0xE1, map_xmp(low, high, headroom, _OFFSET))
    said += _segment(0xE2, ISO_NAME + _metadata(low, high, headroom))
    gain = _START + said + gain[2:]

    picture = _jpeg(base, coded_profile(frame.profile))
    head = _START + _segment(0xE1, b"Exif\0\0" + describe(frame), "EXIF")
    head += _segment(0xE1, base_xmp(len(gain), descriptions_of(frame.inherited.xmp)), "XMP")
    if frame.inherited.iptc:
        head += _segment(0xED, _photoshop(frame.inherited.iptc), "IPTC")
    head += _segment(0xE2, ISO_NAME + bytes(4))  # versions alone: there is a gain map, and it says the rest
    size = len(head) + 4 + 4 + _INDEX_BYTES + len(picture) - 2
    index_at = len(head) + 4 + 4  # behind marker, length and "MPF"
    index = _segment(0xE2, b"MPF\0" + _index(size, len(gain), size - index_at))
    path.write_bytes(head + index + picture[2:] + gain)


def _photoshop(iptc: bytes) -> bytes:
    """IPTC as an image resource of Photoshop: signature, kind, no name, size, padded to even."""
    return (
        b"Photoshop 3.0\0"
        + struct.pack(">4sHHI", b"8BIM", 0x0404, 0, len(iptc))
        + iptc
        + bytes(len(iptc) % 2)
    )


def _gain_map(frame: Frame, base: NDArray[np.uint8 | np.uint16]) -> tuple[NDArray[np.uint8], float, float]:
    """Return codes of log2((HDR + offset) / (base + offset)) and the values that 0 and 255 stand for.

    Against the base as it is rounded: the map also undoes its rounding and clipping.
    """
    rgb, matrix = frame.rgb, frame.profile.matrix
    height, width = rgb.shape[:2]
    ratio = np.empty(rgb.shape, np.float32)
    linear = frame.profile.decode(np.arange(256) / 255)

    def compare(band: slice) -> None:
        light = rgb[band] if matrix is None else apply_matrix(rgb[band], matrix)
        hdr = np.clip(light, 0, _LARGEST, dtype=np.float64)
        ratio[band] = np.log2((hdr + _OFFSET) / (linear[base[band]] + _OFFSET))

    in_bands(height, width, compare)
    low = math.floor(float(ratio.min()) * _FRACTION) / _FRACTION
    high = max(math.ceil(float(ratio.max()) * _FRACTION) / _FRACTION, low + 1 / _FRACTION)
    codes = np.empty(rgb.shape, np.uint8)

    def encode(band: slice) -> None:
        codes[band] = np.rint((ratio[band] - low) * (255 / (high - low)))

    in_bands(height, width, encode)
    return codes, low, high


def _metadata(low: float, high: float, headroom: float) -> bytes:
    """Versions 0; one set of values for all channels, in the base's primaries; fractions.

    Headrooms of base and HDR picture, then minimum, maximum, gamma, offset of the base, offset of HDR.
    """
    pairs = [(0, 1), (round(headroom * _FRACTION), _FRACTION)]
    pairs += [(round(low * _FRACTION), _FRACTION), (round(high * _FRACTION), _FRACTION), (1, 1)]
    pairs += [(1, round(1 / _OFFSET))] * 2
    signed = "II II iI iI II iI iI".replace(" ", "")
    return struct.pack(f">2HB{signed}", 0, 0, 0x40, *(number for pair in pairs for number in pair))


def _index(first_size: int, second_size: int, second_at: int) -> bytes:
    """Version, number of pictures, and for each attribute, size and place (the first has none)."""
    first = struct.pack(">3I2H", 0x030000, first_size, 0, 0, 0)  # the primary picture
    second = struct.pack(">3I2H", 0, second_size, second_at, 0, 0)
    entries: Entries = {
        0xB000: (UNDEFINED, 4, b"0100"),
        0xB001: (LONG, 1, struct.pack(">I", 2)),
        0xB002: (UNDEFINED, 32, first + second),
    }
    return tiff_block(">", entries)


def _segment(marker: int, data: bytes, holding: str = "data") -> bytes:
    if len(data) > _MAX_SEGMENT:
        raise ExportError(
            f"a JPEG holds at most {_MAX_SEGMENT:,} bytes of {holding}, with what is added here it is "
            f"{len(data):,}: shorten it, or choose another format"
        )
    return struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data


def _jpeg(codes: NDArray[np.uint8 | np.uint16], icc: bytes | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(codes).save(file, "JPEG", quality=_QUALITY, subsampling="4:4:4", icc_profile=icc)
    return file.getvalue()
