"""Where the rows of a master go, from top to bottom: straight to disk, or into memory first.

EXR, TIFF and 16-bit PNG are written as the rows come. The other formats are encoded as a whole, and so are
small pictures: then the rows are collected. What the formats look like is hdr_exporter's business.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from luxscaler.errors import ExportError
from luxscaler.io.options import ExportOptions
from luxscaler.io.write import STREAM_FORMATS, export, open_stream
from luxscaler.picture import FloatArray
from luxscaler.pipeline.request import DEFAULT_MAX_OUTPUT_PIXELS, check_path

WHOLE_PIXELS = 4096 * 4096
"""Results up to this size are collected in memory, 200 MB, whatever the format."""


@dataclass(frozen=True)
class Target:
    """The file to be written."""

    path: Path
    width: int
    height: int
    has_alpha: bool
    file_format: str
    options: ExportOptions
    metadata: Mapping[str, str | float | int]
    resolution_dpi: tuple[float, float] | None = None
    exif: bytes | None = None


class Sink(Protocol):
    """Takes rows in order; the file appears with `finish`, or not at all."""

    def write(self, rgb: FloatArray, alpha: FloatArray | None, sdr: FloatArray) -> None:
        """(n, width, 3) linear light, (n, width) alpha, and the same rows before the range was expanded."""

    def finish(self) -> None:
        """All rows came: the file appears. Raises ExportError."""

    def discard(self) -> None:
        """Leave nothing behind."""


def check_target(target: Target) -> None:
    """ExportError for what could not be written: to be known before the work."""
    check_path(target.path)
    pixels = target.width * target.height
    if not streams(target.file_format) and pixels > DEFAULT_MAX_OUTPUT_PIXELS:
        raise ExportError(
            f"the result would have {pixels:,} pixels ({target.width} × {target.height}), and "
            f"{target.file_format} is encoded in memory, up to {DEFAULT_MAX_OUTPUT_PIXELS:,}: "
            f"choose {', '.join(STREAM_FORMATS)}"
        )


def streams(file_format: str) -> bool:
    """Whether results of that format can be larger than memory."""
    return file_format in STREAM_FORMATS


def open_sink(target: Target) -> Sink:
    """The sink for that file."""
    if streams(target.file_format) and target.width * target.height > WHOLE_PIXELS:
        return StreamSink(target)
    return WholeSink(target)


class WholeSink:
    """Collects the rows in memory and encodes them at the end."""

    def __init__(self, target: Target) -> None:
        self._target = target
        size = (target.height, target.width)
        self._rgb = np.empty((*size, 3), np.float32)
        self._alpha = np.empty(size, np.float32) if target.has_alpha else None
        self._sdr = np.empty_like(self._rgb) if target.file_format == "jpg" else None
        self._row = 0

    def write(self, rgb: FloatArray, alpha: FloatArray | None, sdr: FloatArray) -> None:
        """As Sink.write."""
        rows = slice(self._row, self._row + rgb.shape[0])
        self._row = rows.stop
        self._rgb[rows] = rgb
        if self._alpha is not None and alpha is not None:
            self._alpha[rows] = alpha
        if self._sdr is not None:
            self._sdr[rows] = sdr

    def finish(self) -> None:
        """As Sink.finish."""
        target = self._target
        export(
            target.path,
            self._rgb,
            self._alpha,
            file_format=target.file_format,
            options=target.options,
            metadata=target.metadata,
            resolution_dpi=target.resolution_dpi,
            exif=target.exif,
            sdr=self._sdr,
        )

    def discard(self) -> None:
        """As Sink.discard."""


class StreamSink:
    """Encodes the rows as they come."""

    def __init__(self, target: Target) -> None:
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(
            open_stream(
                target.path,
                target.width,
                target.height,
                has_alpha=target.has_alpha,
                file_format=target.file_format,
                options=target.options,
                metadata=target.metadata,
                resolution_dpi=target.resolution_dpi,
                exif=target.exif,
            )
        )

    def write(self, rgb: FloatArray, alpha: FloatArray | None, sdr: FloatArray) -> None:  # noqa: ARG002
        """As Sink.write."""
        self._writer.write(rgb, alpha)

    def finish(self) -> None:
        """As Sink.finish."""
        self._stack.close()

    def discard(self) -> None:
        """As Sink.discard."""
        # Leaving the block with an error is what tells the writer that the file is not complete.
        self._stack.__exit__(StopIteration, StopIteration(), None)
