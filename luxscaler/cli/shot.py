"""`luxscaler upscale` on an image sequence: one backend, one curve and one progress bar for all frames."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from luxscaler.cli.terminal import err, out, progress_bar, say

if TYPE_CHECKING:
    from luxscaler.backends.base import Backend
    from luxscaler.backends.choice import BackendOptions
    from luxscaler.masters.options import RunOptions
    from luxscaler.masters.shot import Frame
    from luxscaler.pipeline.request import UpscaleRequest
    from luxscaler.pipeline.result import Result


def run_shot(
    request: "UpscaleRequest",
    shot: "tuple[Frame, ...]",
    where: "BackendOptions",
    options: "RunOptions",
    summary: Callable[["Result"], str],
) -> None:
    """Upscale all frames; a line for each. Raises InputError for a compare page, and what a frame raises."""
    from luxscaler.errors import InputError  # noqa: PLC0415
    from luxscaler.masters.shot import upscale_shot  # noqa: PLC0415
    from luxscaler.masters.upscale import upscale_picture  # noqa: PLC0415

    if options.report is not None:
        raise InputError("--report compares two pictures; IN is a sequence")
    backends = _Backends(where)
    said: set[str] = set()
    with progress_bar() as bar:
        task = bar.add_task("looking at the shot", total=len(shot))

        def one(frame: "UpscaleRequest", target: Path) -> "Result":
            bar.update(task, description=target.name)
            result = upscale_picture(frame, target, backends.next(), options)
            backends.spent += result.progress.dollars
            say(tuple(notice for notice in result.notices if notice not in said))
            said.update(result.notices)
            out.print(summary(result), soft_wrap=True, markup=False)
            bar.advance(task)
            return result

        def seen(count: int) -> None:
            bar.update(task, completed=count % len(shot))

        results = upscale_shot(request, shot, one, seen=seen)
    err.print(f"{len(results)} frames, one curve", markup=False)


class _Backends:
    """The same backend for every frame; of one that is paid, with what is left of the limit of cost."""

    def __init__(self, where: "BackendOptions") -> None:
        self._where = where
        self._kept: Backend | None = None
        self.spent = 0.0
        """Dollars of the frames so far."""

    def next(self) -> "Backend":
        """For the next frame. Raises InputError."""
        from luxscaler.backends.choice import make_backend  # noqa: PLC0415
        from luxscaler.errors import InputError  # noqa: PLC0415

        limit = self._where.max_cost
        if limit is None:
            self._kept = self._kept or make_backend(self._where)
            return self._kept
        if self.spent >= limit:
            raise InputError(f"the frames so far cost ${self.spent:.4f}, and max_cost is ${limit:g}")
        return make_backend(replace(self._where, max_cost=limit - self.spent))
