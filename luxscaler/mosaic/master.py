"""A picture of any size to one file: the way of a master, whatever runs its tiles.

    source ─→ spool ─→ plan ─→ tiles ─ backend ─→ checked, kept ─→ assembled rows ─→ file

A small picture is a master of one tile. What is done is in the job folder (job.py), so that the same call
goes on where a killed one was. This module decides the order and what each part is told; how tiles are cut,
run, kept and put together is the business of the modules that it calls.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import hdr_exporter
from luxscaler import __version__
from luxscaler.backends.base import Backend, Ledger, MasterContext, Tile, TileOutput
from luxscaler.dynamic_range import ToneStatistics
from luxscaler.errors import JobError, StoppedError, TileError
from luxscaler.image import read_header
from luxscaler.mosaic.assembly import Assembler, Expansion
from luxscaler.mosaic.checks import check_output
from luxscaler.mosaic.job import JobFolder, folder_of, restart
from luxscaler.mosaic.memory_job import MemoryJob
from luxscaler.mosaic.observer import Observer
from luxscaler.mosaic.plan import Plan, plan
from luxscaler.mosaic.request import MasterProgress, MasterRequest, MasterResult
from luxscaler.mosaic.scheduler import Scheduler, Work
from luxscaler.mosaic.sinks import Sink, Target, check_target, open_sink, streams
from luxscaler.mosaic.source import digest_of, lay_out, reduced, sample
from luxscaler.mosaic.writer import Writer
from luxscaler.picture import Picture, PictureSource
from luxscaler.reference import WHOLE
from luxscaler.rendering import visible
from luxscaler.spooling import Spool
from luxscaler.tile import export_errors

_FLOAT = 4


@dataclass(frozen=True)
class Master:
    """A master whose tiles can be cut."""

    request: MasterRequest
    plan: Plan
    spool: Spool
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


def upscale_master(
    request: MasterRequest,
    backend: Backend,
    *,
    progress: Callable[[MasterProgress], None] = lambda _progress: None,
    stop: threading.Event | None = None,
) -> MasterResult:
    """Make the master and write it.

    Setting `stop`, or Ctrl-C, ends the work cleanly: StoppedError says what is kept. Raises InputError and
    its kin for what is asked, JobError, BackendError and what the backend raises, ExportError; in each case
    no file appears, and tiles that are done stay in the job folder.
    """
    stop = stop or threading.Event()
    with ExitStack() as stack:
        cuts = _plan(request)
        job = stack.enter_context(_job(request, cuts, backend))
        spool = lay_out(
            request.source,
            job.spool_path,
            job if isinstance(job, JobFolder) else None,
            max_pixels=request.max_pixels,
            limits=request.decode_limits,
        )
        master = _master(request, cuts, spool)
        try:
            run = _Run(master, backend, job, progress, stop)
            result = run.to_file()
        except StoppedError:
            raise StoppedError(_stopped(job)) from None
        if isinstance(job, JobFolder):
            job.remove()
        return result


def _plan(request: MasterRequest) -> Plan:
    """From the header alone, so that what cannot be is said before any work."""
    header = read_header(request.source)
    cuts = plan(header.width, header.height, scale=request.scale, tile=request.tile, overlap=request.overlap)
    check_target(_target(request, cuts, has_alpha=header.has_alpha, source=PictureSource(), peak=1.0))
    return cuts


@contextmanager
def _job(request: MasterRequest, cuts: Plan, backend: Backend) -> Iterator[JobFolder | MemoryJob]:
    """The job folder; memory for one tile on this machine, of which nothing would be left to resume."""
    if request.restart:
        restart(request.target)
    if len(cuts) == 1 and backend.name == "local" and not folder_of(request.target).exists():
        with tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
            yield MemoryJob(Path(folder))
        return
    facts = {
        "picture": digest_of(request.source),
        "scale": repr(request.scale),
        "fractality": repr(request.fractality),
        "model": request.model,
        "tile": str(cuts.tile),
        "overlap": str(cuts.overlap),
        **request.tile_facts,
    }
    job = JobFolder(folder_of(request.target), facts)
    try:
        _check_disk(request, cuts, job)
        yield job
    finally:
        job.close()


def _check_disk(request: MasterRequest, cuts: Plan, job: JobFolder) -> None:
    """Before the work: a disk that is too small for the tiles is no place to begin."""
    pixels = cuts.output_width * cuts.output_height
    needed = cuts.width * cuts.height * 4 * _FLOAT
    needed += int(pixels * cuts.extra) * 4 * _FLOAT + (
        pixels * 4 * _FLOAT if streams(request.output_format) else 0
    )
    used = sum(record.width * record.height * 3 * _FLOAT for record in job.records().values())
    free = shutil.disk_usage(job.folder).free
    if needed - used > free:
        raise JobError(
            f"{str(job.folder)!r} may need {(needed - used) / 1e9:.1f} GB for tiles and result, "
            f"and its disk has {free / 1e9:.1f} GB free"
        )


def _master(request: MasterRequest, cuts: Plan, spool: Spool) -> Master:
    reference = reduced(spool) if len(cuts) > 1 else None
    statistics = ToneStatistics.of(torch.from_numpy(visible(sample(spool)).rgb))
    return Master(request, cuts, spool, reference, statistics)


def _stopped(job: JobFolder | MemoryJob) -> str:
    done = len(job.records())
    if not done or not isinstance(job, JobFolder):
        return "stopped"
    return f"stopped: {done} tiles are kept in {str(job.folder)!r}; the same command goes on from there"


def _target(
    request: MasterRequest, cuts: Plan, *, has_alpha: bool, source: PictureSource, peak: float
) -> Target:
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
    with export_errors():
        hdr_exporter.check_picture(request.output_format, *size, transparent=False)
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


class _Run:
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
        self._attempts: dict[int, int] = {}

    def to_file(self) -> MasterResult:
        master, request = self._master, self._master.request
        observer = Observer(master.plan, has_alpha=master.spool.has_alpha) if request.report else None
        source = self._with_usable_exif(master.spool.source)
        target = _target(
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
        if observer is not None:
            self._write_report(result, observer)
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
            context = MasterContext(request.settings, master.reference, len(master.plan), ledger, self._stop)
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
            hdr_exporter.check_exif(source.exif)
        except hdr_exporter.ExportError as error:
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
            None if observer is None else observer.seams(),
            tuple(self._notices),
        )

    def _write_report(self, result: MasterResult, observer: Observer) -> None:
        raise NotImplementedError
