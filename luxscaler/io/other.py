"""Rarer formats, each through one library that reads it well: what they are called, and who decodes them.

Pillow for those of 8 bits; OpenImageIO for those that may hold more, or float. Of files with several pictures
the first is read (of icons the largest).
"""

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    PcxImagePlugin,
    QoiImagePlugin,
    SgiImagePlugin,
    SunImagePlugin,
    TgaImagePlugin,
)

from luxscaler.io.oiio_format import OiioFormat
from luxscaler.io.pillow_format import PillowFormat

FORMATS: tuple[PillowFormat | OiioFormat, ...] = (
    PillowFormat("dib", BmpImagePlugin.DibImageFile),
    PillowFormat("gif", GifImagePlugin.GifImageFile),
    PillowFormat("ico", IcoImagePlugin.IcoImageFile),
    PillowFormat("pcx", PcxImagePlugin.PcxImageFile),
    PillowFormat("qoi", QoiImagePlugin.QoiImageFile),
    PillowFormat("sgi", SgiImagePlugin.SgiImageFile),
    PillowFormat("sun", SunImagePlugin.SunImageFile),
    PillowFormat("tga", TgaImagePlugin.TgaImageFile),
    OiioFormat("dds", "dds"),
    OiioFormat("jpeg2000", "jpeg2000"),
)
