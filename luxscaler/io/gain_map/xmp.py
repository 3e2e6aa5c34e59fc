"""What XMP says of gain maps: Adobe's hdrgm values, Apple's version and headroom, Google's list of pictures.

Sources: Adobe gain map 1.0; Ultra HDR image format 1.0 (GContainer); ISO 16684-1 (XMP). A property is an
attribute of rdf:Description or an element in it, with one value or an rdf:Seq of three.
"""

from dataclasses import dataclass
from xml.etree import ElementTree

from luxscaler.errors import PictureError
from luxscaler.io.gain_map.metadata import LogGain, Triple
from luxscaler.words import counted

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_HDRGM = "{http://ns.adobe.com/hdr-gain-map/1.0/}"
_APPLE = "{http://ns.apple.com/HDRGainMap/1.0/}"
_APPLE_KIND = "{http://ns.apple.com/pixeldatainfo/1.0/}AuxiliaryImageType"
_ITEM = "{http://ns.google.com/photos/1.0/container/item/}"
APPLE_URN = "urn:com:apple:photo:2020:aux:hdrgainmap"
_MOST_ITEMS = 64

Properties = dict[str, tuple[str, ...]]
"""Names with their namespaces in braces, and values."""


@dataclass(frozen=True)
class AppleMap:
    """That a picture is Apple's gain map."""

    headroom: float | None
    """The HDR peak over SDR white, where it is said here and not in the maker's notes."""


@dataclass(frozen=True)
class ContainerItem:
    """One of the pictures and films that follow one another in a file."""

    semantic: str
    length: int
    """Bytes; 0 for the first, whose end is not said."""
    padding: int


def properties(packet: bytes) -> Properties:
    """The properties of all rdf:Description elements. Raises PictureError for what is no XMP."""
    root = _parsed(packet)
    found: Properties = {}
    for description in root.iter(f"{_RDF}Description"):
        found |= {name: (value,) for name, value in description.attrib.items()}
        for element in description:
            values = [li.text or "" for li in element.iter(f"{_RDF}li")] or [element.text or ""]
            found[element.tag] = tuple(value.strip() for value in values)
    return found


def announces_adobe(said: Properties) -> bool:
    """Whether a base says that a gain map follows."""
    return f"{_HDRGM}Version" in said


def adobe_gain(said: Properties) -> LogGain | None:
    """The gain that the XMP of a map describes; None where it is no map's. Raises PictureError."""
    if f"{_HDRGM}GainMapMax" not in said and f"{_HDRGM}HDRCapacityMax" not in said:
        return None
    sdr_offset, hdr_offset = _triple(said, "OffsetSDR", 1 / 64), _triple(said, "OffsetHDR", 1 / 64)
    low, high = _triple(said, "HDRCapacityMin", 0.0)[0], _triple(said, "HDRCapacityMax", None)[0]
    is_hdr = _text(said, "BaseRenditionIsHDR", "False").lower() == "true"
    return LogGain(
        "Adobe XMP",
        minimum=_triple(said, "GainMapMin", 0.0),
        maximum=_triple(said, "GainMapMax", None),
        gamma=_triple(said, "Gamma", 1.0),
        base_offset=hdr_offset if is_hdr else sdr_offset,
        alternate_offset=sdr_offset if is_hdr else hdr_offset,
        base_headroom=high if is_hdr else low,
        alternate_headroom=low if is_hdr else high,
    )


def apple_map(said: Properties) -> AppleMap | None:
    """What the XMP of Apple's map says; None where it is no such map's. Raises PictureError."""
    version = said.get(f"{_APPLE}HDRGainMapVersion")
    if version is None and said.get(_APPLE_KIND) != (APPLE_URN,):
        return None
    value = said.get(f"{_APPLE}HDRGainMapHeadroom")
    return AppleMap(None if value is None else _number("HDRGainMapHeadroom", value[0]))


def container_items(packet: bytes) -> list[ContainerItem]:
    """The pictures and films of the file in their order. Raises PictureError."""
    items: list[ContainerItem] = []
    for element in _parsed(packet).iter():
        semantic = element.get(f"{_ITEM}Semantic")
        if semantic is not None and len(items) < _MOST_ITEMS:
            sizes = (element.get(f"{_ITEM}{name}", "0") for name in ("Length", "Padding"))
            length, padding = (int(size) if size.isdecimal() else 0 for size in sizes)
            items.append(ContainerItem(semantic, length, padding))
    return items


def _parsed(packet: bytes) -> ElementTree.Element:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # XMP has none, and entities can be bombs
        raise PictureError("its XMP metadata has a document type")
    try:
        return ElementTree.fromstring(packet.strip(b"\0 \t\r\n"))  # noqa: S314 - no entities, see above
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise PictureError(f"its XMP metadata is damaged: {error}") from error


def _text(said: Properties, name: str, default: str | None) -> str:
    values = said.get(f"{_HDRGM}{name}")
    if values:
        return values[0]
    if default is None:
        raise PictureError(f"its metadata has no hdrgm:{name}")
    return default


def _triple(said: Properties, name: str, default: float | None) -> Triple:
    values = said.get(f"{_HDRGM}{name}")
    if not values:
        if default is None:
            raise PictureError(f"its metadata has no hdrgm:{name}")
        return default, default, default
    numbers = [_number(f"hdrgm:{name}", value) for value in values]
    if len(numbers) not in (1, 3):
        raise PictureError(
            f"its metadata has {counted(len(numbers), 'value')} of hdrgm:{name}, 1 or 3 are possible"
        )
    return numbers[0], numbers[len(numbers) // 2], numbers[-1]


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise PictureError(f"its metadata has {name} {text[:40]!r}, which is no number") from error
