"""The gain map of a file, as decoders find it, and the picture that follows from it.

    base, linear Rec.709 ─→ its own primaries ─ gain, map upsampled bilinearly ─→ linear Rec.709

A map that is damaged costs the HDR picture, not the base: it is read with a notice that says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from luxscaler.color import REC709, Matrix, apply_matrix, rgb_to_rgb
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ColorCoding
from luxscaler.io.decoder import FileInfo
from luxscaler.io.gain_map.metadata import Gain
from luxscaler.io.icc import profile_space, to_linear
from luxscaler.io.linearize import as_stored, strips
from luxscaler.picture import FloatArray

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_MAX_REASON = 200

Codes = NDArray[np.uint8 | np.uint16]
"""(height, width, 1 or 3) codes of a map."""
Decode = Callable[[BinaryIO], tuple[Codes, int]]
"""A file of a picture to its codes, turned upright as the base is to be, and their bits."""


@dataclass(frozen=True)
class GainMap:
    """A gain map that has been found, and not yet decoded."""

    gain: Gain
    width: int
    height: int
    """As stored."""
    decode: Decode
    """Decodes the map, given the stream of the file that it was found in."""
    alternate: ColorCoding | None = None
    """Of the alternate picture, whose primaries some gains apply in; None: it has those of the base."""

    @property
    def pixels(self) -> int:
        """What decoding it allocates."""
        return self.width * self.height

    @property
    def description(self) -> str:
        """For people: form and headroom."""
        hdr = ", the base is the HDR picture" if self.gain.base_is_hdr else ""
        return (
            f"{self.gain.form}, headroom {self.gain.headroom:.2f} stops (× {2**self.gain.headroom:.3g}){hdr}"
        )

    def applies(self, *, sdr: bool) -> bool:
        """Whether the wanted picture, SDR or HDR, is the alternate rather than the base."""
        return self.gain.base_is_hdr == sdr


@dataclass(frozen=True)
class DecodedGainMap:
    """A gain map that is ready to be applied to any rows of its base."""

    gain: Gain
    codes: Codes
    bits: int
    size: tuple[int, int]
    """Height and width of the base as stored; codes are turned as that is."""
    matrix: Matrix | None
    """From the primaries in which the gain applies to Rec.709; None: they are those."""

    def apply(self, rgb: FloatArray, top: int) -> None:
        """Replace rows of the base by those of the alternate: (rows, width, 3) float32, linear Rec.709.

        top: the row of the base that rgb[0] is. A value that is not negative in the base does not become
        negative, in the primaries in which the gain applies.
        """
        inverse = None if self.matrix is None else np.linalg.inv(self.matrix)
        for rows in strips(*rgb.shape[:2]):
            base = rgb[rows]
            if inverse is not None:
                base = apply_matrix(base, inverse)
            with np.errstate(over="ignore", invalid="ignore"):
                made = self.gain.apply(base, self._sampled(top + rows.start, top + rows.stop))
                np.maximum(made, np.minimum(base, 0), out=made)
                if self.matrix is not None:
                    made = apply_matrix(made, self.matrix)
            rgb[rows] = np.nan_to_num(made, copy=False, posinf=_FLOAT32_MAX, neginf=-_FLOAT32_MAX)

    def _sampled(self, start: int, stop: int) -> FloatArray:
        """(rows, width, channels) of the map over the base's rows, bilinear between centres, in [0, 1]."""
        height, width = self.size
        above, below, down = _between(np.arange(start, stop), height, self.codes.shape[0])
        left, right, across = _between(np.arange(width), width, self.codes.shape[1])
        first, last = above[0], below[-1] + 1
        part = self.codes[first:last].astype(np.float32) / np.float32(2**self.bits - 1)
        if len(part) == stop - start and self.codes.shape[:2] == self.size:
            return np.asarray(part, np.float32)
        rows = part[above - first]
        rows += (part[below - first] - rows) * down[:, None, None]
        columns = rows[:, left]
        columns += (rows[:, right] - columns) * across[:, None]
        return np.asarray(columns, np.float32)


def decode(found: GainMap, stream: BinaryIO, base: FileInfo, max_pixels: int) -> DecodedGainMap:
    """Decode a map for the rows of a base. Raises PictureError, or MemoryError."""
    if found.pixels < 1:
        raise PictureError(f"its header says {found.width} × {found.height}")
    if found.pixels > max_pixels:
        raise PictureError(
            f"it has {found.pixels:,} pixels ({found.width} × {found.height}), the limit is {max_pixels:,}"
        )
    try:
        codes, bits = found.decode(stream)
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # Pillow alone raises eight kinds
        raise PictureError(" ".join(str(error).split())[:_MAX_REASON] or type(error).__name__) from error
    if codes.ndim != 3 or codes.shape[2] not in (1, 3) or 0 in codes.shape:
        raise PictureError(f"it has the shape {codes.shape}")
    if codes.shape[0] * codes.shape[1] > found.pixels:
        raise PictureError(f"its header says {found.width} × {found.height}, its data {codes.shape}")
    coding = base.coding if found.gain.in_base_colors or found.alternate is None else found.alternate
    size = (base.height, base.width)
    return DecodedGainMap(found.gain, as_stored(codes, base.orientation), bits, size, _to_rec709(coding))


def applied_notice(found: GainMap) -> str:
    """What reading has decided, for people."""
    made = "SDR" if found.gain.base_is_hdr else "HDR"
    return f"read as the {made} picture that its gain map makes of it ({found.description})"


def unusable_notice(reason: object) -> str:
    """Why a map that is there has no effect."""
    return f"the gain map cannot be used and the picture is read without it: {' '.join(str(reason).split())}"


def _to_rec709(coding: ColorCoding) -> Matrix | None:
    """From the primaries of a coding to Rec.709; of any ICC profile, what its pure colours become."""
    if coding.icc is None:
        return None if coding.primaries == REC709 else rgb_to_rgb(coding.primaries)
    if profile_space(coding.icc) != "rgb":
        return None  # grey, or inks
    matrix = to_linear(np.eye(3, dtype=np.float32)[None], coding.icc)[0].T.astype(np.float64)
    return matrix if abs(np.linalg.det(matrix)) > 1e-6 else None


def _between(
    places: NDArray[np.intp], whole: int, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """For places of `whole` pixels: the neighbours among `count` map pixels, and how near the second is."""
    exact = np.clip((places + 0.5) * (count / whole) - 0.5, 0, count - 1)
    first = exact.astype(np.intp)
    return first, np.minimum(first + 1, count - 1), (exact - first).astype(np.float32)
