"""What a gain map means: from its coded values to the factor between the base and the alternate picture.

A file with a gain map holds two pictures of one scene, one for SDR and one for HDR displays: the base is
stored, the alternate follows from it and the map (ISO 21496-1:2025, clause 5):

    log2 gain = minimum + (maximum - minimum) · map^(1/gamma)
    alternate = (base + base_offset) · 2^(±log2 gain) - alternate_offset

with + where the alternate is the HDR picture and - where the base is. Apple's maps from before ISO 21496-1
follow another rule, hdr = sdr · (1 + (headroom - 1) · map).
"""

import math
import struct
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.picture import FloatArray
from luxscaler.words import counted

Triple = tuple[float, float, float]
"""One value for each of R, G and B."""

_MOST_STOPS = 64.0
"""More than any light has; float32 ends at 128."""
_MULTICHANNEL, _BASE_COLORS, _BACKWARD, _COMMON_DENOMINATOR = 0x80, 0x40, 0x04, 0x08
"""Flags of the binary form; the last two are of drafts of the standard, which libultrahdr writes still."""
# ITU-R BT.709-6, item 1.2: the coding of Apple's maps.
_REC709_SLOPE, _REC709_CODED_END, _REC709_OFFSET, _REC709_POWER = 4.5, 0.081, 0.099, 0.45


class Gain(Protocol):
    """How map values become factors, and between which pictures."""

    @property
    def form(self) -> str:
        """Where the metadata comes from, for people."""

    @property
    def headroom(self) -> float:
        """log2 of the HDR picture's peak over SDR white, as the file says it."""

    @property
    def base_is_hdr(self) -> bool:
        """Whether the stored picture is the HDR one."""

    @property
    def in_base_colors(self) -> bool:
        """Whether the gain applies in the base's primaries rather than in the alternate's."""

    def apply(self, base: FloatArray, coded: FloatArray) -> FloatArray:
        """The alternate of (..., 3) float32 linear light; coded: (..., 1 or 3) map values in [0, 1]."""


@dataclass(frozen=True)
class LogGain:
    """ISO 21496-1 and the Adobe form that it grew from. Raises PictureError for values without a meaning."""

    form: str
    minimum: Triple
    """log2 of the gain where the map is 0."""
    maximum: Triple
    gamma: Triple
    base_offset: Triple
    alternate_offset: Triple
    base_headroom: float
    """log2 of the base's peak over SDR white; 0 for an SDR picture."""
    alternate_headroom: float
    in_base_colors: bool = True

    def __post_init__(self) -> None:
        stops = (*self.minimum, *self.maximum, self.base_headroom, self.alternate_headroom)
        offsets = (*self.base_offset, *self.alternate_offset)
        if not all(abs(value) <= _MOST_STOPS for value in (*stops, *offsets)):  # also catches NaN
            raise PictureError(f"its metadata has values that are no numbers from -64 to 64: {stops}")
        if not all(1e-3 <= value <= 1e3 for value in self.gamma):
            raise PictureError(f"its metadata has gamma {self.gamma}, which must be above 0")
        if any(low > high for low, high in zip(self.minimum, self.maximum, strict=True)):
            raise PictureError(f"its metadata has a minimum over its maximum: {self.minimum}, {self.maximum}")
        if self.base_headroom == self.alternate_headroom:
            raise PictureError(f"its metadata gives both pictures the headroom {self.base_headroom:g}")

    @property
    def headroom(self) -> float:
        """log2 of the HDR picture's peak over SDR white."""
        return max(self.base_headroom, self.alternate_headroom)

    @property
    def base_is_hdr(self) -> bool:
        """Whether the stored picture is the one with more headroom."""
        return self.base_headroom > self.alternate_headroom

    def apply(self, base: FloatArray, coded: FloatArray) -> FloatArray:
        """The alternate picture in full, (..., 3) float32."""
        low, high, gamma = _floats(self.minimum), _floats(self.maximum), _floats(self.gamma)
        shaped = coded if self.gamma == (1.0, 1.0, 1.0) else coded ** (1 / gamma)
        stops = shaped * (high - low) + low
        factor = np.exp2(-stops if self.base_is_hdr else stops)
        made = base + _floats(self.base_offset)
        made *= factor
        made -= _floats(self.alternate_offset)
        if self.base_is_hdr:  # the map rounds; an SDR picture ends at white all the same
            np.minimum(made, np.float32(2**self.alternate_headroom), out=made)
        return made


