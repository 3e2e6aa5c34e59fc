"""Upscales a picture of any size into one file, with its tiles on any backend.

    picture ─→ linear file ─→ plan ─→ tiles ─ backend ─→ checked, kept ─→ assembled rows ─→ file

A picture of one tile on this machine takes a shorter way (pipeline/stages.py), which gives the same bytes.
Otherwise finished tiles lie in the job folder (job.py), so that the same call continues a killed one.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from luxscaler.backends.base import Backend
from luxscaler.backends.choice import CONTAINERS
from luxscaler.backends.local import LocalBackend
from luxscaler.checks import check_callable, check_type
from luxscaler.errors import InputError, JobError, StoppedError
from luxscaler.io.formats import STREAM_FORMATS, check_picture, misnamed
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.isolation.pool import read_header_isolated
from luxscaler.masters.job import Job, folder_of, restart
from luxscaler.masters.options import RunOptions, check_report
from luxscaler.masters.run import Master, Run, RunControl
from luxscaler.masters.source import digest_of, lay_out
from luxscaler.picture import Picture, PictureSource
from luxscaler.pipeline.output import check_output, check_path, output_file, result_size
from luxscaler.pipeline.overscan import with_overscan
from luxscaler.pipeline.pictures import read_mask
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Progress, Result, StageListener, unheard
from luxscaler.pipeline.stages import cuts_of, process, statistics_of
from luxscaler.tiling.overview import is_transparent, reference_of, tones_of
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.wrap import bordered
from luxscaler.weights.catalogue import known_names
from luxscaler.weights.store import digest_of_own
from luxscaler.words import counted

_FLOAT = 4
DEFAULT_RUN = RunOptions()


def upscale_picture(
    request: UpscaleRequest,
    target: Path,
    backend: Backend,
    options: RunOptions = DEFAULT_RUN,
    *,
    planned: Callable[[Plan], None] = lambda _plan: None,
    progress: Callable[[Progress], None] = lambda _progress: None,
    stage: StageListener = unheard,
    stop: threading.Event | None = None,
) -> Result:
    """Upscale the picture and write it at `target`.

    planned: called with the plan before any work; what it raises ends the call. progress: called as tiles are
    done. stage: called with the name of each stage as it begins (pipeline/result.py).

    Setting `stop`, or Ctrl-C, ends the work cleanly: StoppedError says what is kept. Raises InputError and
    its subclasses for a bad request, JobError, BackendError and what the backend raises, ExportError; in each
    case no file appears, and tiles that are done stay in the job folder. What ends the work when only the
    report is missing says that the result is there.
    """
    check_type("stop", stop, threading.Event, type(None))
    check_callable("progress", progress)
    control = RunControl(progress, stage, stop or threading.Event())
    _check_self_reference(request, backend)
    if request.reference is not None:
        _check_tile(backend, options)
    stage("reading")
    check_path(target, *request.files)
    request, cuts = plan_of(request, target, options)
    planned(cuts)
    if options.restart:
        restart(target)
    is_here = isinstance(backend, LocalBackend)
    is_short = is_here and len(cuts) == 1 and not folder_of(target).exists()
    if isinstance(backend, LocalBackend) and (
        request.reference is not None or (is_short and options.report is None)
    ):
        result = _short_way(request, target, backend, control)
    else:
        with _job(request, target, cuts, options, lasts=not is_short) as job:
            result = _run(request, target, backend, options, cuts, job, control)
    return replace(result, notices=(*result.notices, *misnamed(target, request.output_format)))


def _check_self_reference(request: UpscaleRequest, backend: Backend) -> None:
    if request.self_reference:
        return
    if backend.name in CONTAINERS:
        raise InputError(
            f"self_reference is off, and containers (backend {backend.name}) give a tile its own colours: "
            "use the backend local or ray"
        )
    if request.model in known_names():
        raise InputError(
            f"self_reference is off; that is for a checkpoint of your own, and {request.model!r} is none"
        )


def _check_tile(backend: Backend, options: RunOptions) -> None:
    """Raise InputError for a tile of a reference that would run elsewhere, or should get a compare page."""
    if not isinstance(backend, LocalBackend):
        raise InputError("a reference and a tile_box are for one tile on this machine; a master has its own")
    if options.report is not None:
        raise InputError("the compare page is for a whole picture, and this is a tile of its reference")


def plan_of(request: UpscaleRequest, target: Path, options: RunOptions) -> tuple[UpscaleRequest, Plan]:
    """The request for the picture's size and windows, and its plan, both from the header alone.

    Raises InputError, PictureError or ExportError for what cannot be done, before any work.
    """
    read = request.files
    request = with_overscan(request)
    picture = request.source
    header = picture if isinstance(picture, Picture) else read_header_isolated(picture, choice=request.choice)
    request = request.for_picture(header.width, header.height)
    cuts = cuts_of(request, header.width, header.height)
    if options.report is not None:
        check_path(options.report, *read, target)
        check_report(options.report)
    output = output_file(target, request, cuts, has_alpha=header.has_alpha, source=PictureSource(), peak=1.0)
    check_output(output, *read)
    return request, cuts


def _short_way(
    request: UpscaleRequest,
    target: Path,
    backend: LocalBackend,
    control: RunControl,
) -> Result:
    """Upscale a picture of one tile in this process, without a job folder: there is nothing to resume."""

    def advance(done: int, total: int) -> None:
        if control.stop.is_set():
            raise StoppedError("stopped: nothing was written")
        backend.tell(0, done / max(total, 1))

    control.progress(Progress(0, 1))
    result = process(request, backend.upscaler_for, target, advance, control.stage)
    control.progress(result.progress)
    return result


@contextmanager
def _job(
    request: UpscaleRequest, target: Path, cuts: Plan, options: RunOptions, *, lasts: bool
) -> Iterator[Job]:
    """The job of that target. lasts: whether its folder stays after the call, so that a run can go on."""
    facts = {
        "picture": digest_of(request.source),
        "scale": repr(request.scale),
        "fractality": repr(request.fractality),
        "model": request.model,
        "tile": str(cuts.tile),
        "overlap": str(cuts.overlap),
        "self_reference": str(request.self_reference),
        "sdr": str(request.sdr),
        "layer": request.choice.layer,
        "part": str(request.choice.part),
        "wrap": str(request.wrap),
        **({"weights": weights} if (weights := digest_of_own(request.model)) else {}),
        **({"shot_white": repr(request.tones.peak)} if request.tones is not None else {}),
        **options.facts,
    }
    with tempfile.TemporaryDirectory(prefix="luxscaler-") as temporary:
        job = Job(folder_of(target) if lasts else Path(temporary) / "job", facts)
        try:
            _check_disk(request, cuts, job)
            yield job
        except BaseException:
            _leave(job)
            raise
        finally:
            job.close()


def _leave(job: Job) -> None:
    """Close the job after an error; a folder in which nothing was done is removed."""
    with suppress(JobError):  # closed, or damaged: the error that ended the work is the one to tell
        if job.is_empty():
            job.remove()


def _check_disk(request: UpscaleRequest, cuts: Plan, job: Job) -> None:
    """Raise JobError, before the work, where the disk has too little room for the tiles."""
    pixels = cuts.output_width * cuts.output_height
    needed = cuts.width * cuts.height * 4 * _FLOAT
    needed += int(pixels * cuts.extra) * 4 * _FLOAT
    needed += pixels * 4 * _FLOAT if request.output_format in STREAM_FORMATS else 0
    used = sum(record.width * record.height * 3 * _FLOAT for record in job.records().values())
    free = shutil.disk_usage(job.folder).free
    if needed - used > free:
        raise JobError(
            f"{str(job.folder)!r} may need {(needed - used) / 1e9:.1f} GB for tiles and result, "
            f"and its disk has {free / 1e9:.1f} GB free"
        )


def _run(
    request: UpscaleRequest,
    target: Path,
    backend: Backend,
    options: RunOptions,
    cuts: Plan,
    job: Job,
    control: RunControl,
) -> Result:
    mask = read_mask(request)  # before the work: it may be no mask
    limits = request.decode_limits
    picture = lay_out(
        request.source,
        job,
        max_pixels=request.max_pixels,
        limits=None if limits is None else limits.for_pixels(cuts.width * cuts.height),
        sdr=request.sdr,
        choice=request.choice,
    )
    master = replace(_master(request, target, cuts, picture), mask=mask)
    run = Run(master, backend, job, options, control)
    try:
        result = run.to_file()
        job.remove()
    except (StoppedError, KeyboardInterrupt):
        written = f"stopped: {str(target)!r} is written"
        if not run.is_written:
            raise StoppedError(_stopped(job)) from None
        if options.report is None:
            raise StoppedError(written) from None
        kept = f"; its tiles are kept in {str(job.folder)!r}" if job.lasts else ""
        raise StoppedError(f"{written}, its report is not{kept}") from None
    return result


def _master(request: UpscaleRequest, target: Path, cuts: Plan, picture: LinearFile) -> Master:
    check_picture(request.output_format, *result_size(request, cuts), transparent=is_transparent(picture))
    reference = reference_of(bordered(picture, cuts)) if request.self_reference else None
    statistics = request.tones or statistics_of(request, tones_of(picture))
    return Master(request, target, cuts, picture, reference, statistics)


def _stopped(job: Job) -> str:
    done = len(job.records())
    if not done or not job.lasts:
        return "stopped: nothing was written"
    return (
        f"stopped: {counted(done, 'tile')} kept in {str(job.folder)!r}; the same command goes on from there"
    )
