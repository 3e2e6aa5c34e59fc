"""Channels of an OpenEXR file that hold numbers of objects instead of light.

A Cryptomatte layer holds hashes of names as the bits of floats, and how much of a pixel each covers; its name
is that of an attribute `cryptomatte/KEY/name` and a number: CryptoObject00, CryptoObject01. A number between
two hashes is the hash of nothing, so these layers are refused. Other numbers of objects are whole-number
channels, or known by their names; they are read when they are asked for, with a notice.
Source: "Cryptomatte Specification" 1.2 (Psyop).
"""

import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.exr.header import Part

_NAME_ATTRIBUTE = re.compile(r"cryptomatte/[^/]*/name")
_LEVEL = re.compile(r"(.*?)\d+")
_USUAL_NAME = re.compile(r"\w*crypto\w*?\d\d", re.IGNORECASE)
"""Of a layer, where the attributes were lost: crypto_object00, uCryptoAsset01."""
_ID_NAMES = {"id", "objectid", "objid", "materialid", "matid", "instanceid", "assetid", "indexob", "indexma"}
"""Of channels or layers that hold numbers of objects, as renderers call them."""
_WHY = "its numbers name objects, and those between them name none"
_MOST_NAMES = 12


class IdLayers:
    """Which channels of a file's parts name objects."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._names = {
            part.text(attribute).casefold()
            for part in parts
            for attribute in part.attributes
            if _NAME_ATTRIBUTE.fullmatch(attribute)
        }

    def cryptomatte(self, number: int) -> set[str]:
        """The channels of Cryptomatte layers in that part."""
        return {name for name in self._parts[number].channels() if self._is_cryptomatte(number, name)}

    def check(self, number: int, channels: Iterable[str]) -> None:
        """Raise PictureError where one of the channels of that part is Cryptomatte."""
        for name in channels:
            if self._is_cryptomatte(number, name):
                raise PictureError(f"has {name} as Cryptomatte: {_WHY}, so it cannot be upscaled")

    def check_name(self, number: int, wanted: str) -> None:
        """Raise PictureError where a Cryptomatte layer of that part is called so."""
        for name in self.cryptomatte(number):
            label = self._layer(number, name).casefold()
            if wanted.casefold() in (label, label.rpartition(".")[2]):
                self.check(number, [name])

    def check_not_alone(self, numbers: Iterable[int]) -> None:
        """Raise PictureError where these parts have Cryptomatte."""
        found = self._layers(numbers)
        if found:
            raise PictureError(
                f"holds Cryptomatte ({found}) and no picture: {_WHY}, so it cannot be upscaled"
            )

    def notices(self, number: int, channels: Collection[str]) -> tuple[str, ...]:
        """What is to be said when these channels of that part are read."""
        said: tuple[str, ...] = ()
        if left := self._layers(range(len(self._parts))):
            said += (f"Cryptomatte is left out: {left}: {_WHY}",)
        types = self._parts[number].channels()
        if any(types[name].dtype == np.uint32 or _is_id_name(name) for name in channels):
            names = ", ".join(channels)
            said += (f"{names} read as light: where these numbers name objects, the enlarged name none",)
        return said

    def _is_cryptomatte(self, number: int, channel: str) -> bool:
        layer = self._layer(number, channel)
        level = _LEVEL.fullmatch(layer.casefold())
        if level is not None and level[1] in self._names:
            return True
        return _USUAL_NAME.fullmatch(layer.rpartition(".")[2]) is not None

    def _layer(self, number: int, channel: str) -> str:
        return channel.rpartition(".")[0] or self._parts[number].name

    def _layers(self, numbers: Iterable[int]) -> str:
        """The names of the Cryptomatte layers in these parts."""
        flat = [number for number in numbers if not self._parts[number].is_deep]
        found = sorted({self._layer(number, name) for number in flat for name in self.cryptomatte(number)})
        return ", ".join(found[:_MOST_NAMES]) + (" and more" if len(found) > _MOST_NAMES else "")


def _is_id_name(channel: str) -> bool:
    return any(part.replace("_", "") in _ID_NAMES for part in channel.casefold().split("."))
