"""Writes the result's file (output.py): whole, or row by row as strips come.

    Assembler ─ strips ─→ Sink ─→ file

Whichever way, the file appears when it is complete, or not at all.
"""

from contextlib import ExitStack
from typing import Protocol

from luxscaler.io.frame import Coded
from luxscaler.io.write import export, export_coded, open_stream
from luxscaler.picture import FloatArray
from luxscaler.pipeline.output import OutputFile
from luxscaler.tiling.strips import Strip, WholeRows


class Sink(Protocol):
    """Takes rows in order; the file appears with `finish`, or not at all."""

    def write(self, strip: Strip) -> None:
        """The next rows."""

    def finish(self) -> None:
        """Complete the file after the last row; only now it appears. Raises ExportError."""

    def discard(self) -> None:
        """Give up and leave nothing behind."""


def open_sink(output: OutputFile) -> Sink:
    """The sink for that file."""
    return StreamSink(output) if output.streams else WholeSink(output)


def write_whole(
    output: OutputFile, rgb: FloatArray, alpha: FloatArray | None, sdr: FloatArray | None
) -> None:
    """Write a whole result.

    rgb: (H, W, 3) float32 linear light; alpha: (H, W) in [0, 1]; sdr: rgb before its range was expanded, for
    formats that hold both. Raises ExportError, and then no file appears.
    """
    if output.streams:
        sink = StreamSink(output)
        try:
            sink.write(Strip(0, rgb, rgb, alpha))
        except BaseException:
            sink.discard()
            raise
        sink.finish()
        return
    export(
        output.path,
        rgb,
        alpha,
        sdr=sdr,
        **output.file_arguments,
        **output.light_arguments,
    )


def write_coded(output: OutputFile, coded: Coded) -> None:
    """Write a whole result that the device coded (device_coding.py).

    Raises ExportError, and then no file appears.
    """
    export_coded(output.path, coded, **output.file_arguments)


class WholeSink:
    """Collects the rows in memory and encodes them at the end."""

    def __init__(self, output: OutputFile) -> None:
        self._output = output
        self._rows = WholeRows(
            output.height, output.width, has_alpha=output.has_alpha, shows_both=output.shows_both
        )

    def write(self, strip: Strip) -> None:
        """Keep the rows."""
        self._rows.take(strip)

    def finish(self) -> None:
        """Encode them."""
        write_whole(self._output, self._rows.rgb, self._rows.alpha, self._rows.sdr)

    def discard(self) -> None:
        """Nothing was written."""


class StreamSink:
    """Encodes the rows as they come."""

    def __init__(self, output: OutputFile) -> None:
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(
            open_stream(
                output.path,
                output.width,
                output.height,
                has_alpha=output.has_alpha,
                **output.file_arguments,
                **output.light_arguments,
            )
        )

    def write(self, strip: Strip) -> None:
        """Pass the rows to the encoder; the formats of this kind hold one rendering."""
        self._writer.write(strip.rgb, strip.alpha)

    def finish(self) -> None:
        """End the encoder, which makes the file appear."""
        self._stack.close()

    def discard(self) -> None:
        """Leave the encoder's `with` block with an error, so that it removes the incomplete file."""
        self._stack.__exit__(StopIteration, StopIteration(), None)
