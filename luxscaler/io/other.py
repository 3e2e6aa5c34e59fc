"""Rarer formats, each through one library that reads it well: what they are called, and who decodes them.

Pillow for those of 8 bits; OpenImageIO for those that may hold more, or float. Of files with several pictures
the first is read (of icons the largest).
"""

from typing import Any, ClassVar

from PIL import (
    BmpImagePlugin,
    IcoImagePlugin,
    PcxImagePlugin,
    QoiImagePlugin,
    SunImagePlugin,
)

from luxscaler.io.oiio_format import OiioFormat
from luxscaler.io.pillow_format import PillowFormat


class _Sun(SunImagePlugin.SunImageFile):
    """Sun raster: of a 32-bit pixel the first byte is padding, where Pillow skips the last."""

    _PAD_FIRST: ClassVar[dict[str, str]] = {"RGBX": "XRGB", "BGRX": "XBGR"}

    def _open(self) -> None:
        super()._open()
        self.tile = [tile._replace(args=self._pad_first(tile.args)) for tile in self.tile]

    def _pad_first(self, arguments: Any) -> Any:
        if isinstance(arguments, tuple):
            return (self._pad_first(arguments[0]), *arguments[1:])
        return self._PAD_FIRST.get(arguments, arguments)


FORMATS: tuple[PillowFormat | OiioFormat, ...] = (
    PillowFormat("dib", BmpImagePlugin.DibImageFile),
    PillowFormat("ico", IcoImagePlugin.IcoImageFile),
    PillowFormat("pcx", PcxImagePlugin.PcxImageFile),
    PillowFormat("qoi", QoiImagePlugin.QoiImageFile),
    PillowFormat("sun", _Sun),
    OiioFormat("dds", "dds"),
    OiioFormat("sgi", "sgi"),
)
