"""Loads what the decoders' libraries load on first use, so that forks of a process find it there."""

from contextlib import suppress

import imagecodecs

from luxscaler.io.icc import is_srgb, matrix_model

_LAZY_CODECS = (
    *("png_decode", "avif_decode", "jpegxl_decode", "jpeg2k_decode", "jpeg8_decode", "rgbe_decode"),
    *("brotli_decode", "cms_transform", "cms_profile"),
    # What tifffile calls for the usual compressions.
    *("deflate_decode", "zlib_decode", "lzw_decode", "packbits_decode", "packints_decode", "jpeg_decode"),
    *("zstd_decode", "lzma_decode", "delta_decode", "floatpred_decode", "bitorder_decode"),
)


def preload() -> None:
    """Load the codecs, the colour transforms and OpenImageIO, if it is installed."""
    for name in _LAZY_CODECS:
        getattr(imagecodecs, name)
    profile = bytes(imagecodecs.cms_profile("srgb"))
    is_srgb(profile)
    matrix_model(profile, 16)
    with suppress(ImportError):
        import OpenImageIO as oiio  # noqa: N813, PLC0415 - takes most of a second

        oiio.attribute("threads", 1)  # before its first use: a fork copies no threads
