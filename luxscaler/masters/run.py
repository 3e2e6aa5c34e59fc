"""One run over one master: its tiles on a backend, its rows into a file, and the figures of both."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from luxscaler.backends.base import Backend, DeviceOutput, Ledger, MasterContext, Output, Tile
from luxscaler.errors import ExportError, TileError
from luxscaler.hdr.expand import SDR_PEAK, ToneStatistics
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.masters.checks import check_tile
from luxscaler.masters.held import HeldTiles, is_cheap, usual_budget
from luxscaler.masters.job import Job
from luxscaler.masters.observer import Observer
from luxscaler.masters.options import RunOptions
from luxscaler.masters.scheduler import Scheduler, Work
from luxscaler.masters.seams import tile_steps
from luxscaler.masters.summary import places, summary
from luxscaler.masters.writer import Writer
from luxscaler.picture import Picture
from luxscaler.pipeline.carried import carried
from luxscaler.pipeline.output import clipped_light, output_file, reduction_of, result_size
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Progress, Result, SeamFigure, StageListener
from luxscaler.pipeline.sinks import Sink, open_sink
from luxscaler.report.page import write_report
from luxscaler.tiling.assembly import Assembler
from luxscaler.tiling.expansion import Expansion
from luxscaler.tiling.overview import part_of
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.reduction import Reduction
from luxscaler.tiling.strips import HostTile, Strip
from luxscaler.tiling.wrap import bordered


@dataclass(frozen=True)
class Master:
    """A master whose tiles can be cut."""

    request: UpscaleRequest
    target: Path
    plan: Plan
    picture: LinearFile
    reference: Picture | None
    statistics: ToneStatistics
    mask: Tensor | None = None
    """As in tiling.expansion.Expansion."""

    def cut(self, number: int, attempt: int) -> Tile:
        """The tile of that number with its context. attempt: which try, from 1."""
        cut = self.plan.cut(number)
        part = part_of(bordered(self.picture, self.plan), cut)
        box = None if self.reference is None else cut.box
        return Tile(number, attempt, part, box, cut.output_size)


@dataclass(frozen=True)
class RunControl:
    """What a caller is told of a run, and how it stops one."""

    progress: Callable[[Progress], None]
    """Called as tiles are done."""
    stage: StageListener
    """Called with the name of each stage as it begins."""
    stop: threading.Event
    """Ends the work once it is set."""


_ROOM_SECONDS = 0.1
"""How often a tile that waits for room looks whether rows are still being written."""


def _is_shown(picture: LinearFile) -> bool:
    """Whether reports show the picture's alpha; light that alpha does not cover is shown over black."""
    return picture.has_alpha and not picture.source.has_light_apart


