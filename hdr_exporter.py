"""Writes a finished picture into a file: float32 linear light → EXR, TIFF, PNG or WebP.

Two kinds of file come out. EXR and TIFF are masters: the linear values bit for bit, range and out-of-gamut
negatives included. PNG (16-bit) and WebP (8-bit) are sRGB pictures of the same scene: what is brighter than
SDR white is rolled off by `tone_map`, what lies outside Rec.709 is clipped at 0.

A file appears whole or not at all: it is written under a temporary name beside its target and renamed.
This module is a leaf. It does not know networks, tiles, inputs or LuxScaler's own types, and it computes
nothing about the range of the picture: it only says in the file what the caller says about it.
"""

import json
import math
import os
import re
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import imagecodecs
import numpy as np
import OpenEXR
import tifffile
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.float32]
Metadata = Mapping[str, str | float | int]

SUFFIXES = {".webp": "webp", ".png": "png", ".tif": "tiff", ".tiff": "tiff", ".exr": "exr"}
"""Formats by the suffix of a path, in lower case."""
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))

WHITE_CD_M2 = 203.0
"""Luminance of the linear value 1.0 (ITU-R BT.2408-7, HDR reference white)."""
KNEE = 0.75
"""Linear value up to which `tone_map` changes nothing. Ours: it keeps diffuse whites (about 0.9) close to
where they were and leaves the sRGB codes 225–255 of 255 to the highlights."""
ESTIMATED_RANGE_COMMENT = "The range above SDR white is estimated from an SDR picture by hdr_boost."

_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x, y of red, green, blue: ITU-R BT.709-6, 1.3
_D65 = (0.3127, 0.3290)
WEBP_MAX_SIDE = 16383  # pixels: 14-bit fields of the VP8 frame header (RFC 6386, 9.1)
_CLASSIC_TIFF_BYTES = 0xF000_0000  # 3.75 GiB of samples; beyond it 32-bit offsets could overflow
_BAND_PIXELS = 1 << 15  # a band of float64 RGB is 0.75 MiB: it stays in the cache
_THREADS = min(8, os.cpu_count() or 1)  # of the EXR and TIFF encoders
_EXR_POOL = threading.Lock()


class ExportError(Exception):
    """The picture cannot be written as asked; the text is one line: what, which value, which limit."""


@dataclass(frozen=True)
class ExportOptions:
    """How to write, and what the file says about its making. Raises ExportError on a bad value."""

    webp_quality: int = 90
    """0 (smallest) to 100."""
    sdr_peak: float | None = None
    """Linear value that PNG and WebP show as SDR white; None: the picture's own maximum. Tiles of one
    picture need a common peak, or their highlights differ from tile to tile. Below 1 counts as 1."""
    estimated_range: bool = False
    """Whether the dynamic range was expanded; the file then carries ESTIMATED_RANGE_COMMENT."""
    software: str = "LuxScaler"
    """Name and version of the writing program, printable ASCII."""

    def __post_init__(self) -> None:
        if not 0 <= self.webp_quality <= 100:
            raise ExportError(f"webp_quality must be 0 to 100, got {self.webp_quality}")
        if self.sdr_peak is not None and not 0 < self.sdr_peak < math.inf:
            raise ExportError(f"sdr_peak must be above 0 and finite, got {self.sdr_peak}")
        if not re.fullmatch(r"[ -~]+", self.software):
            raise ExportError(f"software must be printable ASCII, got {self.software!r}")


@dataclass(frozen=True)
class _Job:
    """What a writer gets: checked arguments, and the largest value of rgb."""

    rgb: FloatArray
    alpha: FloatArray | None
    peak: float
    options: ExportOptions
    metadata: Metadata

    def notes(self) -> str:
        """Return metadata and comment as JSON in ASCII: TIFF tags and PNG text hold nothing wider."""
        comment = {"comments": ESTIMATED_RANGE_COMMENT} if self.options.estimated_range else {}
        return json.dumps({**comment, "luxscaler": dict(self.metadata)})


DEFAULT_OPTIONS = ExportOptions()
_NO_METADATA: Metadata = MappingProxyType({})


def export(
    path: str | os.PathLike[str],
    rgb: FloatArray,
    alpha: FloatArray | None = None,
    *,
    file_format: str | None = None,
    options: ExportOptions = DEFAULT_OPTIONS,
    metadata: Metadata = _NO_METADATA,
) -> None:
    """Write a picture to `path`; a file that was there is replaced once the new one is complete.

    rgb: (height, width, 3) float32, linear Rec.709, D65, 1.0 = SDR white = 203 cd/m², unbounded, finite.
    alpha: (height, width) float32 in [0, 1], or None. The colour is straight; only EXR stores it
        premultiplied, as that format's convention asks. Neither array is changed.
    file_format: one of FORMATS; None takes it from the suffix of `path`.
    metadata: text and numbers about the making, e.g. {"hdr_boost": 1.5}.

    Raises ExportError: a wrong argument, a picture the format cannot hold, a file that cannot be written.
    """
    name = _format_name(Path(path), file_format)
    _check_shape(name, rgb, alpha)
    _check_metadata(metadata)
    if alpha is not None:
        _check_values("alpha", alpha, 0.0, 1.0)
    job = _Job(rgb, alpha, _check_values("rgb", rgb), options, metadata)
    with _replacing(Path(path)) as temporary:
        _WRITERS[name](temporary, job)


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


def _format_name(path: Path, file_format: str | None) -> str:
    name = SUFFIXES.get(path.suffix.lower(), "") if file_format is None else file_format
    if name not in FORMATS:
        asked = f"suffix {path.suffix!r} of {path.name!r}" if file_format is None else repr(file_format)
        raise ExportError(f"unknown output format {asked}; known are {', '.join(FORMATS)}")
    return name


