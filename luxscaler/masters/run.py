"""One run over one master: its tiles on a backend, its rows into a file, and what is said of both.

What is asked, kept and planned comes from upscale.py; it decides nothing about where the job is kept.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from luxscaler import __version__
from luxscaler.backends.base import Backend, Ledger, MasterContext, Tile, TileOutput
from luxscaler.errors import ExportError, TileError
from luxscaler.geometry import WHOLE
from luxscaler.hdr.expand import SDR_PEAK, ToneStatistics
from luxscaler.io.write import check_exif, check_picture
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.masters.assembly import Assembler, Expansion
from luxscaler.masters.checks import check_output
from luxscaler.masters.job_folder import JobFolder
from luxscaler.masters.job_memory import MemoryJob
from luxscaler.masters.observer import Observer
from luxscaler.masters.plan import Plan
from luxscaler.masters.request import MasterProgress, MasterRequest, MasterResult
from luxscaler.masters.scheduler import Scheduler, Work
from luxscaler.masters.seams import SeamFigure, tile_steps
from luxscaler.masters.sinks import Sink, Target, open_sink
from luxscaler.masters.summary import places, summary
from luxscaler.masters.writer import Writer
from luxscaler.picture import Picture, PictureSource
from luxscaler.report.page import write_report


@dataclass(frozen=True)
class Master:
    """A master whose tiles can be cut."""

    request: MasterRequest
    plan: Plan
    spool: LinearFile
    reference: Picture | None
    statistics: ToneStatistics

    def cut(self, number: int, attempt: int) -> Tile:
        """The tile of that number, with its context."""
        cut = self.plan.cut(number)
        picture = self.spool.region(
            cut.source_rows.start, cut.source_rows.stop, cut.source_columns.start, cut.source_columns.stop
        )
        box = None if self.reference is None else cut.box
        return Tile(number, attempt, picture, box, cut.output_size)


def target_of(
    request: MasterRequest, cuts: Plan, *, has_alpha: bool, source: PictureSource, peak: float
) -> Target:
    """The file that the request asks for. Raises ExportError when its format cannot hold that size."""
    metadata: dict[str, str | float | int] = {
        "model": Path(request.model).name,
        "scale": float(request.scale),
        "hdr_boost": float(request.hdr_boost),
        "fractality": float(request.fractality),
    }
    if len(cuts) > 1:
        metadata |= {"tiles": len(cuts), "overlap": cuts.overlap}
    options = replace(
        request.export,
        sdr_peak=max(peak, 1.0),
        estimated_range=request.expands,
        software=f"LuxScaler {__version__}",
    )
    size = (cuts.output_width, cuts.output_height)
    check_picture(request.output_format, *size, transparent=False)
    return Target(
        request.target,
        *size,
        has_alpha,
        request.output_format,
        options,
        metadata,
        source.resolution_dpi,
        source.exif,
    )


class Run:
    """One run over one master."""

    def __init__(
        self,
        master: Master,
        backend: Backend,
        job: JobFolder | MemoryJob,
        progress: Callable[[MasterProgress], None],
        stop: threading.Event,
    ) -> None:
        self._master = master
        self._backend = backend
        self._job = job
        self._tell = progress
        self._stop = stop
        self._done = job.intact()
        self._kept = len(self._done)
        self._retries = 0
        self._started = time.monotonic()
        self._notices: dict[str, None] = dict.fromkeys(master.spool.source.notices)

    def to_file(self) -> MasterResult:
        """Everything that is left to do; nothing appears unless all of it succeeds."""
        master, request = self._master, self._master.request
        observer = None
        if request.report is not None:
            details = places(master.spool, master.plan)
            observer = Observer(master.plan, has_alpha=master.spool.has_alpha, details=details)
        source = self._with_usable_exif(master.spool.source)
        target = target_of(
            request,
            master.plan,
            has_alpha=master.spool.has_alpha,
            source=source,
            peak=master.statistics.peak,
        )
        sink = open_sink(target)
        try:
            assembler = self._assembler(sink, observer)
            with Writer(assembler, self._done.__contains__, self._stop) as writer:
                self._run_tiles(writer)
            sink.finish()
        except BaseException:
            sink.discard()
            raise
        result = self._result(assembler, observer)
        if observer is not None and request.report is not None:
            page = summary(request, master.plan, master.spool, self._backend, self._job, observer, result)
            write_report(request.report, page)
        return result

    def _assembler(self, sink: Sink, observer: Observer | None) -> Assembler:
        master = self._master
        boost = master.request.hdr_boost if master.request.expands else 1.0
        return Assembler(
            master.plan,
            self._job.tile,
            Expansion(boost, master.statistics, WHOLE),
            sink,
            has_alpha=master.spool.has_alpha,
            watch=(lambda _strip: None) if observer is None else observer.see,
        )

    def _run_tiles(self, writer: Writer) -> None:
        """All tiles that are not done; returns when all rows are written too."""
        master, request = self._master, self._master.request
        waiting = [number for number in range(len(master.plan)) if number not in self._done]
        ledger: Ledger = self._job
        if waiting:
            context = MasterContext(
                request.settings,
                master.reference,
                len(master.plan),
                ledger,
                is_hdr=master.statistics.peak >= SDR_PEAK,
                stop=self._stop,
            )
            try:
                self._backend.start(context)
                self._started = time.monotonic()
                self._tell(self._progress())
                work = Work(
                    master.cut, check_output, lambda tile, out: self._keep(tile, out, writer), self._retried
                )
                Scheduler(
                    self._backend, work, jobs=request.jobs, attempts=request.attempts, stop=self._stop
                ).run(waiting)
            finally:
                self._backend.close()
        writer.finish()

    def _keep(self, tile: Tile, output: TileOutput, writer: Writer) -> None:
        self._job.store(tile.index, output, tile.attempt)
        self._notices.update(dict.fromkeys(output.notices))
        self._done.add(tile.index)
        writer.wake()
        self._tell(self._progress())

    def _retried(self, _number: int, _error: TileError) -> None:
        self._retries += 1

    def _progress(self) -> MasterProgress:
        return MasterProgress(
            len(self._done),
            len(self._master.plan),
            self._kept,
            self._retries,
            time.monotonic() - self._started,
            self._job.spent(),
        )

    def _with_usable_exif(self, source: PictureSource) -> PictureSource:
        """A picture must not be lost for words that stood beside it."""
        if source.exif is None:
            return source
        try:
            check_exif(source.exif)
        except ExportError as error:
            self._notices[f"EXIF is left out: {error}"] = None
            return replace(source, exif=None)
        return source

    def _result(self, assembler: Assembler, observer: Observer | None) -> MasterResult:
        cuts = self._master.plan
        return MasterResult(
            self._master.request.target,
            cuts.output_width,
            cuts.output_height,
            assembler.peak,
            self._progress(),
            cuts.extra,
            self._seams(observer),
            tuple(self._notices),
        )

    def _seams(self, observer: Observer | None) -> SeamFigure | None:
        own = None if observer is None else observer.own_steps()
        return None if own is None else SeamFigure(tile_steps(self._master.plan, self._job.tile), own)