class Run:
    """One run over one master."""

    def __init__(
        self,
        master: Master,
        backend: Backend,
        job: Job,
        options: RunOptions,
        control: RunControl,
    ) -> None:
        self._master = master
        self._backend = backend
        self._job = job
        self._options = options
        self._control = control
        # The report compares tiles when all are done: then none may be let go before.
        self._held = HeldTiles(0 if options.report is not None else usual_budget())
        self._done = job.intact()
        self._kept = len(self._done)
        self._retries = 0
        self._started = time.monotonic()
        self._notices: dict[str, None] = dict.fromkeys(
            (*master.request.notices, *master.picture.source.notices, *master.request.size_notices)
        )
        self._reduction: Reduction | None = None
        self.is_written = False
        """Whether the result is at its place."""

    def to_file(self) -> Result:
        """Do everything that is left to do. The file appears only if all but the report succeeds.

        Raises ExportError, among others: if the report alone cannot be written, it says that the result is.
        """
        master, request = self._master, self._master.request
        observer = None
        if self._options.report is not None:
            details = places(master.picture, master.plan)
            observer = Observer(master.plan, has_alpha=_is_shown(master.picture), details=details)
        source, dropped = carried(master.picture.source, request.output_format)
        self._notices |= dict.fromkeys(dropped)
        output = output_file(
            master.target,
            request,
            master.plan,
            has_alpha=master.picture.has_alpha,
            source=source,
            peak=master.statistics.peak,
        )
        sink = open_sink(output)
        try:
            assembler = self._assembler(sink, observer)
            with Writer(assembler, self._done.__contains__, self._control.stop) as writer:
                self._run_tiles(writer)
            sink.finish()
            self.is_written = True
        except BaseException:
            sink.discard()
            raise
        result = self._result(assembler, observer)
        if observer is not None and self._options.report is not None:
            self._control.stage("reporting")
            page = summary(request, master.plan, master.picture, self._backend, self._job, observer, result)
            try:
                write_report(self._options.report, replace(page, title=self._options.title or page.title))
            except ExportError as error:
                raise ExportError(f"{str(master.target)!r} is written, its report is not: {error}") from error
        return result

    def _assembler(self, sink: Sink, observer: Observer | None) -> Assembler:
        master, write = self._master, sink.write
        self._reduction = reduction_of(master.request, master.plan, sink.write)
        if self._reduction is not None:
            write = self._reduction.see

        def take(strip: Strip) -> None:
            write(strip)
            inside = strip.within(master.plan.output_height)
            if observer is not None and inside is not None:
                observer.see(inside)
            self._held.release(lambda number: not assembler.needs(number))

        assembler = Assembler(
            master.plan,
            lambda number: self._held.get(number) or HostTile(self._job.tile(number)),
            Expansion(master.request.boost, master.statistics, mask=master.mask),
            take,
            has_alpha=master.picture.has_alpha,
            border=0 if self._reduction is None else self._reduction.border,
            shows_both=observer is not None or master.request.shows_both,
            device=torch.device(self._backend.device),
        )
        return assembler

    def _run_tiles(self, writer: Writer) -> None:
        """Run the tiles that are not done; returns when all rows are written."""
        master, request = self._master, self._master.request
        waiting = [number for number in master.plan.order if number not in self._done]
        ledger: Ledger = self._job
        if waiting:
            context = MasterContext(
                request.settings,
                master.reference,
                len(master.plan),
                ledger,
                is_hdr=master.statistics.peak >= SDR_PEAK,
                stop=self._control.stop,
            )
            self._control.stage("loading")
            with self._backend.open(context) as session:
                self._control.stage("upscaling")
                self._started = time.monotonic()
                self._control.progress(self._progress())
                work = Work(
                    master.cut, check_tile, lambda tile, out: self._keep(tile, out, writer), self._retried
                )
                Scheduler(
                    session,
                    work,
                    name=self._backend.name,
                    jobs=self._options.jobs,
                    attempts=self._options.attempts,
                    stop=self._control.stop,
                ).run(waiting)
        self._control.stage("writing")
        writer.finish()

    def _keep(self, tile: Tile, output: Output, writer: Writer) -> None:
        is_held = self._held.take(tile.index, output)
        may_come = is_cheap(output)
        while not is_held and may_come and not self._control.stop.is_set():
            # Rows are slower than tiles: it waits for them in any case, and to write it would slow them. Rows
            # that end between two looks have made room, so the last attempt comes after the last look.
            if may_come := writer.is_behind:
                self._held.wait(_ROOM_SECONDS)
            is_held = self._held.take(tile.index, output)
        if isinstance(output, DeviceOutput) and not is_held:  # no room there
            output = output.on_host()
            is_held = self._held.take(tile.index, output)
        if not (is_held and is_cheap(output)):
            self._job.store(tile.index, output.on_host(), tile.attempt)
        self._notices.update(dict.fromkeys(output.notices))
        self._done.add(tile.index)
        writer.wake()
        self._control.progress(self._progress())

    def _retried(self, _number: int, _error: TileError) -> None:
        self._retries += 1

    def _progress(self) -> Progress:
        return Progress(
            len(self._done),
            len(self._master.plan),
            self._kept,
            self._retries,
            time.monotonic() - self._started,
            self._job.spent(),
        )

    def _result(self, assembler: Assembler, observer: Observer | None) -> Result:
        cuts = self._master.plan
        width, height = result_size(self._master.request, cuts)
        peak = assembler.peak if self._reduction is None else self._reduction.peak
        return Result(
            path=self._master.target,
            width=width,
            height=height,
            peak=peak,
            notices=(
                *self._notices,
                *clipped_light(self._master.request.output_format, self._master.request.export, peak),
            ),
            progress=self._progress(),
            extra=cuts.extra,
            seams=self._seams(observer),
        )

    def _seams(self, observer: Observer | None) -> SeamFigure | None:
        own = None if observer is None else observer.own_steps()
        return None if own is None else SeamFigure(tile_steps(self._master.plan, self._job.tile), own)
