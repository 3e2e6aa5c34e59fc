"""XMP that a result may inherit: rating, keywords, authors, panoramas.

Properties that would be false of another picture are dropped: size, orientation, resolution and colour,
thumbnails, gain maps, the list of pictures in a file, and the place of a long packet's rest. Sizes of a
panorama (GPano), which are in pixels, are scaled with the picture. Source: ISO 16684-1. Document types are
refused: XMP has none, and their entities can expand to gigabytes.
"""

from collections.abc import Iterator
from xml.dom import minidom

MAX_XMP_BYTES = 60_000
"""Of a packet; a JPEG segment holds 65,502."""
_MAX_READ_BYTES = 1 << 20
"""Of a packet with what is dropped of it, such as thumbnails."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_GPANO = "http://ns.google.com/photos/1.0/panorama/"
_DROPPED_NAMESPACES = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.apple.com/pixeldatainfo/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.adobe.com/xmp/note/",
)
_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_PHOTOSHOP, _XMP = "http://ns.adobe.com/photoshop/1.0/", "http://ns.adobe.com/xap/1.0/"
_KEPT_OF_TIFF = {"Make", "Model", "Artist", "Copyright", "ImageDescription", "DateTime"}
_DROPPED = {
    *((_EXIF, name) for name in ("PixelXDimension", "PixelYDimension", "ColorSpace")),
    *((_PHOTOSHOP, name) for name in ("ColorMode", "ICCProfile")),
    (_XMP, "Thumbnails"),
}
_WIDTHS = {"CroppedAreaImageWidthPixels", "FullPanoWidthPixels", "CroppedAreaLeftPixels"}
_HEIGHTS = {"CroppedAreaImageHeightPixels", "FullPanoHeightPixels", "CroppedAreaTopPixels"}
_PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%s">%s</rdf:RDF></x:xmpmeta>'


def usable_xmp(packet: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """The part of a packet that a result may inherit, None if nothing is left; and notices. Never raises."""
    if packet is None:
        return None, ()
    if len(packet) > _MAX_READ_BYTES:
        return None, (f"the XMP data is over {_MAX_READ_BYTES} bytes and was not kept",)
    document = _parsed(packet)
    if document is None:
        return None, ("the XMP data is damaged and was not kept",)
    for description in _descriptions(document):
        for node in _properties(description):
            if _is_dropped(node.namespaceURI or "", node.localName or ""):
                _remove(description, node)
    kept = _serialized(document)
    if kept is not None and len(kept) > MAX_XMP_BYTES:
        return None, (f"the XMP data is over {MAX_XMP_BYTES} bytes and was not kept",)
    return kept, ()


def scaled_xmp(packet: bytes | None, across: float, down: float) -> bytes | None:
    """A packet of `usable_xmp` for a picture of that many times the width and height."""
    document = _parsed(packet) if packet else None
    if document is None:
        return packet
    for description in _descriptions(document):
        for node in _properties(description):
            factor = across if node.localName in _WIDTHS else down if node.localName in _HEIGHTS else None
            if node.namespaceURI == _GPANO and factor is not None:
                _scale(node, factor)
    return _serialized(document)


def descriptions_of(packet: bytes | None) -> str:
    """The rdf:Description elements of a packet of `usable_xmp`, to be put into another packet."""
    document = _parsed(packet) if packet else None
    return "" if document is None else "".join(node.toxml() for node in _descriptions(document))


def _parsed(packet: bytes) -> minidom.Document | None:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return None
    try:
        return minidom.parseString(packet.strip(b"\0 \t\r\n"))  # noqa: S318 - no entities, see above
    except Exception:  # noqa: BLE001, RUF100 - expat, and codecs that a packet names
        return None


def _descriptions(document: minidom.Document) -> list[minidom.Element]:
    """The outer ones."""
    found = document.getElementsByTagNameNS(_RDF, "Description")
    return [node for node in found if getattr(node.parentNode, "localName", "") == "RDF"]


def _properties(description: minidom.Element) -> Iterator[minidom.Attr | minidom.Element]:
    for name in list(description.attributes.keys()):
        node = description.getAttributeNode(name)
        if node is not None and node.namespaceURI not in (None, _RDF, "http://www.w3.org/2000/xmlns/"):
            yield node
    yield from [node for node in description.childNodes if isinstance(node, minidom.Element)]


def _is_dropped(namespace: str, name: str) -> bool:
    if namespace == _TIFF:
        return name not in _KEPT_OF_TIFF
    return namespace.startswith(_DROPPED_NAMESPACES) or (namespace, name) in _DROPPED


def _remove(description: minidom.Element, node: minidom.Attr | minidom.Element) -> None:
    if isinstance(node, minidom.Attr):
        description.removeAttributeNode(node)
    else:
        description.removeChild(node)


def _scale(node: minidom.Attr | minidom.Element, factor: float) -> None:
    text = node.value if isinstance(node, minidom.Attr) else getattr(node.firstChild, "data", "")
    if not text.strip().isdecimal() or len(text) > 12:
        return
    scaled = str(round(int(text) * factor))
    if isinstance(node, minidom.Attr):
        node.value = scaled
    elif isinstance(node.firstChild, minidom.Text):
        node.firstChild.data = scaled


def _serialized(document: minidom.Document) -> bytes | None:
    """A packet of the descriptions that say something; the namespaces of their ancestors become their own."""
    parts = []
    for description in _descriptions(document):
        if not list(_properties(description)):
            continue
        parent = description.parentNode
        while isinstance(parent, minidom.Element):
            for name, value in list(parent.attributes.items()):
                if name.startswith("xmlns") and not description.hasAttribute(name):
                    description.setAttribute(name, value)
            parent = parent.parentNode
        parts.append(description.toxml().encode())
    return _PACKET % (_RDF.encode(), b"".join(parts)) if parts else None
