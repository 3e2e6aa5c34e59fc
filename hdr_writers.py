"""The four files that hdr_exporter.py writes: one function a format, and the SDR rendering of PNG and WebP.

Each takes a path, which is a temporary one, and a Job, which has been checked. This module is a leaf like
hdr_exporter.py: it knows libraries that encode, and no network, tile or LuxScaler type.
"""

import json
import os
import struct
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import OpenEXR
import tifffile
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.float32]
Metadata = Mapping[str, str | float | int]

WHITE_CD_M2 = 203.0
"""Luminance of the linear value 1.0 (ITU-R BT.2408-7, HDR reference white)."""
KNEE = 0.75
"""Linear value up to which `tone_map` changes nothing. Ours: it keeps diffuse whites (about 0.9) close to
where they were and leaves the sRGB codes 225–255 of 255 to the highlights."""
ESTIMATED_RANGE_COMMENT = "The range above SDR white is estimated from an SDR picture by hdr_boost."

_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x, y of red, green, blue: ITU-R BT.709-6, 1.3
_D65 = (0.3127, 0.3290)
_CLASSIC_TIFF_BYTES = 0xF000_0000  # 3.75 GiB of samples; beyond it 32-bit offsets could overflow
_BAND_PIXELS = 1 << 15  # a band of float64 RGB is 0.75 MiB: it stays in the cache
_THREADS = min(8, os.cpu_count() or 1)  # of the EXR and TIFF encoders
_EXR_POOL = threading.Lock()


@dataclass(frozen=True)
class Job:
    """What a writer gets; all of it checked."""

    rgb: FloatArray
    """(height, width, 3), linear Rec.709, 1.0 = SDR white, unbounded, finite."""
    alpha: FloatArray | None
    """(height, width) in [0, 1]."""
    sdr_peak: float
    """Linear value that PNG and WebP show as SDR white."""
    webp_quality: int
    estimated_range: bool
    software: str
    metadata: Metadata

    def notes(self) -> str:
        """Return metadata and comment as JSON in ASCII: TIFF tags and PNG text hold nothing wider."""
        comment = {"comments": ESTIMATED_RANGE_COMMENT} if self.estimated_range else {}
        return json.dumps({**comment, "luxscaler": dict(self.metadata)})


def write_exr(path: Path, job: Job) -> None:
    """Float32 scan lines, ZIP: the codec every reader knows (DWA and PXR24 would lose bits)."""
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "chromaticities": _PRIMARIES + _D65,
        "whiteLuminance": WHITE_CD_M2,
        "colorInteropID": "lin_rec709_scene",
        "software": job.software,
        **{f"luxscaler:{key}": _exr_value(value) for key, value in job.metadata.items()},
    }
    if job.estimated_range:
        header["comments"] = ESTIMATED_RANGE_COMMENT
    if job.alpha is None:
        channels = {"RGB": np.ascontiguousarray(job.rgb)}  # OpenEXR misreads strided views
    else:
        rgba = _interleave(job.rgb, job.alpha)
        rgba[..., :3] *= job.alpha[..., None]
        channels = {"RGBA": rgba}
    with _EXR_POOL:  # the pool belongs to the process: only ever grown, so no other user is slowed down
        if OpenEXR.global_thread_count() < _THREADS:
            OpenEXR.set_global_thread_count(_THREADS)
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


def _exr_value(value: str | float | int) -> str | float | int:
    """EXR integers have 32 bits, and the binding wraps larger ones silently: they become text."""
    return str(value) if isinstance(value, int) and not -(2**31) <= value < 2**31 else value


def write_tiff(path: Path, job: Job) -> None:
    """Float32 strips, ZIP with the floating-point predictor: what OpenCV and OpenImageIO read bit for bit.

    Level 1 takes half the time of level 6 and 3.6 % more space on a noisy picture.
    """
    samples = job.rgb if job.alpha is None else _interleave(job.rgb, job.alpha)
    tifffile.imwrite(
        path,
        samples,
        bigtiff=samples.nbytes > _CLASSIC_TIFF_BYTES,  # tifffile decides so for uncompressed files only
        photometric="rgb",
        planarconfig="contig",
        extrasamples=None if job.alpha is None else ["unassalpha"],
        compression="zlib",
        compressionargs={"level": 1},
        predictor=3,
        iccprofile=_linear_profile(),
        software=job.software,
        description=job.notes(),
        metadata=None,  # or tifffile writes a description of its own
        maxworkers=_THREADS,
        buffersize=1 << 24,  # bytes of strips in flight
    )


