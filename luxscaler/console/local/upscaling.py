"""One picture upscaled by a process of its own, with its progress as lines of a log.

    python -m luxscaler.console.local.upscaling SOURCE TARGET REPORT INPUTS

INPUTS is a file of JSON: the inputs of the job, as commands.py has checked their names and types. The pixels
are those of `luxscaler upscale`. SIGTERM ends the work, tiles that are done stay beside TARGET, and the same
call goes on with them. A log line ` 40%|        | 40/100 [8 s left]` counts hundredths of the picture; an
error is one line and status 1.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luxscaler.errors import LuxScalerError, StoppedError

if TYPE_CHECKING:
    from luxscaler.pipeline.result import Progress, Result

_EVERY_SECONDS = 0.5
_STOPPED = 130


@dataclass
class Meter:
    """Prints how far the picture is, at most twice a second; never less than it said before."""

    began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _shares: dict[int, float] = field(default_factory=dict)
    _done: int = 0
    _total: int = 1
    _first: tuple[float, float] | None = None
    """(time, share) when the first share was told: loading the network is before it."""
    _said: tuple[float, int] = (float("-inf"), -1)

    def within(self, number: int, share: float) -> None:
        """A tile's share that is done."""
        with self._lock:
            self._shares[number] = share if share < 1.0 else 0.0
            self._say()

    def advance(self, progress: "Progress") -> None:
        """A tile is done."""
        with self._lock:
            self._done, self._total = progress.done, progress.total
            self._say()

    def _say(self) -> None:
        now = time.monotonic()
        share = min((self._done + sum(self._shares.values())) / self._total, 1.0)
        self._first = self._first or (now, share)
        percent = max(int(100 * share), self._said[1])
        if percent == self._said[1] or (now - self._said[0] < _EVERY_SECONDS and percent < 100):
            return
        began, first = self._first
        left = f" [{(1 - share) * (now - began) / (share - first):.0f} s left]" if share > first else ""
        print(f"{percent:3d}%|{' ' * 8}| {percent}/100{left}", flush=True)
        self._said = now, percent


def main(source: Path, target: Path, report: Path, inputs: dict[str, Any]) -> int:
    """Upscale; the status of this process."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("stage: loading the network", flush=True)
    try:
        result = _upscale(source, target, report, inputs, stop)
    except StoppedError as error:
        print(error, flush=True)
        return _STOPPED
    except LuxScalerError as error:
        print(f"error: {error}", flush=True)
        return 1
    for notice in result.notices:
        print(f"note: {notice}")
    print(f"{target.name}: {result.width} × {result.height}, peak {result.peak:.3g}", flush=True)
    return 0


def _upscale(
    source: Path, target: Path, report: Path, inputs: dict[str, Any], stop: threading.Event
) -> "Result":
    from luxscaler.backends.choice import BackendOptions, make_backend  # noqa: PLC0415 - loads PyTorch
    from luxscaler.masters.options import RunOptions  # noqa: PLC0415
    from luxscaler.masters.upscale import upscale_picture  # noqa: PLC0415
    from luxscaler.pipeline.inputs import picture_request  # noqa: PLC0415
    from luxscaler.pipeline.request import DEFAULT_MAX_MASTER_PIXELS  # noqa: PLC0415
    from luxscaler.weights.catalogue import known_names  # noqa: PLC0415
    from luxscaler.weights.fetch import fetch  # noqa: PLC0415

    cog, title = (str(inputs.pop(name, "")) for name in ("cog", "title"))
    request = replace(picture_request(source, **inputs), max_pixels=DEFAULT_MAX_MASTER_PIXELS)
    if not cog and request.model in known_names():
        fetch([request.model])
    where = BackendOptions("cog", cog_urls=(cog,)) if cog else BackendOptions("local")
    meter = Meter()
    backend = make_backend(where, meter.within)
    print("stage: upscaling", flush=True)
    options = RunOptions(report=report, title=title, facts=where.tile_facts)
    return upscale_picture(request, target, backend, options, progress=meter.advance, stop=stop)


if __name__ == "__main__":
    source, target, report, given = map(Path, sys.argv[1:5])
    status = main(source, target, report, json.loads(given.read_text(encoding="utf-8")))
    sys.stdout.flush()
    os._exit(status)  # threads of a network that is still at work would hold the process
