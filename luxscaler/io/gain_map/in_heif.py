"""Finds the gain map of an AVIF or HEIC file: an item beside the main picture.

ISO 21496-1's form is a derived item, "tmap", of the base and the map, whose data are the metadata (ISO/IEC
23008-12, tone map derivation). Apple's is an auxiliary picture, with its headroom in XMP or in the EXIF.
"""

import io
import struct
from functools import partial
from typing import BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ColorCoding, from_cicp
from luxscaler.io.described import content_types
from luxscaler.io.exif.read import MAX_ITEM_BYTES
from luxscaler.io.gain_map.apple import apple_gain
from luxscaler.io.gain_map.gain_map import Codes, Decode, GainMap, unusable_notice
from luxscaler.io.gain_map.metadata import Gain, read_iso
from luxscaler.io.gain_map.xmp import APPLE_URN, Properties, apple_map, properties
from luxscaler.io.icc import profile_coding
from luxscaler.io.isobmff import Meta, described_by, item_data, item_kinds
from luxscaler.io.shown_item import showing
from luxscaler.io.unpacking import UnpackError, decoded
from luxscaler.words import counted

_DAMAGE = (struct.error, IndexError, OSError, OverflowError)
_UNSPECIFIED = 2


def find_or_notice(
    stream: BinaryIO, meta: Meta, exif: bytes | None, decode: Decode
) -> tuple[GainMap | None, tuple[str, ...]]:
    """The gain map of the main picture if there is one, or why the one that is there cannot be used.

    exif: a block, or an EXIF item, whose first 4 bytes say where the block begins.
    """
    try:
        return _tone_mapped(stream, meta, decode) or _apple(stream, meta, exif, decode), ()
    except PictureError as error:
        return None, (unusable_notice(error),)
    except _DAMAGE as error:
        return None, (unusable_notice(f"its description is damaged ({type(error).__name__})"),)


def _tone_mapped(stream: BinaryIO, meta: Meta, decode: Decode) -> GainMap | None:
    kinds = item_kinds(meta.iinf) if meta.references else {}
    for name, item, targets in meta.references:
        if name == b"dimg" and kinds.get(item) == b"tmap" and targets[:1] == (meta.primary,):
            if len(targets) != 2:
                raise PictureError(f"it is made of {counted(len(targets), 'picture')} instead of 2")
            data = item_data(stream, meta, item)
            if data[:1] != b"\0":
                raise PictureError(f"its metadata has version {data[0] if data else 'missing'}, 0 is known")
            return _gain_map(meta, targets[1], read_iso(data[1:]), decode, _alternate(meta, item))
    return None


def _apple(stream: BinaryIO, meta: Meta, exif: bytes | None, decode: Decode) -> GainMap | None:
    for name, item, targets in meta.references:
        if name != b"auxl" or meta.primary not in targets or not _is_apple(meta, item):
            continue
        found = apple_map(_xmp(stream, meta, item))
        if found is None:
            raise PictureError("its XMP metadata has no HDRGainMapVersion")
        return _gain_map(meta, item, apple_gain(found, _block(exif)), decode, None)
    return None


def _xmp(stream: BinaryIO, meta: Meta, item: int) -> Properties:
    said: Properties = {}
    packets = described_by(meta, item, b"mime")
    codings = {number: coding for number, (_, coding) in content_types(meta.iinf).items()} if packets else {}
    for packet in packets:
        data = item_data(stream, meta, packet)
        try:
            data = decoded(data, codings.get(packet, b""), MAX_ITEM_BYTES)
        except UnpackError as error:
            raise PictureError(f"its XMP metadata is {error}") from error
        said |= properties(data.partition(b"<?xpacket end")[0])
    return said


def _is_apple(meta: Meta, item: int) -> bool:
    said = meta.properties_of(item)
    return any(name == b"auxC" and body[4:].split(b"\0")[0] == APPLE_URN.encode() for name, body in said)


def _block(exif: bytes | None) -> bytes | None:
    """The EXIF block, from its TIFF header or the "Exif" before that on."""
    if exif is None or exif[:4] in (b"Exif", b"II*\0", b"MM\0*"):
        return exif
    return exif[4 + int.from_bytes(exif[:4], "big") :]


def _gain_map(meta: Meta, item: int, gain: Gain, decode: Decode, alternate: ColorCoding | None) -> GainMap:
    found = dict(meta.properties_of(item))
    if b"ispe" not in found:
        raise PictureError("it has no size")
    width, height = struct.unpack_from(">II", found[b"ispe"], 4)
    return GainMap(gain, width, height, partial(_decoded, item, decode), alternate)


def _decoded(item: int, decode: Decode, stream: BinaryIO) -> tuple[Codes, int]:
    return decode(io.BytesIO(showing(stream, item)))


def _alternate(meta: Meta, item: int) -> ColorCoding | None:
    """What the derived item says of the colours that it has."""
    boxes = [body for name, body in meta.properties_of(item) if name == b"colr"]
    for body in boxes:
        if body[:4] in (b"prof", b"rICC"):
            coding, _ = profile_coding(body[4:], 3)
            if coding is not None:
                return coding
    for body in boxes:
        if body[:4] == b"nclx" and len(body) >= 8:
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            return None if primaries == _UNSPECIFIED else from_cicp(primaries, transfer)[0]
    return None
