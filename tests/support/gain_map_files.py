"""Makes files with gain maps, in every form that is read, from a base, a map and numbers."""

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from luxscaler.io.exif.ifd import ASCII, EXIF_IFD, SHORT, UNDEFINED, tiff_block
from luxscaler.io.isobmff import box, iloc_body, item_places, read_meta

ISO_NAME = b"urn:iso:std:iso:ts:21496:-1\0"
XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
APPLE_URN = "urn:com:apple:photo:2020:aux:hdrgainmap"
APPLE_MAP = (
    f'xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/" apdi:AuxiliaryImageType="{APPLE_URN}" '
    'xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="{}"'
)

Values = Sequence[float]


def jpeg(array: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=100, subsampling="4:4:4", **options)
    return file.getvalue()


def pixels(data: bytes) -> NDArray[np.float64]:
    """What Pillow makes of a JPEG: (height, width, channels) in [0, 1]."""
    array = np.asarray(Image.open(io.BytesIO(data)), np.float64) / 255
    return array[..., None] if array.ndim == 2 else array


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data


def xmp(attributes: str = "", elements: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" {attributes}>{elements}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def adobe_xmp(values: dict[str, Values | str]) -> bytes:
    """Single values as attributes, threes as sequences."""
    attributes, elements = 'hdrgm:Version="1.0"', ""
    for name, value in values.items():
        if isinstance(value, str) or len(value) == 1:
            attributes += f' hdrgm:{name}="{value if isinstance(value, str) else value[0]}"'
        else:
            items = "".join(f"<rdf:li>{number}</rdf:li>" for number in value)
            elements += f"<hdrgm:{name}><rdf:Seq>{items}</rdf:Seq></hdrgm:{name}>"
    return xmp(attributes, elements)


def container_xmp(*lengths: tuple[str, int]) -> bytes:
    """Google's container: the first picture, and the semantic and length of each that follows."""
    items = ['Item:Semantic="Primary"', *(f'Item:Semantic="{name}" Item:Length="{n}"' for name, n in lengths)]
    listed = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item {item} Item:Mime="image/jpeg"/></rdf:li>'
        for item in items
    )
    names = (
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0"'
    )
    return xmp(names, f"<Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory>")


def iso(
    low: Values = (0,),
    high: Values = (2,),
    gamma: Values = (1,),
    offset: Values = (1 / 64,),
    alternate_offset: Values = (1 / 64,),
    headrooms: tuple[float, float] = (0, 2),
    *,
    base_colors: bool = True,
    least_version: int = 0,
) -> bytes:
    """ISO 21496-1:2025, annex C.2: fractions; of one channel, or of three where any has three values."""
    count = max(map(len, (low, high, gamma, offset, alternate_offset)))
    flags = 0x80 * (count == 3) | 0x40 * base_colors

    def fraction(value: float, sign: str) -> bytes:
        exact = Fraction(value).limit_denominator(1 << 20)
        return struct.pack(f">{sign}I", exact.numerator, exact.denominator)

    data = struct.pack(">2HB", least_version, 0, flags) + b"".join(fraction(h, "I") for h in headrooms)
    for channel in range(count):
        for values, sign in zip((low, high, gamma, offset, alternate_offset), "iiIii", strict=True):
            data += fraction(values[channel % len(values)], sign)
    return data


def iso_common(denominator: int, numerators: Sequence[int], flags: int = 0x40) -> bytes:
    """The form with one denominator: headrooms, minimum, maximum, gamma, offsets."""
    return struct.pack(">2HBI2I2iI2i", 0, 0, flags | 0x08, denominator, *numerators)


def joined_jpeg(
    base: bytes,
    gain: bytes,
    *,
    iso_data: bytes | None = None,
    map_xmp: bytes | None = None,
    base_xmp: bytes | None = None,
    index: bool = True,
    order: str = ">",
    tail: bytes = b"",
) -> bytes:
    """Two JPEGs in one file. index: whether a multi-picture index says where the second is. tail: a film."""
    said = segment(0xE1, XMP_NAME + map_xmp) if map_xmp is not None else b""
    said += segment(0xE2, ISO_NAME + iso_data) if iso_data is not None else b""
    gain = gain[:2] + said + gain[2:]
    head = b"" if iso_data is None else segment(0xE2, ISO_NAME + bytes(4))
    if base_xmp is None and map_xmp is not None and b"hdrgm:Version" in map_xmp:
        base_xmp = container_xmp(("GainMap", len(gain)), *((("MotionPhoto", len(tail)),) if tail else ()))
    head += segment(0xE1, XMP_NAME + base_xmp) if base_xmp is not None else b""
    if not index:
        return base[:2] + head + base[2:] + gain + tail
    mpf_bytes = 4 + 4 + 8 + 2 + 3 * 12 + 4 + 32
    size = len(head) + mpf_bytes + len(base)
    origin = 2 + len(head) + 8
    first, second = (0x030000, size, 0, 0, 0), (0, len(gain), size - origin, 0, 0)
    entries = b"".join(struct.pack(order + "3I2H", *entry) for entry in (first, second))
    block = tiff_block(
        order,
        {
            0xB000: (UNDEFINED, 4, b"0100"),
            0xB001: (4, 1, struct.pack(order + "I", 2)),
            0xB002: (UNDEFINED, 32, entries),
        },
    )
    mpf = segment(0xE2, b"MPF\0" + block)
    assert len(mpf) == mpf_bytes
    return base[:2] + head + mpf + base[2:] + gain + tail


