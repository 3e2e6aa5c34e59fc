"""A process that shows parts of pictures before and after: it keeps the picture and the networks at hand.

    python -m luxscaler.console.local.preview_process FOLDER

One request a line on standard input (JSON), one answer on standard output: a line of JSON, which says how
many bytes follow it. The bytes are pictures, one behind the other, each (height, width, 3) half floats of
straight linear light, little-endian, 1.0 = SDR white. FOLDER gets the decoded picture. The end of standard
input ends the process.

A part is made as a tile of the whole is: with the whole's reference and tones, so that it shows what a run
gives. Around it are a few pixels more, which are cut away again.
"""

import json
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from luxscaler.errors import LuxScalerError
from luxscaler.geometry import NO_WRAP
from luxscaler.options import MAIN_LAYER, LayerChoice
from luxscaler.picture import HALF_MAX

if TYPE_CHECKING:
    from luxscaler.hdr.expand import ToneStatistics
    from luxscaler.isolation.linear_file import LinearFile
    from luxscaler.picture import FloatArray, Picture
    from luxscaler.pipeline.request import UpscaleRequest
    from luxscaler.upscaling.upscaler import Upscaler

DECODED = "decoded"
OVERVIEW_PIXELS = 400 * 400
SIDES = {"cuda": 256, "mps": 192, "cpu": 96}
"""Of a part, in pixels of the source, by device."""
SMALL_NETWORK_TIMES = 2
"""A network of fewer parameters than SMALL_PARAMETERS shows a part with sides longer by this."""
SMALL_PARAMETERS = 2_000_000
_MARGIN = 8
_NO_SOURCE = ("", False, MAIN_LAYER)


@dataclass(frozen=True)
class _Decoded:
    """A picture on disk as linear light, with what is computed of its whole."""

    file: "LinearFile"
    reference: "Picture"
    tones: "ToneStatistics"