def _linear_profile() -> bytes:
    """Return an ICC profile: Rec.709 primaries, gamma 1. The same picture has to give the same bytes, so the
    time of creation (ICC.1:2022, 7.2: six big-endian uint16 at byte 24) is a fixed one.
    """
    profile = bytes(imagecodecs.cms_profile("rgb", whitepoint=_D65, primaries=_PRIMARIES, gamma=1.0))
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


def _interleave(rgb: FloatArray, alpha: FloatArray) -> FloatArray:
    rgba = np.empty((*alpha.shape, 4), np.float32)
    rgba[..., :3] = rgb
    rgba[..., 3] = alpha
    return rgba


def write_png(path: Path, job: Job) -> None:
    """Write 16-bit sRGB that says so twice: cICP (H.273 code points 1, 13, 0, full range) and sRGB."""
    coded = _encode_sdr(job, np.dtype(np.uint16))
    # Level 1, run lengths, Sub filter: 7 × faster than level 9 and no larger on photographs with grain.
    encoded = memoryview(imagecodecs.png_encode(coded, level=1, strategy=3, filter=16))
    signature_and_header = 8 + 25
    with path.open("wb") as file:
        file.write(encoded[:signature_and_header])
        file.write(_png_chunk(b"cICP", b"\x01\x0d\x00\x01"))
        file.write(_png_chunk(b"sRGB", b"\x00"))  # rendering intent: perceptual
        file.write(_png_chunk(b"tEXt", b"Software\0" + job.software.encode()))
        file.write(_png_chunk(b"tEXt", b"Comment\0" + job.notes().encode()))
        file.write(encoded[signature_and_header:])


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    """Length, type, data, CRC of type and data (PNG third edition, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_webp(path: Path, job: Job) -> None:
    """Write lossy 8-bit sRGB, alpha lossless."""
    exif = Image.Exif()
    exif[0x0131] = job.software  # Software
    exif[0x010E] = job.notes()  # ImageDescription
    image = Image.fromarray(_encode_sdr(job, np.dtype(np.uint8)))
    image.save(path, "WEBP", quality=job.webp_quality, exif=exif)


def _encode_sdr(job: Job, dtype: np.dtype[np.uint8] | np.dtype[np.uint16]) -> NDArray[np.uint8 | np.uint16]:
    """Return (height, width, 3 or 4) sRGB codes, tone-mapped, rounded to nearest; alpha is linear.

    In bands of rows and float64: no temporary as large as the picture, and no code off by rounding.
    """
    top = np.iinfo(dtype).max
    height, width = job.rgb.shape[:2]
    coded = np.empty((height, width, 3 if job.alpha is None else 4), dtype)
    rows = max(1, _BAND_PIXELS // width)
    for start in range(0, height, rows):
        band = slice(start, start + rows)
        linear = tone_map(np.maximum(job.rgb[band], 0, dtype=np.float64), job.sdr_peak)
        coded[band, :, :3] = np.rint(_srgb(linear) * top)
        if job.alpha is not None:
            coded[band, :, 3] = np.rint(np.multiply(job.alpha[band], top, dtype=np.float64))
    return coded


def _srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encode linear [0, 1] as sRGB [0, 1] (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def tone_map(rgb: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Bring linear values up to `peak` into [0, 1] for an SDR display; values above `peak` are clipped to 1.

    rgb: (height, width, 3) float64, linear, ≥ 0; it comes back itself where nothing changes, which is so
    for every picture without values above 1 and a peak ≤ 1.

    The curve is equation 4 of Reinhard, Stark, Shirley and Ferwerda, "Photographic tone reproduction for
    digital images" (2002), applied above KNEE: there it starts with slope 1, and for peak → 1 it becomes
    the identity. It maps max(R, G, B) and scales the three channels alike, so hue and saturation stay.
    """
    level = np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])
    if level.max() <= (KNEE if peak > 1 else 1):
        return rgb
    above = np.maximum(level - KNEE, 0) / (1 - KNEE)
    white = (max(peak, 1.0) - KNEE) / (1 - KNEE)
    mapped = np.minimum(KNEE + (1 - KNEE) * above * (1 + above / white**2) / (1 + above), 1)
    gain = np.divide(mapped, level, out=np.ones_like(level), where=level > KNEE)
    return rgb * gain[..., None]
