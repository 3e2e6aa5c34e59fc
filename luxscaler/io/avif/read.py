"""AVIF: the properties by hand, pixels by libavif (imagecodecs), which keeps 10 and 12 bits.

libavif leaves rotation (irot) and mirroring (imir) to its caller, so they are reported as an orientation;
the EXIF orientation is void in this format. A colour profile of kind "prof" wins over code points
("nclx"), as MIAF has it. Sources: ISO/IEC 23008-12 (properties), 23000-22 (MIAF); boxes: isobmff.py.
"""

import struct
from typing import BinaryIO

import imagecodecs

from luxscaler.errors import PictureError
from luxscaler.io.avif.layout import clean_aperture, for_libavif, is_sequence
from luxscaler.io.color_encoding import SRGB_ASSUMED, ColorCoding, from_cicp
from luxscaler.io.decoder import Alpha, FileInfo, Samples, with_channels
from luxscaler.io.described import exif_item, xmp_item
from luxscaler.io.exif.read import from_exif_item, with_more
from luxscaler.io.gain_map.gain_map import Codes
from luxscaler.io.gain_map.in_heif import find_or_notice
from luxscaler.io.icc import profile_coding
from luxscaler.io.isobmff import Meta, read_meta
from luxscaler.io.linearize import oriented
from luxscaler.io.shown_item import is_alpha, showing

# (irot angle, quarter turns anticlockwise; imir axis or None) → EXIF orientation. Rotation comes first.
_ORIENTATIONS = {
    (0, None): 1,
    (0, 0): 4,
    (0, 1): 2,
    (1, None): 8,
    (1, 0): 5,
    (1, 1): 7,
    (2, None): 3,
    (2, 0): 2,
    (2, 1): 4,
    (3, None): 6,
    (3, 0): 7,
    (3, 1): 5,
}


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the boxes up to the meta box."""
    try:
        meta = read_meta(stream)
    except (struct.error, IndexError) as error:
        raise PictureError("has a damaged AVIF header") from error
    own = meta.properties_of(meta.primary)
    found = dict(reversed(own))
    try:
        width, height = struct.unpack_from(">II", found[b"ispe"], 4)
        bits, color = _depth(found)
    except (KeyError, struct.error, IndexError) as error:
        raise PictureError("has a damaged AVIF header: no size or no bit depth") from error
    if width < 1 or height < 1:
        raise PictureError(f"has a damaged AVIF header: {width} × {height}")
    coding, notices = _coding([body for name, body in own if name == b"colr"], color)
    alpha = _has_alpha(meta)
    box, more = clean_aperture(found.get(b"clap"), width, height)
    if is_sequence(stream):
        more += ("an animation: its still picture is read",)
    exif = exif_item(stream, meta)
    xmp, unread = xmp_item(stream, meta)
    gain_map, reason = find_or_notice(stream, meta, exif, _map_codes)
    return FileInfo(
        format="avif",
        width=box[2] - box[0],
        height=box[3] - box[1],
        bits=bits,
        channels=color + alpha,
        coding=coding,
        alpha=Alpha.STRAIGHT if alpha else Alpha.NONE,
        orientation=_orientation(found),
        decoded_pixels=width * height,
        notices=notices + more + reason + unread,
        metadata=with_more(from_exif_item(exif), xmp=xmp),
        gain_map=gain_map,
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode the main picture; un-premultiplied and full range, both by libavif."""
    meta = read_meta(stream)
    found = dict(reversed(meta.properties_of(meta.primary)))
    data = for_libavif(showing(stream))
    samples = with_channels(imagecodecs.avif_decode(data, numthreads=1))
    if samples.ndim != 3:
        raise PictureError("is an AVIF of several pictures without a main one, which is not supported")
    (left, top, right, bottom), _ = clean_aperture(found.get(b"clap"), samples.shape[1], samples.shape[0])
    samples = samples[top:bottom, left:right]
    if info.channels == 2:  # grey and alpha, which libavif may give as RGBA
        return samples[..., [0, -1]]
    # Grey or opaque pictures that libavif gave as RGB or RGBA have more channels.
    return samples[..., : info.channels]


def _map_codes(stream: BinaryIO) -> tuple[Codes, int]:
    """The gain map of a file that has it as its main picture, upright."""
    info = read_info(stream)
    return oriented(read_samples(stream, info), info.orientation), info.bits


def _has_alpha(meta: Meta) -> bool:
    """Whether an item that is auxiliary (to any other) is of alpha."""
    items = {item for kind, item, _ in meta.references if kind == b"auxl"}
    return any(is_alpha(meta, item) for item in items)


def _depth(found: dict[bytes, bytes]) -> tuple[int, int]:
    """Bits and colour channels, from av1C, or from pixi for a grid of tiles."""
    if b"av1C" in found:
        flags = found[b"av1C"][2]
        bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
        return bits, 1 if flags & 0x10 else 3
    pixi = found[b"pixi"]
    return pixi[5], 1 if pixi[4] == 1 else 3


def _orientation(found: dict[bytes, bytes]) -> int:
    angle = found[b"irot"][0] & 3 if found.get(b"irot") else 0
    axis = found[b"imir"][0] & 1 if found.get(b"imir") else None
    return _ORIENTATIONS[angle, axis]


def _coding(boxes: list[bytes], channels: int) -> tuple[ColorCoding, tuple[str, ...]]:
    notices: tuple[str, ...] = ()
    for body in boxes:
        if body[:4] in (b"prof", b"rICC"):
            coding, notices = profile_coding(body[4:], channels)
            if coding is not None:
                return coding, notices
    for body in boxes:
        if body[:4] == b"nclx" and len(body) >= 8:
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            coding, more = from_cicp(primaries, transfer)
            return coding, notices + more
    return SRGB_ASSUMED, notices
