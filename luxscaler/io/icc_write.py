"""The ICC profiles that files carry, with a fixed date: the same picture has to give the same bytes."""

import struct

import imagecodecs
from PIL import ImageCms

from luxscaler.color import REC709


def linear_profile() -> bytes:
    """Rec.709 primaries, gamma 1."""
    return _dated(
        bytes(
            imagecodecs.cms_profile(
                "rgb", whitepoint=REC709.white, primaries=REC709.chromaticities[:6], gamma=1.0
            )
        )
    )


def srgb_profile() -> bytes:
    """sRGB (IEC 61966-2-1), as LittleCMS makes it."""
    return _dated(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def _dated(profile: bytes) -> bytes:
    """The time of creation is six big-endian uint16 at byte 24 (ICC.1:2022, 7.2)."""
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]
