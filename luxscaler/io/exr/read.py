"""OpenEXR: one layer of a flat part (layers.py) as float32: R, G, B, A or Y, A or Y, RY, BY, A.

The picture is the display window; the data window is laid into it, and what it does not cover is black
(transparent, if there is alpha), as the format defines. Deep files are refused by name. OpenEXR prints what
it finds wrong with a damaged file on standard error before it raises; its Python binding has no switch for
that.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from luxscaler.errors import PictureError
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.exif.read import Metadata, from_texts, resolution, with_more
from luxscaler.io.exr.chroma import to_rgb
from luxscaler.io.exr.coding import coding_of
from luxscaler.io.exr.header import LIGHT_APART, SOURCE_BITS, Part, Window, read_parts
from luxscaler.io.exr.layers import CHROMA, Layer, chosen_layer
from luxscaler.io.exr.standard import standard_attributes
from luxscaler.io.oiio import opened
from luxscaler.options import MAIN_LAYER, LayerChoice

_SHARED = ("displayWindow", "pixelAspectRatio", "chromaticities")
"""Attributes that all parts of a file have in common. So should timeCode be, but no library checks it."""
_MAX_SOURCE_BITS = 32


@dataclass(frozen=True)
class ExrDecoder:
    """A decoder of one layer."""

    choice: LayerChoice = MAIN_LAYER

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the headers of all parts."""
        parts = read_parts(stream)
        layer, notices = chosen_layer(parts, self.choice)
        _check_shared(parts)
        part = parts[layer.part]
        display, data = part.window("displayWindow"), part.window("dataWindow")
        if not _overlap(display, data):
            notices += ("the data window lies outside of the display window: what is read is empty",)
        elif display != data:
            notices += ("the data window differs from the display window, which is what is read",)
        coding, more = coding_of(part)
        alpha = "A" in layer.layout
        channels = part.channels()
        return FileInfo(
            format="exr",
            width=display[2] - display[0] + 1,
            height=display[3] - display[1] + 1,
            bits=max(channels[name].dtype.itemsize * 8 for name in layer.channels),
            channels=len(layer.channels),
            coding=coding,
            is_float=True,
            source_bits=_source_bits(part),
            alpha=Alpha.ASSOCIATED if alpha else Alpha.NONE,
            light_apart=alpha and part.number(LIGHT_APART) == 1,
            decoded_pixels=max((data[2] - data[0] + 1) * (data[3] - data[1] + 1), part.tile_pixels()),
            subimage=layer.part,
            is_plain=layer.channels == layer.layout,
            notices=notices + more,
            metadata=_metadata(part),
        )

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:
        """Decode to float32, premultiplied as stored. Integer channels become the same numbers as float."""
        parts = read_parts(stream)
        layer, _ = chosen_layer(parts, self.choice)
        part = parts[layer.part]
        display, data = part.window("displayWindow"), part.window("dataWindow")
        planes = _planes(stream, part, layer) if len(parts) == 1 else _planes_of_part(stream, part, layer)
        if set(CHROMA) <= set(layer.layout):
            y, ry, by = (np.asarray(plane, np.float32) for plane in planes[:3])
            planes = [*np.moveaxis(to_rgb(y, ry, by, info.coding.primaries), -1, 0), *planes[3:]]
        samples = np.zeros((info.height, info.width, info.channels), np.float32)
        left, top = max(display[0], data[0]), max(display[1], data[1])
        right, bottom = min(display[2], data[2]) + 1, min(display[3], data[3]) + 1
        if left < right and top < bottom:
            inside = np.s_[top - data[1] : bottom - data[1], left - data[0] : right - data[0]]
            target = np.s_[top - display[1] : bottom - display[1], left - display[0] : right - display[0]]
            for number, plane in enumerate(planes):
                samples[(*target, number)] = plane[inside]
        return samples


def _check_shared(parts: Sequence[Part]) -> None:
    """Raise PictureError where a part contradicts the first in what all share: no library reads that."""
    for name in _SHARED:
        first = parts[0].attributes.get(name)
        if any(part.attributes.get(name, first) != first for part in parts[1:]):
            raise PictureError(f"is an EXR whose parts differ in {name}, which OpenEXR does not allow")


def _overlap(one: Window, other: Window) -> bool:
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    return left <= right and top <= bottom


def _metadata(part: Part) -> Metadata:
    """Who owns the picture, when it was taken, how many pixels an inch has; other standard attributes."""
    across, aspect = part.number("xDensity"), part.number("pixelAspectRatio") or 1.0
    # Of the vertical density the format says that it is xDensity × pixelAspectRatio.
    known = resolution(across, across * aspect) if isinstance(across, float) else None
    texts = from_texts(part.text("owner"), part.text("capDate"), known)
    attributes, notices = standard_attributes(part)
    found = replace(texts, exr_attributes=attributes, notices=texts.notices + notices)
    return with_more(found, pixel_aspect=1.0 if known else float(aspect))


def _source_bits(part: Part) -> int | None:
    """The attribute of a tile on its way to a container (exr_transport.py): its floats were integers of so
    many bits, not measured light."""
    bits = part.number(SOURCE_BITS)
    return bits if isinstance(bits, int) and 1 <= bits <= _MAX_SOURCE_BITS else None


def _planes(stream: BinaryIO, part: Part, layer: Layer) -> list[NDArray[Any]]:
    """The channels of the data window of a file of one part; chroma is half as high and wide.

    By OpenEXR's older interface, which raises where OpenEXR.File prints and leaves out what it cannot decode.
    """
    stream.seek(0)
    with closing(OpenEXR.InputFile(stream)) as file:
        names = layer.channels
        if set(CHROMA) <= set(layer.layout):
            # One by one: the interface does not read channels of different sampling together.
            stored = [file.channel(name) for name in names]
        else:
            stored = file.channels(list(names))
    channels = part.channels()
    left, top, right, bottom = part.window("dataWindow")
    planes = []
    for name, plane in zip(names, stored, strict=True):
        across, down = channels[name].step
        shape = (-(-(bottom - top + 1) // down), -(-(right - left + 1) // across))
        planes.append(np.frombuffer(plane, channels[name].dtype).reshape(shape))
    return planes


def _planes_of_part(stream: BinaryIO, part: Part, layer: Layer) -> list[NDArray[Any]]:
    """The same of one of several parts, by OpenImageIO."""
    names, types = layer.channels, part.channels()
    with opened(stream, "openexr", subimage=layer.part) as file:
        found = file.spec.channelnames
        if not set(names) <= set(found):
            raise PictureError("is damaged: OpenImageIO finds other channels in it than its header has")
        kinds = {name: "uint" if types[name].dtype == np.uint32 else "float" for name in names}
        return [file.channel(found.index(name), kinds[name]) for name in names]
