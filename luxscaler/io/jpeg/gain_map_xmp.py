"""What a gain-map JPEG says in XMP, for readers from before ISO 21496-1: Android 14, older Chromium.

The base names the two pictures of the file (Ultra HDR image format 1.0, GContainer); the map gives the values
by which it is applied (Adobe gain map 1.0, namespace hdrgm).
"""

from luxscaler.io.jpeg.segments import XMP_NAME

_PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    "{attributes}>{elements}</rdf:Description>{more}</rdf:RDF></x:xmpmeta>"
)
_NAMESPACES = (
    ' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    ' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"'
)
_ITEM = (
    '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{}" Item:Mime="image/jpeg"{}/></rdf:li>'
)


def base_xmp(map_bytes: int, inherited: str = "") -> bytes:
    """Return the APP1 data of the base.

    map_bytes: size of the map's JPEG, which ends the file. inherited: more rdf:Description elements.
    """
    items = _ITEM.format("Primary", "") + _ITEM.format("GainMap", f' Item:Length="{map_bytes}"')
    return _packet(
        _NAMESPACES, f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>", inherited
    )


def map_xmp(low: float, high: float, headroom: float, offset: float) -> bytes:
    """Return the APP1 data of the map, its values the same for all channels.

    low, high: log2 of the gain for codes 0 and 255. headroom: log2 of the HDR picture's peak over SDR white;
    displays with that much show the map in full, those with none the base. offset: added to both pictures
    before their ratio.
    """
    values = {
        "GainMapMin": low,
        "GainMapMax": high,
        "Gamma": 1,
        "OffsetSDR": offset,
        "OffsetHDR": offset,
        "HDRCapacityMin": 0,
        "HDRCapacityMax": headroom,
    }
    numbers = "".join(f' hdrgm:{name}="{value:.7f}"' for name, value in values.items())
    return _packet(numbers + ' hdrgm:BaseRenditionIsHDR="False"', "")


def _packet(attributes: str, elements: str, more: str = "") -> bytes:
    return XMP_NAME + _PACKET.format(attributes=attributes, elements=elements, more=more).encode()