@dataclass
class Previews:
    """What one process keeps: the last picture and the last network."""

    folder: Path
    _source: tuple[str, bool, LayerChoice] = _NO_SOURCE
    """Path, whether it is read as SDR, and which layer."""
    _decoded: _Decoded | None = None
    _model: str = ""
    _loaded: "tuple[Upscaler, int] | None" = None
    """The network and the side of its parts, in pixels of the source."""
    _used: set[tuple[str, int, int, float]] = field(default_factory=set)

    def answer(self, task: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """An answer's JSON and bytes. Raises LuxScalerError and OSError."""
        if task["kind"] == "overview":
            return self._overview(task)
        return self._part(task)

    def _overview(self, task: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The whole picture, small. task["reading"]: the inputs layer, part and sdr."""
        from luxscaler.report.previews import reduce_picture  # noqa: PLC0415

        reading = task.get("reading", {})
        choice = LayerChoice(reading.get("layer", ""), reading.get("part"))
        whole = self._picture(task["path"], sdr=reading.get("sdr", False), choice=choice)
        small = reduce_picture(whole.reference, OVERVIEW_PIXELS)
        return {"overview": _size(small)}, _bytes(small.rgb)

    def _part(self, task: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """A square of the source and its result; x, y: where its middle should be, 0 to 1."""
        from luxscaler.pipeline.light import Sources, light_of  # noqa: PLC0415
        from luxscaler.tiling.plan import uncut  # noqa: PLC0415
        from luxscaler.upscaling.render import Place, visible  # noqa: PLC0415
        from luxscaler.upscaling.stopwatch import Stopwatch  # noqa: PLC0415

        request = _request(task)
        whole = self._picture(task["path"], sdr=request.sdr, choice=request.choice)
        request = _without_size(request, whole.file)
        upscaler, side = self._network(task["inputs"]["model"])
        file = whole.file
        rows, columns = _span(task["y"], side, file.height), _span(task["x"], side, file.width)
        wide_rows, wide_columns = _widened(rows, file.height), _widened(columns, file.width)
        picture = file.region(wide_rows.start, wide_rows.stop, wide_columns.start, wide_columns.stop)
        place = Place(_box(wide_rows, wide_columns, file), is_own=True)
        cuts = uncut(picture.width, picture.height, scale=request.scale)
        sources = Sources(
            request=request,
            picture=picture,
            cuts=cuts,
            reference=whole.reference,
            place=place,
            statistics=whole.tones,
        )
        began = time.monotonic()
        light = light_of(sources, upscaler, Stopwatch(upscaler.device), None)
        seconds = time.monotonic() - began
        use = (request.model, picture.width, picture.height, request.scale)
        first = use not in self._used
        self._used.add(use)
        before = visible(file.region(rows.start, rows.stop, columns.start, columns.stop)).rgb
        after = _trimmed(light.rgb, rows, columns, wide_rows, wide_columns)
        told = {
            "before": [before.shape[1], before.shape[0]],
            "after": [after.shape[1], after.shape[0]],
            "box": [columns.start, rows.start, len(columns), len(rows)],
            "seconds": round(seconds, 3),
            "megapixels": picture.width * picture.height / 1e6,
            "first": first,
            "device": upscaler.device.type,
            "peak": float(after.max()),
            "notices": list(light.notices),
        }
        return told, _bytes(before) + _bytes(after)

    def _picture(self, path: str, *, sdr: bool = False, choice: LayerChoice = MAIN_LAYER) -> _Decoded:
        """Decoded once, until another one is asked for."""

        from luxscaler.hdr.expand import ToneStatistics  # noqa: PLC0415
        from luxscaler.isolation.pool import decode_to_file  # noqa: PLC0415
        from luxscaler.pipeline.request import DEFAULT_MAX_MASTER_PIXELS  # noqa: PLC0415
        from luxscaler.tiling.overview import reference_of, tones_of  # noqa: PLC0415
        from luxscaler.upscaling.render import visible  # noqa: PLC0415

        wanted = (path, sdr, choice)
        if wanted != self._source or self._decoded is None:
            self._source, self._decoded = _NO_SOURCE, None
            file = decode_to_file(
                path, self.folder / DECODED, max_pixels=DEFAULT_MAX_MASTER_PIXELS, sdr=sdr, choice=choice
            )
            tones = ToneStatistics.of(tones_of(file))
            self._source, self._decoded = wanted, _Decoded(file, visible(reference_of(file)), tones)
        return self._decoded

    def _network(self, model: str) -> "tuple[Upscaler, int]":
        """Loaded once, until another one is asked for: a job may need the device's memory."""
        from luxscaler.options import UpscalerOptions  # noqa: PLC0415
        from luxscaler.upscaling.upscaler import Upscaler  # noqa: PLC0415
        from luxscaler.weights.catalogue import known_names  # noqa: PLC0415
        from luxscaler.weights.fetch import fetch  # noqa: PLC0415
        from luxscaler.weights.store import load_network  # noqa: PLC0415

        if model != self._model or self._loaded is None:
            self._model, self._loaded = "", None
            if model in known_names():
                fetch([model])
            network = load_network(model).module
            count = sum(each.numel() for each in network.parameters())
            upscaler = Upscaler(network, UpscalerOptions())
            side = SIDES.get(upscaler.device.type, SIDES["cpu"])
            times = SMALL_NETWORK_TIMES if count < SMALL_PARAMETERS else 1
            self._model, self._loaded = model, (upscaler, side * times)
        return self._loaded


def serve(folder: Path, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end; what is wrong with one is its answer."""
    previews = Previews(folder)
    for line in requests:
        try:
            told, data = previews.answer(json.loads(line))
        except (LuxScalerError, OSError) as error:
            told, data = {"error": str(error)}, b""
        answers.write(json.dumps({**told, "bytes": len(data)}).encode() + b"\n" + data)
        answers.flush()


def _request(task: dict[str, Any]) -> "UpscaleRequest":
    from luxscaler.pipeline.inputs import picture_request  # noqa: PLC0415

    request = picture_request(task["path"], **task["inputs"])
    # A float format: others may be coded on the device, and what they show is told by their boost.
    return replace(request, output_format="tiff", hdr_boost=request.boost, wrap=NO_WRAP)


def _without_size(request: "UpscaleRequest", file: "LinearFile") -> "UpscaleRequest":
    """The request at the scale that its size means for the whole picture; a part is shown before it is
    reduced to that size."""
    return replace(request.for_picture(file.width, file.height), size=None, final=None, size_notices=())


def _span(middle: float, side: int, length: int) -> range:
    """`side` places around a middle (0 to 1), within 0 … length."""
    side = min(side, length)
    start = min(max(round(middle * length - side / 2), 0), length - side)
    return range(start, start + side)


def _widened(span: range, length: int) -> range:
    return range(max(span.start - _MARGIN, 0), min(span.stop + _MARGIN, length))


def _box(rows: range, columns: range, file: "LinearFile") -> Any:
    from luxscaler.geometry import TileBox  # noqa: PLC0415

    return TileBox(
        columns.start / file.width,
        rows.start / file.height,
        len(columns) / file.width,
        len(rows) / file.height,
    )


def _trimmed(
    rgb: "FloatArray", rows: range, columns: range, wide_rows: range, wide_columns: range
) -> "FloatArray":
    """Without what was there for its context only."""

    def part(inner: range, outer: range, size: int) -> slice:
        scale = size / len(outer)
        start = round((inner.start - outer.start) * scale)
        return slice(start, start + max(round(len(inner) * scale), 1))

    return rgb[part(rows, wide_rows, rgb.shape[0]), part(columns, wide_columns, rgb.shape[1])]


def _size(picture: "Picture") -> list[int]:
    return [picture.width, picture.height]


def _bytes(rgb: "FloatArray") -> bytes:
    return np.clip(rgb, -HALF_MAX, HALF_MAX).astype("<f2").tobytes()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