@dataclass(frozen=True)
class AppleGain:
    """Apple's form from 2020: "Applying Apple HDR effect to your photos". Raises PictureError."""

    headroom_factor: float
    """The HDR picture's peak over SDR white."""
    form: str = "Apple"
    base_is_hdr: bool = False
    in_base_colors: bool = True

    def __post_init__(self) -> None:
        if not 1.0 <= self.headroom_factor <= 2.0**_MOST_STOPS:
            raise PictureError(f"its headroom is {self.headroom_factor:g}, which must be at least 1")

    @property
    def headroom(self) -> float:
        """log2 of the HDR picture's peak over SDR white."""
        return math.log2(self.headroom_factor)

    def apply(self, base: FloatArray, coded: FloatArray) -> FloatArray:
        """The HDR picture, (..., 3) float32."""
        power = ((coded + _REC709_OFFSET) / (1 + _REC709_OFFSET)) ** (1 / _REC709_POWER)
        light = np.where(coded < _REC709_CODED_END, coded / _REC709_SLOPE, power)
        return np.asarray(base * (1 + (self.headroom_factor - 1) * light), np.float32)


def _floats(values: Triple) -> FloatArray:
    """One number where all three are equal: a map of one channel then costs a third."""
    return np.array(values[:1] if len(set(values)) == 1 else values, np.float32)


def apple_headroom(maker33: float, maker48: float) -> float:
    """The headroom, as a factor, of the two numbers in Apple's maker's notes, by Apple's formula."""
    if maker33 < 1.0:
        stops = -20.0 * maker48 + 1.8 if maker48 <= 0.01 else -0.101 * maker48 + 1.601
    else:
        stops = -70.0 * maker48 + 3.0 if maker48 <= 0.01 else -0.303 * maker48 + 2.303
    return float(2.0 ** min(max(stops, 0.0), _MOST_STOPS + 1))


def read_iso(data: bytes) -> LogGain:
    """Metadata in the binary form of ISO 21496-1:2025, annex C.2. Raises PictureError."""
    try:
        (least_version, _, flags) = struct.unpack_from(">2HB", data)
        if least_version > 0:
            raise PictureError(
                f"its metadata needs version {least_version} of ISO 21496-1, version 0 is known"
            )
        numbers = _fractions(data[5:], flags)
    except struct.error as error:
        raise PictureError(f"its metadata is cut off after {counted(len(data), 'byte')}") from error
    base, alternate = numbers[:2]
    # Minimum, maximum, gamma, offset of the base, offset of the alternate; of one channel or of three.
    channels = [numbers[start : start + 5] for start in range(2, len(numbers), 5)]
    if len(channels) == 1:
        channels *= 3
    low, high, gamma, before, after = ((r, g, b) for r, g, b in zip(*channels, strict=True))
    if flags & _BACKWARD and base < alternate:
        base, alternate = alternate, base
    return LogGain(
        "ISO 21496-1", low, high, gamma, before, after, base, alternate, bool(flags & _BASE_COLORS)
    )


def _fractions(data: bytes, flags: int) -> list[float]:
    """The numbers behind the flags: unsigned headrooms, then per channel signed ones, but for gamma."""
    signs = "II" + ("iiIii" * 3 if flags & _MULTICHANNEL else "iiIii")
    if flags & _COMMON_DENOMINATOR:
        (below,) = struct.unpack_from(">I", data)
        pairs = [(above, below) for above in struct.unpack_from(f">{signs}", data, 4)]
    else:
        flat = struct.unpack_from(">" + "".join(f"{sign}I" for sign in signs), data)
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
    if any(below == 0 for _, below in pairs):
        raise PictureError("its metadata has a fraction with denominator 0")
    return [above / below for above, below in pairs]
