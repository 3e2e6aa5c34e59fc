"""Reduces the rows of a result to a smaller size as they come, in linear light, without ringing.

    strips → across: filtered, least, largest → a few rows kept → down: the same → strips of the smaller size

The filter is the anti-aliased cubic (Keys 1981, a = −0.5) on linear light. A cubic rings beside lights that
are many times brighter than white; so no value leaves the range of the pixels under the middle of the filter.
Colour is weighted by alpha. Where opposite edges meet, the filter sees across them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luxscaler.geometry import Wrap
from luxscaler.picture import FloatArray
from luxscaler.tiling.strips import Strip

_A = -0.5
_REACH = 2.0
"""Half the width of the cubic, in pixels of the smaller picture."""
_LEAST_ALPHA = 1e-6
_BLOCK = 64
"""Rows worked on at once, so that temporaries stay small."""


@dataclass(frozen=True)
class Taps:
    """One axis: which pixels make a pixel of the smaller picture, and how much each counts."""

    index: NDArray[np.int64]
    """(count, taps); below 0 and from the length on, pixels of the other side."""
    weight: FloatArray
    """(count, taps); each row adds up to 1."""
    is_middle: NDArray[np.bool_]
    """(count, taps): where the filter is positive, around its middle."""

    @staticmethod
    def of(length: int, count: int, *, wraps: bool) -> "Taps":
        """The taps that reduce `length` pixels to `count`. wraps: whether the ends of the line meet."""
        ratio = length / count
        wide = max(ratio, 1.0)
        middle = (np.arange(count) + 0.5) * ratio
        first = np.floor(middle - _REACH * wide).astype(np.int64)
        index = first[:, None] + np.arange(int(np.ceil(2 * _REACH * wide)) + 1)
        distance = np.abs(index + 0.5 - middle[:, None]) / wide
        near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
        far = ((distance - 5) * distance + 8) * distance * _A - 4 * _A
        weight = np.where(distance < 1, near, np.where(distance < _REACH, far, 0.0))
        if not wraps:
            outside = (index < 0) | (index >= length)
            weight[outside] = 0.0
            index = index.clip(0, length - 1)
        weight /= weight.sum(1, keepdims=True)
        return Taps(index, weight.astype(np.float32), (distance < 1) & (weight > 0))

    def border(self, length: int) -> int:
        """How many pixels beyond an end of the line, of `length` pixels, the filter reads."""
        return max(0, -int(self.index.min()), int(self.index.max()) + 1 - length)


@dataclass
class _Lines:
    """Rows, (n, width, channels) each: filtered, and the least and largest value that went into a pixel."""

    value: FloatArray
    least: FloatArray
    largest: FloatArray

    def filtered(self, taps: Taps, rows: slice, axis: int, offset: int, length: int | None) -> "_Lines":
        """Filter along an axis, to the pixels `rows` of the smaller picture.

        offset: the number of the first line that is here. length: of an axis whose ends meet, else None.
        """
        shape = [1, 1, 1]
        shape[axis] = -1
        value = least = largest = None
        for tap in range(taps.index.shape[1]):
            at = taps.index[rows, tap] - offset
            if length is not None:
                at %= length
            weight = taps.weight[rows, tap].reshape(shape)
            if not weight.any():
                continue
            part = self.value.take(at, axis) * weight
            value = part if value is None else np.add(value, part, out=value)
            middle = taps.is_middle[rows, tap].reshape(shape)
            if middle.any():
                low = np.where(middle, self.least.take(at, axis), np.float32(np.inf))
                high = np.where(middle, self.largest.take(at, axis), np.float32(-np.inf))
                least = low if least is None else np.minimum(least, low, out=least)
                largest = high if largest is None else np.maximum(largest, high, out=largest)
        assert value is not None and least is not None and largest is not None  # noqa: S101, PT018
        return _Lines(value, least, largest)


class Reduction:
    """Takes the strips of a result from the top, and passes on those of the smaller one."""

    def __init__(
        self,
        size: tuple[int, int],
        smaller: tuple[int, int],
        take: Callable[[Strip], None],
        *,
        wrap: Wrap,
        shows_both: bool,
    ) -> None:
        """size, smaller: (height, width). take: called with every strip of the smaller result, in order.
        wrap: which edges meet. shows_both: whether strips have the light before the expansion too.
        """
        self._size, self._smaller, self._take = size, smaller, take
        self._wrap, self._shows_both = wrap, shows_both
        self._down = Taps.of(size[0], smaller[0], wraps=wrap.y)
        self._across = Taps.of(size[1], smaller[1], wraps=wrap.x)
        self._kept: _Lines | None = None
        self._first = -self.border
        self._next = 0
        self.peak = 0.0
        """Largest linear value so far."""

    @property
    def border(self) -> int:
        """Rows that must come before the first and after the last, where the upper and lower edges meet."""
        return self._down.border(self._size[0]) if self._wrap.y else 0

    def see(self, strip: Strip) -> None:
        """Take the next strip; the rows begin at number -border."""
        for start in range(0, len(strip.rgb), _BLOCK):
            rows = slice(start, start + _BLOCK)
            planes = [strip.rgb[rows]]
            if self._shows_both:
                planes.append(strip.unexpanded[rows])
            if strip.alpha is not None:
                planes.append(strip.alpha[rows, :, None])
            straight = np.concatenate(planes, axis=2)
            value = straight
            if strip.alpha is not None:
                value = np.concatenate((straight[..., :-1] * planes[-1], planes[-1]), axis=2)
            length = self._size[1] if self._wrap.x else None
            lines = _Lines(value, straight, straight).filtered(self._across, slice(None), 1, 0, length)
            self._keep(lines)
            self._hand_on(has_alpha=strip.alpha is not None)

    def _keep(self, lines: _Lines) -> None:
        kept = self._kept
        if kept is not None:
            lines = _Lines(
                *(
                    np.concatenate(pair)
                    for pair in (
                        (kept.value, lines.value),
                        (kept.least, lines.least),
                        (kept.largest, lines.largest),
                    )
                )
            )
        self._kept = lines

    def _hand_on(self, *, has_alpha: bool) -> None:
        """Pass on the rows that need nothing more, and drop the lines that no later row needs."""
        kept = self._kept
        assert kept is not None  # noqa: S101
        last = self._first + len(kept.value)
        ready = int((self._down.index.max(1) < last).sum())  # indices never fall
        if ready <= self._next:
            return
        rows = slice(self._next, ready)
        lines = kept.filtered(self._down, rows, 0, self._first, None)
        self._take(self._strip(lines, has_alpha=has_alpha))
        self._next = ready
        if ready < self._smaller[0]:
            drop = max(0, int(self._down.index[ready:].min()) - self._first)
            self._kept = _Lines(kept.value[drop:], kept.least[drop:], kept.largest[drop:])
            self._first += drop

    def _strip(self, lines: _Lines, *, has_alpha: bool) -> Strip:
        value, alpha = lines.value, None
        if has_alpha:
            alpha = value[..., -1].clip(0.0, 1.0)
            value = value[..., :-1] / np.maximum(alpha, _LEAST_ALPHA)[..., None]
            lines = _Lines(value, lines.least[..., :-1], lines.largest[..., :-1])
        value = np.clip(value, lines.least, lines.largest)
        rgb = np.ascontiguousarray(value[..., :3])
        self.peak = max(self.peak, float(rgb.max()))
        sdr = np.ascontiguousarray(value[..., 3:6]) if self._shows_both else None
        return Strip(self._next, rgb, sdr, alpha)
