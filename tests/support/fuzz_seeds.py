"""Small good files of every format that is read, made anew: the seeds of the fuzz run."""

from functools import cache

import imagecodecs
import numpy as np
from PIL import Image

from tests.support.picture_files import (
    P3,
    avif,
    exif,
    exr,
    exr_of_chroma,
    iccp,
    jxl,
    noise,
    pillow,
    png,
    radiance,
    rgb_profile,
    tiff,
)

LIGHT_OF_HDR = noise(20, 40) / np.float32(64)


@cache
def seed_files() -> dict[str, bytes]:
    """Name to bytes; the same in every run."""
    rgb, rgba, grey = noise(20, 24), noise(20, 24, 4), noise(20, 24, 0)
    deep, light = noise(20, 24, 3, 16), (noise(20, 24) / np.float32(99)).astype(np.float32)
    planes = {name: light[..., index] for index, name in enumerate("RGB")}
    profile = rgb_profile(P3)
    bilevel = Image.fromarray(grey).convert("1")
    frames = [Image.fromarray(np.roll(rgb, shift, axis=1)) for shift in range(3)]
    made = {
        "jpeg": pillow(rgb, "JPEG", exif=exif(6), icc_profile=profile),
        "jpeg progressive": pillow(rgb, "JPEG", progressive=True),
        "jpeg cmyk": pillow(Image.fromarray(rgba, "CMYK"), "JPEG"),
        "jpeg 12": bytes(imagecodecs.jpeg8_encode(deep >> 4, bitspersample=12)),
        "jpeg lossless": bytes(imagecodecs.jpeg8_encode(deep, lossless=True)),
        "png": png(rgb, iccp(profile), (b"eXIf", exif(6)[6:])),
        "png 16": png(deep),
        "png palette": pillow(Image.fromarray(rgb).quantize(16), "PNG", transparency=3),
        "webp": pillow(rgb, "WEBP", exif=exif(3)),
        "webp lossless": pillow(rgba, "WEBP", lossless=True, icc_profile=profile),
        "gif": pillow(rgb, "GIF"),
        "bmp": pillow(rgb, "BMP"),
        "tiff": tiff(rgb, photometric="rgb"),
        "tiff tiles": tiff(deep, photometric="rgb", tile=(16, 16), compression="zlib", predictor=True),
        "tiff float": tiff(light, photometric="rgb", compression="zlib", predictor=3),
        "tiff lzw": tiff(rgb, photometric="rgb", compression="lzw", rowsperstrip=7, iccprofile=profile),
        "tiff zstd": tiff(rgb, photometric="rgb", compression="zstd"),
        "tiff jpeg": tiff(rgb, photometric="ycbcr", compression="jpeg"),
        "tiff fax": pillow(bilevel, "TIFF", compression="group4"),
        "tiff ycbcr": pillow(Image.fromarray(rgb).convert("YCbCr"), "TIFF"),
        "tiff lab": tiff(rgb, photometric="cielab"),
        "tiff palette": pillow(Image.fromarray(rgb).quantize(4), "TIFF"),
        "tiff signed": tiff(deep.astype(np.int16), photometric="rgb"),
        "exr": exr(planes),
        "exr half": exr({name: plane.astype(np.float16) for name, plane in planes.items()}),
        "exr chroma": exr_of_chroma(light[..., 0], light[::2, ::2, 1], light[::2, ::2, 2]),
        "hdr": radiance(LIGHT_OF_HDR),
        "avif": avif(rgb),
        "avif 10": avif(deep >> 6, 10),
        "avif sequence": pillow(frames[0], "AVIF", save_all=True, append_images=frames[1:]),
        "jxl": jxl(rgb, lossless=True),
        "jxl lossy": jxl(rgb, distance=1.0, usecontainer=True),
        "jxl float": jxl(light, lossless=True),
        "jpeg2000": bytes(imagecodecs.jpeg2k_encode(rgb, codecformat="jp2", level=0)),
        "jpeg2000 alpha": pillow(Image.fromarray(rgba[..., :2].copy(), "LA"), "JPEG2000"),
        "jpeg2000 cmyk": pillow(Image.fromarray(rgba, "CMYK"), "JPEG2000"),
        "ppm": pillow(rgb, "PPM"),
        "pam": b"P7\nWIDTH 24\nHEIGHT 20\nDEPTH 4\nMAXVAL 255\nENDHDR\n" + rgba.tobytes(),
        "pfm": b"PF\n24 20\n-1\n" + light.tobytes(),
        "psd": b"8BPS\0\1"
        + bytes(6)
        + bytes.fromhex("00030000001400000018000800030000000000000000000000000000")
        + np.moveaxis(rgb, 2, 0).tobytes(),
    }
    for kind in ("TGA", "PCX", "SGI", "DIB", "QOI"):
        made[kind.lower()] = pillow(rgb, kind)
    for kind in ("ICO", "DDS"):
        made[kind.lower()] = pillow(rgba, kind)
    return made
