"""PNG, 16 bits, in bands of rows: codes and chunks are those of write.py, the compression is done here.

Bands are coded, filtered and compressed on several threads. Each is a piece of one deflate stream that ends
at a byte's end and looks back at nothing before it; that costs nothing, as runs look back by one byte only.
So the compressed bytes differ from those of `export`; the samples are the same.
"""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from luxscaler.io.frame import THREADS, Frame, rows_of_a_band
from luxscaler.io.png.write import chunk, notes_chunks, pq_chunks, sdr_chunks
from luxscaler.io.pq import LightLevels, code_band, light_levels, pq_space
from luxscaler.io.sdr import as_written, encode_sdr

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels to PNG's colour type."""
_SUB = 1
_ZLIB_HEADER = b"\x78\x01"  # RFC 1950: deflate, a window of 32 KiB, the fastest level
_LAST_BLOCK = b"\x03\x00"  # RFC 1951: an empty one
_ADLER_BASE = 65521
_UNKNOWN_LEVELS = LightLevels(0.0, 0.0)

Light = tuple[float, float]


@dataclass(frozen=True)
class _Piece:
    """A compressed band."""

    deflated: bytes
    adler: int
    length: int
    """Bytes before compression."""
    light: Light


def band_rows(head: Frame) -> int:
    """Return the rows that `encode_sdr` and `encode_pq` work on at once: the same bands, the same sums."""
    return rows_of_a_band(head.rgb.shape[1])


def write_png_bands(path: Path, head: Frame, height: int, bands: Iterator[Frame]) -> None:
    """Write the SDR rendering for head.sdr_peak; the bands are of `band_rows` rows, but for the last."""
    with path.open("wb") as file:
        _write(file, head, height, sdr_chunks(head.profile), _pieces(bands, _sdr_codes))


def write_png_pq_bands(path: Path, head: Frame, height: int, bands: Iterator[Frame]) -> None:
    """Write PQ. The light levels stand before the pixels and are known after them: their place is kept."""
    space = pq_space(head)
    with path.open("wb") as file:
        place, light = _write(
            file, head, height, pq_chunks(_UNKNOWN_LEVELS, space), _pieces(bands, _pq_codes)
        )
        file.seek(place)
        file.write(pq_chunks(light_levels(light, height * head.rgb.shape[1]), space))


def _write(
    file: BinaryIO, head: Frame, height: int, color: bytes, pieces: Generator[_Piece, None, None]
) -> tuple[int, list[Light]]:
    """Return where `color` begins, and the light of the bands."""
    kind = _KINDS[head.channels]
    file.write(
        _SIGNATURE + chunk(b"IHDR", struct.pack(">2I5B", head.rgb.shape[1], height, 16, kind, 0, 0, 0))
    )
    place = file.tell()
    file.write(color + notes_chunks(head))
    adler, light = 1, []
    start = _ZLIB_HEADER
    with closing(pieces):  # if the disk is full, the threads end now
        for piece in pieces:
            file.write(chunk(b"IDAT", start + piece.deflated))
            start = b""
            adler = _joined_adler(adler, piece.adler, piece.length)
            light.append(piece.light)
    file.write(chunk(b"IDAT", _LAST_BLOCK + struct.pack(">I", adler)))
    file.write(chunk(b"IEND", b""))
    return place, light


def _pieces(
    bands: Iterator[Frame], codes: Callable[[Frame], tuple[NDArray[np.uint16], Light]]
) -> Generator[_Piece, None, None]:
    """Compress on THREADS threads, in order, a few bands ahead."""

    def compress(band: Frame) -> _Piece:
        coded, light = codes(band)
        filtered = _filtered(coded)
        deflate = zlib.compressobj(1, wbits=-15, strategy=zlib.Z_RLE)
        deflated = deflate.compress(filtered) + deflate.flush(zlib.Z_FULL_FLUSH)
        return _Piece(deflated, zlib.adler32(filtered), len(filtered), light)

    waiting: deque[Future[_Piece]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for band in bands:
            waiting.append(pool.submit(compress, band))
            if len(waiting) > 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _sdr_codes(band: Frame) -> tuple[NDArray[np.uint16], Light]:
    coded = encode_sdr(band, np.dtype(np.uint16)).astype(np.uint16, copy=False)
    return as_written(coded, band), (0.0, 0.0)


def _pq_codes(band: Frame) -> tuple[NDArray[np.uint16], Light]:
    coded = np.empty((*band.rgb.shape[:2], 3 if band.alpha is None else 4), np.uint16)
    light = code_band(pq_space(band), band.rgb, band.alpha, 16, coded)
    return as_written(coded, band), light


def _filtered(coded: NDArray[np.uint16]) -> memoryview:
    """Rows as PNG has them: the filter's number, then each byte less that of the pixel to its left."""
    height, width, channels = coded.shape
    pixel = 2 * channels
    samples = coded.astype(">u2").view(np.uint8).reshape(height, width * pixel)
    rows = np.empty((height, 1 + width * pixel), np.uint8)
    rows[:, 0] = _SUB
    rows[:, 1 : 1 + pixel] = samples[:, :pixel]
    np.subtract(samples[:, pixel:], samples[:, :-pixel], out=rows[:, 1 + pixel :])
    return rows.reshape(-1).data


def _joined_adler(first: int, second: int, length: int) -> int:
    """Return Adler-32 (RFC 1950, 8.2) of two pieces, of each one's own; `length` is the second's."""
    a1, b1, a2, b2 = first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16
    low = (a1 + a2 - 1) % _ADLER_BASE
    high = (b1 + b2 + length * (a1 - 1)) % _ADLER_BASE
    return high << 16 | low
