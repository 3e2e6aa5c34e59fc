"""A picture of any size to one file: the way of a master, whatever runs its tiles.

    source ─→ spool ─→ plan ─→ tiles ─ backend ─→ checked, kept ─→ assembled rows ─→ file

A small picture is a master of one tile. What is done is in the job folder (job_folder.py), so that the same
call goes on where a killed one was. This module decides the order and what each part is told.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from luxscaler.backends.base import Backend
from luxscaler.errors import JobError, StoppedError
from luxscaler.hdr.expand import ToneStatistics
from luxscaler.io.read import read_header
from luxscaler.io.write import check_picture
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.masters.job_folder import JobFolder, folder_of, restart
from luxscaler.masters.job_memory import MemoryJob
from luxscaler.masters.plan import Plan, plan
from luxscaler.masters.request import MasterProgress, MasterRequest, MasterResult
from luxscaler.masters.run import Master, Run, target_of
from luxscaler.masters.sinks import check_target, streams
from luxscaler.masters.source import digest_of, is_transparent, lay_out, reference_of, sample
from luxscaler.options import DecodeLimits
from luxscaler.picture import PictureSource
from luxscaler.pipeline.request import check_path
from luxscaler.upscaling.render import visible
from luxscaler.weights.catalogue import load_catalogue

_FLOAT = 4
_DECODED_PIXELS_PER_SECOND = 2e6
"""Pixels for which a decoder gets a second more; measured: 9 to 14 million."""


def upscale_master(
    request: MasterRequest,
    backend: Backend,
    *,
    planned: Callable[[Plan], None] = lambda _plan: None,
    progress: Callable[[MasterProgress], None] = lambda _progress: None,
    stop: threading.Event | None = None,
) -> MasterResult:
    """Make the master and write it.

    `planned` is told what will be done before anything is; what it raises ends the work.

    Setting `stop`, or Ctrl-C, ends the work cleanly: StoppedError says what is kept. Raises InputError and
    its kin for what is asked, JobError, BackendError and what the backend raises, ExportError; in each case
    no file appears, and tiles that are done stay in the job folder.
    """
    stop = stop or threading.Event()
    with ExitStack() as stack:
        cuts = _plan(request)
        planned(cuts)
        job = stack.enter_context(_job(request, cuts, backend))
        spool = lay_out(
            request.source,
            job.spool_path,
            job if isinstance(job, JobFolder) else None,
            max_pixels=request.max_pixels,
            limits=_patient(request.decode_limits, cuts),
        )
        master = _master(request, cuts, spool)
        try:
            run = Run(master, backend, job, progress, stop)
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
    if request.report is not None:
        check_path(request.report)
    check_target(target_of(request, cuts, has_alpha=header.has_alpha, source=PictureSource(), peak=1.0))
    return cuts


def _patient(limits: DecodeLimits | None, cuts: Plan) -> DecodeLimits | None:
    """The limits, with more time for a picture of hundreds of megapixels."""
    if limits is None:
        return None
    return replace(limits, seconds=limits.seconds + cuts.width * cuts.height / _DECODED_PIXELS_PER_SECOND)


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


def _master(request: MasterRequest, cuts: Plan, spool: LinearFile) -> Master:
    if spool.has_alpha:
        check_picture(
            request.output_format,
            cuts.output_width,
            cuts.output_height,
            transparent=is_transparent(spool),
        )
    # A checkpoint of one's own may be meant to change colours; the catalogue's networks are not.
    known = {entry.name for entry in load_catalogue()}
    reference = reference_of(spool) if request.model in known else None
    statistics = ToneStatistics.of(torch.from_numpy(visible(sample(spool)).rgb))
    return Master(request, cuts, spool, reference, statistics)


def _stopped(job: JobFolder | MemoryJob) -> str:
    done = len(job.records())
    if not done or not isinstance(job, JobFolder):
        return "stopped"
    return f"stopped: {done} tiles are kept in {str(job.folder)!r}; the same command goes on from there"
