"""The run of `luxscaler upscale`: pictures one after another on one backend, with progress and messages.

Exit status: 0 all written (or there already), 1 an error and nothing written, 3 some written and some failed.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from luxscaler.cli.displays import Moment, Watch
from luxscaler.cli.meter import Meter, Pace
from luxscaler.cli.stopping import Stopping, stoppable
from luxscaler.cli.terminal import standard_input, unusable
from luxscaler.cli.voice import Manner, Voice
from luxscaler.errors import ExportError, InputError, LuxScalerError, StoppedError

if TYPE_CHECKING:
    from luxscaler.backends.base import Backend
    from luxscaler.backends.choice import BackendOptions
    from luxscaler.masters.batch import Outcome
    from luxscaler.masters.options import RunOptions
    from luxscaler.masters.pairs import Pair
    from luxscaler.pipeline.request import UpscaleRequest
    from luxscaler.pipeline.result import Progress, Result
    from luxscaler.tiling.plan import Plan

SOME_FAILED = 3
"""Exit status of a run in which some pictures were written and some failed."""


class Session:
    """What all parts of one command share: its messages, its progress, and whether to stop."""

    def __init__(self, voice: Voice, stopping: Stopping) -> None:
        self.voice = voice
        self.stopping = stopping
        self.pace = Pace()
        self.meter = Meter(self.pace)
        self.name, self.number, self.count = "", 0, 1
        self.watch = Watch(voice.display(), self._moment)
        self._input: bytes | None = None

    def begin(self, name: str, number: int, count: int, *, with_report: bool) -> None:
        """Begin the next picture: number `number` of `count`."""
        self.meter = Meter(self.pace, with_report=with_report)
        self.name, self.number, self.count = name, number, count

    def standard_input(self) -> bytes:
        """The bytes of standard input, read once. Raises InputError if it is closed or a terminal."""
        if self._input is None:
            self._input = standard_input("IN")
        return self._input

    def looked_at(self, count: int) -> None:
        """Show that the tones of so many frames of a shot were read."""
        self.name, self.number = f"the tones of frame {count}", 0

    def _moment(self) -> Moment:
        return Moment(self.name, self.number, self.count, self.meter.view())


@contextmanager
def session_of(manner: Manner) -> Iterator[Session]:
    """The session of a command; LuxScalerErrors and interruptions become one line and typer.Exit."""
    voice = Voice(manner)
    with stoppable() as stopping:
        session = Session(voice, stopping)
        try:
            with session.watch:
                yield session
        except StoppedError as error:
            voice.stopped(str(error))
            raise typer.Exit(stopping.status) from error
        except (KeyboardInterrupt, ImportError, SystemError) as error:
            # C extensions make the last two of an interruption while they are imported.
            if not (isinstance(error, KeyboardInterrupt) or stopping.event.is_set()):
                raise
            what = "nothing" if session.count == 1 else f"nothing of {session.name}"
            voice.stopped(f"interrupted: {what} was written")
            raise typer.Exit(stopping.status) from error
        except LuxScalerError as error:
            voice.failed(error)
            raise typer.Exit(1) from error


class PictureRun:
    """Upscales the pictures of one command."""

    def __init__(
        self,
        session: Session,
        request: "UpscaleRequest",
        where: "BackendOptions",
        options: "RunOptions",
        output_format: str,
    ) -> None:
        """request: of any of the pictures. output_format: if empty, by the suffix of each result."""
        self._session = session
        self.request = request
        self._where = where
        self._options = options
        self._format = output_format
        self._backend: Backend | None = None
        self._spent = self._dollars = 0.0
        self._began = time.monotonic()

    def check(self, pairs: "Sequence[Pair]") -> None:
        """Raise ExportError or InputError, before any work, for a result that could not be written."""
        from luxscaler.masters.options import check_report  # noqa: PLC0415
        from luxscaler.pipeline.output import check_path  # noqa: PLC0415

        for pair in pairs:
            request = self._of(pair, b"")
            check_report(pair.report)
            if pair.target is not None:
                if pair.makes_folders and not pair.target.parent.exists():
                    _check_can_be_made(pair.target.parent)
                else:
                    check_path(pair.target, *request.files[1:], pair.source.path)
        if any(pair.target is None for pair in pairs) and (reason := unusable("stdout")):
            raise InputError(f"OUT is standard output, which {reason}: send it to a file or a program")

    def plans(self, pairs: "Sequence[Pair]") -> int:
        """Print what would be done, from the headers of the pictures; nothing is computed, sent or written.

        Returns the exit status. A picture that cannot be planned is an error that does not stop the others.
        """
        return _status(sum(not self._can_plan(pair, len(pairs)) for pair in pairs), len(pairs))

    def _can_plan(self, pair: "Pair", count: int) -> bool:
        try:
            self._plan(pair)
        except LuxScalerError as error:
            with self._session.watch.out_of_the_way():
                self._session.voice.failed(error, pair, count)
            return False
        return True

    def _plan(self, pair: "Pair") -> None:
        from luxscaler.backends.choice import estimate_of  # noqa: PLC0415
        from luxscaler.masters.upscale import plan_of  # noqa: PLC0415
        from luxscaler.pipeline.output import result_size  # noqa: PLC0415

        request = self._of(pair, pair.source.path or self._session.standard_input())
        target = _place_now(pair.target or Path(f"picture.{request.output_format}"))
        request, cuts = plan_of(request, target, replace(self._options, report=pair.report))
        width, height = result_size(request, cuts)
        cost = estimate_of(self._where, cuts)
        with self._session.watch.out_of_the_way():
            self._session.voice.planned(pair, width, height, len(cuts), cost)

    def all(self, pairs: "Sequence[Pair]", *, skip_existing: bool) -> int:
        """Upscale every picture. Returns the exit status."""
        from luxscaler.masters.batch import run_batch  # noqa: PLC0415

        session, count = self._session, len(pairs)
        began = time.monotonic()
        outcomes: list[Outcome] = []

        def begun(number: int, pair: "Pair") -> None:
            self._began = time.monotonic()
            session.begin(pair.source.name, number, count, with_report=pair.report is not None)
            session.voice.detail(f"{pair.source.name} → {pair.target or 'standard output'}")

        def ended(outcome: "Outcome") -> None:
            outcomes.append(outcome)
            with session.watch.out_of_the_way():
                session.voice.ended(outcome, count, time.monotonic() - self._began)

        try:
            run_batch(pairs, self._one, skip_existing=skip_existing, begun=begun, ended=ended)
        finally:
            with session.watch.out_of_the_way():
                session.voice.summary(outcomes, count, time.monotonic() - began)
        return _status(sum(outcome.error is not None for outcome in outcomes), count)

    def _one(self, pair: "Pair") -> "Result":
        from luxscaler.masters.pairs import make_folders  # noqa: PLC0415

        request = self._of(pair, pair.source.path or self._session.standard_input())
        for path in (pair.target, pair.report):
            if path is not None and pair.makes_folders:
                make_folders(path)
        if pair.target is not None:
            return self._upscaled(request, pair, pair.target)
        with tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
            result = self._upscaled(request, pair, Path(folder) / f"picture.{request.output_format}")
            _to_standard_output(result.path)
            return result

    def _of(self, pair: "Pair", source: Path | bytes) -> "UpscaleRequest":
        from luxscaler.io.formats import format_of  # noqa: PLC0415

        name = self._format or (self.request.output_format if pair.target is None else format_of(pair.target))
        return replace(self.request, source=source, output_format=name)

    def _upscaled(self, request: "UpscaleRequest", pair: "Pair", target: Path) -> "Result":
        from luxscaler.masters.job import spent_in  # noqa: PLC0415
        from luxscaler.masters.upscale import upscale_picture  # noqa: PLC0415

        meter, stop = self._session.meter, self._session.stopping.event
        self._dollars = 0.0

        def advance(progress: "Progress") -> None:
            self._dollars = progress.dollars
            meter.tiles(progress.done, progress.kept, progress.dollars)

        try:
            result = upscale_picture(
                request,
                target,
                self._ready(),
                replace(self._options, report=pair.report),
                planned=self._planned,
                progress=advance,
                stage=meter.stage,
                stop=stop,
            )
        finally:
            meter.stage("done")
            self._spent += max(self._dollars, spent_in(target))
        return result

    def _ready(self) -> "Backend":
        """The backend, the same for all pictures unless --max-cost has to shrink by what was spent."""
        from luxscaler.backends.choice import make_backend  # noqa: PLC0415

        where = self._where
        if where.max_cost is not None and self._spent:
            where = replace(where, max_cost=max(where.max_cost - self._spent, 0.0))
            self._backend = None
        if self._backend is None:
            self._session.meter.stage("loading")
            self._backend = make_backend(where, self._share)
        return self._backend

    def _share(self, number: int, share: float) -> None:
        self._session.meter.share(number, share)

    def _planned(self, cuts: "Plan") -> None:
        from luxscaler.backends.choice import estimate_of  # noqa: PLC0415

        self._session.meter.plan(len(cuts), cuts.output_width * cuts.output_height / 1e6)
        voice = self._session.voice
        voice.detail(
            f"{cuts.width} × {cuts.height} → {cuts.output_width} × {cuts.output_height} in {len(cuts)} "
            f"{'tile' if len(cuts) == 1 else 'tiles'}, backend {self._where.name}"
        )
        if (guess := estimate_of(self._where, cuts)) is not None:
            with self._session.watch.out_of_the_way():
                voice.note(guess.words)


def _status(failed: int, count: int) -> int:
    """The exit status of a command over `count` pictures."""
    return 0 if not failed else 1 if failed == count else SOME_FAILED


def _check_can_be_made(folder: Path) -> None:
    """Raise ExportError for a folder that cannot be made."""
    standing = _standing(folder)
    reason = "is no folder" if not standing.is_dir() else "is not writable"
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        raise ExportError(f"cannot make the folder {str(folder)!r}: {str(standing)!r} {reason}")


def _place_now(target: Path) -> Path:
    """The target, or a name in the nearest existing folder, which can be checked before folders are made."""
    if target.parent.exists():
        return target
    return _standing(target.parent) / f".dry-run-{os.getpid()}{target.suffix}"


def _standing(folder: Path) -> Path:
    """The nearest existing ancestor of a folder, or the folder itself."""
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    return folder


def _to_standard_output(path: Path) -> None:
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise ExportError(f"cannot write to standard output: {error.strerror}") from error