def _check_shape(name: str, rgb: FloatArray, alpha: FloatArray | None) -> None:
    if rgb.dtype != np.float32 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ExportError(f"rgb must be height × width × 3 float32, got {rgb.shape} {rgb.dtype}")
    if alpha is not None and (alpha.dtype != np.float32 or alpha.shape != rgb.shape[:2]):
        raise ExportError(f"alpha must be {rgb.shape[:2]} float32, got {alpha.shape} {alpha.dtype}")
    height, width = rgb.shape[:2]
    if name == "webp" and max(height, width) > WEBP_MAX_SIDE:
        raise ExportError(f"WebP holds at most {WEBP_MAX_SIDE} pixels a side, got {width} × {height}")


def _check_metadata(metadata: Metadata) -> None:
    for key, value in metadata.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", key):
            raise ExportError(f"metadata name must be 1 to 64 of A–Z a–z 0–9 _ . -, got {key!r}")
        # EXR stores numbers as float32: 1e39 would silently become infinity.
        if not isinstance(value, str) and not abs(value) <= float(np.finfo(np.float32).max):
            raise ExportError(f"metadata {key} must be text or a finite float32, got {value!r}")


def _check_values(what: str, values: FloatArray, low: float = -math.inf, high: float = math.inf) -> float:
    """Return the maximum. Minimum and maximum show NaN and infinity without a temporary as large as rgb."""
    smallest, largest = float(values.min()), float(values.max())
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        raise ExportError(f"{what} must be finite, got {bad} NaN or infinite of {values.size} values")
    if smallest < low or largest > high:
        raise ExportError(f"{what} must be {low:g} to {high:g}, got {smallest:g} to {largest:g}")
    return largest


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a new file beside `path` and rename it on success; translate what the encoders raise."""
    name = f".{secrets.token_hex(8)}.partial"
    try:
        target = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
        if target.is_dir():
            raise IsADirectoryError("it is a directory")
        temporary = target.with_name(name)
        temporary.open("xb").close()  # before any work: a folder that is missing or not writable
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: OpenEXR, imagecodecs
        reason = getattr(error, "strerror", None) or str(error).replace(name, path.name)
        raise ExportError(f"cannot write {str(path)!r}: {' '.join(reason.split())}") from error


def _write_exr(path: Path, job: _Job) -> None:
    """Float32 scan lines, ZIP: the codec every reader knows (DWA and PXR24 would lose bits)."""
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "chromaticities": _PRIMARIES + _D65,
        "whiteLuminance": WHITE_CD_M2,
        "colorInteropID": "lin_rec709_scene",
        "software": job.options.software,
        **{f"luxscaler:{key}": _exr_value(value) for key, value in job.metadata.items()},
    }
    if job.options.estimated_range:
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


def _write_tiff(path: Path, job: _Job) -> None:
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
        software=job.options.software,
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


def _write_png(path: Path, job: _Job) -> None:
    """Write 16-bit sRGB that says so twice: cICP (H.273 code points 1, 13, 0, full range) and sRGB."""
    coded = _encode_sdr(job, np.dtype(np.uint16))
    # Level 1, run lengths, Sub filter: 7 × faster than level 9 and no larger on photographs with grain.
    encoded = memoryview(imagecodecs.png_encode(coded, level=1, strategy=3, filter=16))
    signature_and_header = 8 + 25
    with path.open("wb") as file:
        file.write(encoded[:signature_and_header])
        file.write(_png_chunk(b"cICP", b"\x01\x0d\x00\x01"))
        file.write(_png_chunk(b"sRGB", b"\x00"))  # rendering intent: perceptual
        file.write(_png_chunk(b"tEXt", b"Software\0" + job.options.software.encode()))
        file.write(_png_chunk(b"tEXt", b"Comment\0" + job.notes().encode()))
        file.write(encoded[signature_and_header:])


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    """Length, type, data, CRC of type and data (PNG third edition, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _write_webp(path: Path, job: _Job) -> None:
    exif = Image.Exif()
    exif[0x0131] = job.options.software  # Software
    exif[0x010E] = job.notes()  # ImageDescription
    image = Image.fromarray(_encode_sdr(job, np.dtype(np.uint8)))
    image.save(path, "WEBP", quality=job.options.webp_quality, exif=exif)


def _encode_sdr(job: _Job, dtype: np.dtype[np.uint8] | np.dtype[np.uint16]) -> NDArray[np.uint8 | np.uint16]:
    """Return (height, width, 3 or 4) sRGB codes, tone-mapped, rounded to nearest; alpha is linear.

    In bands of rows and float64: no temporary as large as the picture, and no code off by rounding.
    """
    peak = job.peak if job.options.sdr_peak is None else job.options.sdr_peak
    top = np.iinfo(dtype).max
    height, width = job.rgb.shape[:2]
    coded = np.empty((height, width, 3 if job.alpha is None else 4), dtype)
    rows = max(1, _BAND_PIXELS // width)
    for start in range(0, height, rows):
        band = slice(start, start + rows)
        linear = tone_map(np.maximum(job.rgb[band], 0, dtype=np.float64), peak)
        coded[band, :, :3] = np.rint(_srgb(linear) * top)
        if job.alpha is not None:
            coded[band, :, 3] = np.rint(np.multiply(job.alpha[band], top, dtype=np.float64))
    return coded


def _srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encode linear [0, 1] as sRGB [0, 1] (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


_WRITERS: dict[str, Callable[[Path, _Job], None]] = {
    "webp": _write_webp,
    "png": _write_png,
    "tiff": _write_tiff,
    "exr": _write_exr,
}
