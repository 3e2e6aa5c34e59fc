"""PNG by its law: every colour type, depth and transparency, interlaced or not; which colour chunk counts."""

import itertools
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from luxscaler.io.icc import coded_profile
from luxscaler.io.profiles import profile_named
from luxscaler.io.read import read_header, read_picture
from tests.support.picture_files import chunk, iccp, noise, png, srgb

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of Adam7: left, top, steps across and down."""
SMALL = 1
"""Entries fewer in a table of alphas than in its palette: the last colour is opaque."""


def packed(rows: NDArray[Any], bits: int) -> bytes:
    """Scanlines, each behind its filter byte."""
    lines = []
    for row in rows.reshape(len(rows), -1):
        if bits >= 8:
            lines.append(row.astype(">u2" if bits == 16 else np.uint8).tobytes())
        else:
            single = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
            lines.append(np.packbits(single.astype(np.uint8).ravel()).tobytes())
    return b"".join(b"\0" + line for line in lines)


def made(codes: NDArray[Any], kind: int, bits: int, interlaced: bool, *chunks: tuple[bytes, bytes]) -> bytes:
    height, width = codes.shape[:2]
    steps = PASSES if interlaced else ((0, 0, 1, 1),)
    parts = [codes[top::down, left::across] for left, top, across, down in steps]
    rows = b"".join(packed(part, bits) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    whole = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in whole)


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_depth_order_and_transparency(kind: int) -> None:
    """sBIT says how exact samples are, and changes none."""
    rng = np.random.default_rng(kind)
    for bits, interlaced, keyed in itertools.product(DEPTHS[kind], (False, True), (False, True)):
        top = 2**bits - 1
        codes = rng.integers(0, top + 1, (9, 11, CHANNELS[kind])).astype(np.uint16)
        chunks = [(b"sBIT", bytes([min(bits, 5)] * (3 if kind == 3 else CHANNELS[kind])))]
        alpha: Any = codes[..., -1] / top if kind in (4, 6) else None
        colors = codes[..., : 3 if kind in (2, 6) else 1] / top
        if kind == 3:
            palette, clear = noise(1, top + 1)[0], noise(1, top + 1 - SMALL, 0)[0]
            chunks.append((b"PLTE", palette.tobytes()))
            colors = palette[codes[..., 0]] / 255
            if keyed:
                chunks.append((b"tRNS", clear.tobytes()))
                alpha = np.append(clear, 255)[codes[..., 0]] / 255
        elif keyed and alpha is None:
            chunks.append((b"tRNS", codes[0, 0].astype(">u2").tobytes()))
            alpha = 1.0 - (codes == codes[0, 0]).all(axis=2)
        picture = read_picture(made(codes, kind, bits, interlaced, *chunks))
        np.testing.assert_allclose(picture.rgb, srgb(colors) * np.ones(3), atol=1e-6)
        assert picture.has_alpha == (alpha is not None)
        if alpha is not None:
            assert picture.alpha is not None
            np.testing.assert_allclose(picture.alpha, alpha, atol=1e-6)


ADOBE = coded_profile(profile_named("adobe-rgb"))
CHRM = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
COLORS: dict[str, tuple[bytes, bytes]] = {
    "cICP": (b"cICP", bytes([12, 13, 0, 1])),
    "iCCP": iccp(ADOBE or b""),
    "sRGB": (b"sRGB", b"\0"),
    "gAMA": (b"gAMA", struct.pack(">I", 55555)),
    "cHRM": (b"cHRM", CHRM),
}


def test_the_first_of_the_colour_chunks_counts() -> None:
    """In the order of the specification, wherever they stand in the file; gAMA and cHRM count together."""
    adobe = "ICC: Compatible with Adobe RGB (1998)"
    said = {"cICP": "Display P3 (cICP 12/13)", "iCCP": adobe, "sRGB": "sRGB"}
    for count in range(len(COLORS) + 1):
        for names in itertools.combinations(COLORS, count):
            first = next((said[name] for name in names if name in said), None)
            curve = "gamma 1.8" if "gAMA" in names else "sRGB curve"
            rest = f"PNG {curve}, {'cHRM' if 'cHRM' in names else 'Rec.709'}" if names else "sRGB (assumed)"
            data = png(noise(1, 1), *(COLORS[name] for name in names[::-1]))
            assert read_header(data).color_space == (first or rest)
