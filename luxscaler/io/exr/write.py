"""OpenEXR: the master, linear and premultiplied as that format's convention asks."""

import threading
from pathlib import Path

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from luxscaler.io.exif.describe import owner_and_date
from luxscaler.io.exr.codec import codec
from luxscaler.io.exr.from_exif import exif_attributes
from luxscaler.io.exr.header import LIGHT_APART, OWN_PREFIX
from luxscaler.io.exr.standard import comments, placeholder, put_in_place
from luxscaler.io.float_rounding import round_mantissa, to_half
from luxscaler.io.frame import ESTIMATED_RANGE_COMMENT, THREADS, Frame
from luxscaler.picture import REFERENCE_WHITE_CD_M2

_COMPRESSIONS = {
    "zip": OpenEXR.ZIP_COMPRESSION,
    "zips": OpenEXR.ZIPS_COMPRESSION,
    "piz": OpenEXR.PIZ_COMPRESSION,
    "pxr24": OpenEXR.PXR24_COMPRESSION,
    "dwaa": OpenEXR.DWAA_COMPRESSION,
    "dwab": OpenEXR.DWAB_COMPRESSION,
    "rle": OpenEXR.RLE_COMPRESSION,
    "none": OpenEXR.NO_COMPRESSION,
}
_POOL = threading.Lock()


def write_exr(path: Path, frame: Frame) -> None:
    """Write scan lines or tiles of float32 or half floats: R, G, B or Y, and A where there is alpha.

    Raises OSError, RuntimeError and ValueError, as OpenEXR does; io/write.py translates them.
    """
    options = frame.options
    stored = stored_samples(frame)
    header: dict[str, object] = {
        "compression": _COMPRESSIONS[codec(options, stored)],
        "type": OpenEXR.tiledimage if options.exr_tile else OpenEXR.scanlineimage,
        **attributes(frame),
        **placeholder(frame.exr_attributes),
    }
    if options.exr_tile:
        header["tiles"] = tiles = OpenEXR.TileDescription()
        tiles.xSize = tiles.ySize = options.exr_tile
    if options.exr_windows is not None:
        (left, top), display = options.exr_windows.origin, options.exr_windows.display
        height, width = stored.shape[:2]
        header["dataWindow"] = _window(left, top, left + width - 1, top + height - 1)
        header["displayWindow"] = _window(*display)
    with _POOL:  # the pool belongs to the process: only ever grown, so no other user is slowed down
        if OpenEXR.global_thread_count() < THREADS:
            OpenEXR.set_global_thread_count(THREADS)
    with OpenEXR.File(header, _channels(stored)) as file:
        file.write(str(path))
    put_in_place(path, frame.exr_attributes)


def channel_names(channels: int) -> tuple[str, ...]:
    """The names of that many channels: grey is luminance."""
    return {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}[channels]


def _channels(stored: NDArray[np.float32 | np.float16]) -> dict[str, NDArray[np.float32 | np.float16]]:
    """As the binding takes them: R, G, B and A together, others plane by plane and contiguous."""
    names = channel_names(stored.shape[2])
    if len(names) > 2:
        return {"".join(names): stored}
    return {name: np.ascontiguousarray(stored[..., index]) for index, name in enumerate(names)}


def attributes(frame: Frame) -> dict[str, str | float | int | tuple[float, ...]]:
    """Return what the file says beside its pixels and their layout: attributes by their names."""
    found: dict[str, str | float | int | tuple[float, ...]] = {
        "chromaticities": frame.profile.primaries.chromaticities,
        "whiteLuminance": REFERENCE_WHITE_CD_M2,
        **({"colorInteropID": frame.profile.interop_id} if frame.profile.interop_id else {}),
        "software": frame.options.software,
        **{f"{OWN_PREFIX}{key}": _exr_value(value) for key, value in frame.metadata.items()},
    }
    if frame.is_associated:
        found[LIGHT_APART] = 1
    estimate = ESTIMATED_RANGE_COMMENT if frame.options.estimated_range else ""
    if text := comments(frame.exr_attributes, estimate):
        found["comments"] = text
    if frame.resolution_dpi:
        found["xDensity"] = float(frame.resolution_dpi[0])
    if frame.pixel_aspect != 1:
        found["pixelAspectRatio"] = float(frame.pixel_aspect)
    owner, taken = owner_and_date(frame)
    inherited = {name for name, _, _ in frame.exr_attributes}
    said = {name: value for name, value in exif_attributes(frame.exif).items() if name not in inherited}
    return found | said | {key: text for key, text in (("owner", owner), ("capDate", taken)) if text}


def stored_samples(frame: Frame) -> NDArray[np.float32 | np.float16]:
    """Return (height, width, 1 to 4), premultiplied, rounded as asked, contiguous: OpenEXR misreads views."""
    if frame.coded is not None:
        return frame.coded.astype(np.float16, copy=False)
    samples = frame.samples()
    if frame.alpha is not None and not frame.is_associated:
        samples[..., :-1] *= frame.alpha[..., None]
    if frame.options.exr_type == "half":
        return to_half(samples)
    return round_mantissa(samples, frame.options.mantissa_bits)


def _window(*sides: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Left, top, right and bottom as OpenEXR takes them."""
    return np.array(sides[:2], np.int32), np.array(sides[2:], np.int32)


def _exr_value(value: str | float | int) -> str | float | int:
    """EXR integers have 32 bits, and the binding wraps larger ones silently: they become text."""
    return str(value) if isinstance(value, int) and not -(2**31) <= value < 2**31 else value