def apple_exif(maker33: Fraction | None, maker48: Fraction | None, orientation: int = 1) -> bytes:
    """An EXIF block with Apple's maker's notes."""
    numbers = [(tag, value) for tag, value in ((0x21, maker33), (0x30, maker48)) if value is not None]
    at = 14 + 2 + 12 * len(numbers) + 4
    table, values = struct.pack(">H", len(numbers)), b""
    for tag, value in numbers:
        table += struct.pack(">HHII", tag, 10, 1, at + len(values))
        values += struct.pack(">ii", value.numerator, value.denominator)
    note = b"Apple iOS\0\0\1MM" + table + bytes(4) + values
    exif = {0x927C: (UNDEFINED, len(note), note)}
    main = {0x010F: (ASCII, 6, b"Apple\0"), 0x0112: (SHORT, 1, struct.pack(">H", orientation))}
    return b"Exif\0\0" + tiff_block(">", main, {EXIF_IFD: exif})


def _parts(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The properties and the coded bytes of the main item of a file with one picture."""
    meta = read_meta(io.BytesIO(data))
    pieces = [data[at : at + size] for _, at, size in item_places(meta.iloc)[meta.primary]]
    return [p for p in meta.properties_of(meta.primary) if p[0] not in (b"irot", b"imir")], b"".join(pieces)


def _infe(item: int, kind: bytes, rest: bytes, *, hidden: bool) -> bytes:
    return box(b"infe", struct.pack(">IHH4s", 0x02000000 | hidden, item, 0, kind) + rest)


def heif(
    base: bytes,
    gain: bytes,
    kind: bytes,
    *,
    tone_map: bytes | None = None,
    tone_map_colr: bytes | None = None,
    apple_xmp: bytes | None = None,
    xmp_encoding: bytes = b"",
    exif: bytes | None = None,
    turn: int = 0,
) -> bytes:
    """An AVIF (kind av01) or HEIC (hvc1) of two others of one picture each.

    tone_map: data of a "tmap" item. apple_xmp: makes the map an auxiliary picture of Apple's. turn: irot.
    """
    (base_props, base_data), (map_props, map_data) = _parts(base), _parts(gain)
    turned = [(b"irot", bytes([turn]))] if turn else []
    aux = [(b"auxC", bytes(4) + APPLE_URN.encode() + b"\0")] if apple_xmp is not None else []
    colr = [(b"colr", tone_map_colr)] if tone_map_colr is not None else []
    items = [(1, kind, base_data, base_props + turned), (2, kind, map_data, map_props + aux + turned)]
    references = b""
    if tone_map is not None:
        items.append((3, b"tmap", tone_map, colr))
        references += box(b"dimg", struct.pack(">HHHH", 3, 2, 1, 2))
    if apple_xmp is not None:
        items.append((4, b"mime", apple_xmp, []))
        references += box(b"auxl", struct.pack(">HHH", 2, 1, 1)) + box(b"cdsc", struct.pack(">HHH", 4, 1, 2))
    if exif is not None:
        items.append((5, b"Exif", struct.pack(">I", 6) + exif, []))
        references += box(b"cdsc", struct.pack(">HHH", 5, 1, 1))
    properties: list[tuple[bytes, bytes]] = []
    links = b""
    for number, _, _, own in items:
        links += struct.pack(">HB", number, len(own))
        for name, body in own:
            properties.append((name, body))
            links += bytes([len(properties) | 0x80 * (name in (b"av1C", b"hvcC", b"irot"))])
    ipma = box(b"ipma", struct.pack(">II", 0, len(items)) + links)
    ipco = box(b"ipco", b"".join(box(*each) for each in properties))
    names = {b"mime": b"\0application/rdf+xml\0" + xmp_encoding + b"\0"}
    entries = b"".join(
        _infe(number, kind, names.get(kind, b"\0"), hidden=number == 2) for number, kind, _, _ in items
    )
    brands = [b"avif" if kind == b"av01" else b"heic", b"mif1", b"miaf"]
    brands += [b"tmap"] if tone_map is not None else []
    head = box(b"ftyp", brands[0] + bytes(4) + b"".join(brands))

    def meta(start: int) -> bytes:
        places, at = [], start
        for number, _, data, _ in items:
            places.append((number, at, len(data)))
            at += len(data)
        return box(
            b"meta",
            bytes(4)
            + box(b"hdlr", bytes(8) + b"pict" + bytes(13))
            + box(b"pitm", struct.pack(">IH", 0, 1))
            + box(b"iloc", iloc_body(places))
            + box(b"iinf", struct.pack(">IH", 0, len(items)) + entries)
            + box(b"iref", bytes(4) + references)
            + box(b"iprp", ipco + ipma),
        )

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", b"".join(data for _, _, data, _ in items))
