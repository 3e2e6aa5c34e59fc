"""TGA through Pillow, and what it says of its fourth channel, which Pillow always takes for straight alpha.

A byte of the extension area tells whether it is alpha, and whether colour is premultiplied (Truevision TGA
2.0, field 24). Older files have no such area; many of theirs have a fourth channel that means nothing, which
is 0 everywhere, and a picture that is clear everywhere is nobody's intention.
"""

from dataclasses import replace
from typing import BinaryIO

from PIL import TgaImagePlugin

from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.pillow_format import PillowFormat

_PILLOW = PillowFormat("tga", TgaImagePlugin.TgaImageFile)
_SIGNATURE = b"TRUEVISION-XFILE.\0"
_FOOTER_BYTES = 26
_ALPHA_TYPE_AT = 494
"""In the extension area."""
_NO_ALPHA, _UNDEFINED, _PREMULTIPLIED = 0, 1, 4
_MOST_PIXELS = 1 << 25
"""Larger pictures are not looked at."""


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header, and the pixels of a small file that does not say what its fourth channel is."""
    info = _PILLOW.read_info(stream)
    if info.alpha is Alpha.NONE:
        return info
    kind = _alpha_type(stream)
    if kind == _PREMULTIPLIED:
        return replace(info, alpha=Alpha.ASSOCIATED)
    if kind in (_NO_ALPHA, _UNDEFINED):
        said = "the channel behind the colours is no alpha, as the TGA says; it is left out"
    elif kind is None and info.width * info.height <= _MOST_PIXELS and _is_clear(stream, info):
        said = "the channel behind the colours is 0 everywhere; it is not taken for alpha"
    else:
        return info
    return replace(info, alpha=Alpha.NONE, channels=info.channels - 1, notices=(*info.notices, said))


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """(height, width, channels) uint8."""
    return _PILLOW.read_samples(stream, info)[..., : info.channels]


def _alpha_type(stream: BinaryIO) -> int | None:
    """What the extension area says; None where there is none."""
    end = stream.seek(0, 2)
    stream.seek(max(0, end - _FOOTER_BYTES))
    footer = stream.read(_FOOTER_BYTES)
    at = int.from_bytes(footer[:4], "little")
    if not footer.endswith(_SIGNATURE) or at == 0:
        return None
    stream.seek(at + _ALPHA_TYPE_AT)
    kind = stream.read(1)
    return kind[0] if kind else None


def _is_clear(stream: BinaryIO, info: FileInfo) -> bool:
    try:
        return not _PILLOW.read_samples(stream, info)[..., -1].any()
    except Exception:  # damage is told of when the picture is read
        return False
