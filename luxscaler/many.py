"""`luxscaler.upscale_many`: pictures, folders and globs on one backend, for the Python API."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from luxscaler.api import backend_of, model_scale, upscale
from luxscaler.backends.base import Backend
from luxscaler.backends.choice import BackendOptions, check_backend
from luxscaler.checks import check_callable, check_type, path_text
from luxscaler.errors import InputError
from luxscaler.masters.batch import Outcome, run_batch
from luxscaler.masters.finding import find_pictures
from luxscaler.masters.job import spent_in
from luxscaler.masters.naming import Naming, in_folder, is_pattern
from luxscaler.masters.pairs import Pair, make_folders, pair_up, refuse_existing
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline.result import Result


def upscale_many(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    *,
    output_format: str = "",
    recursive: bool = False,
    skip_existing: bool = False,
    overwrite: bool = False,
    report: str | os.PathLike[str] | None = None,
    backend: str | BackendOptions | Backend = "local",
    device: str = "auto",
    precision: str = "auto",
    begun: Callable[[int, Pair], None] = lambda _number, _pair: None,
    ended: Callable[[Outcome], None] = lambda _outcome: None,
    **options: Any,
) -> list[Outcome]:
    """Upscale pictures one after another on one backend; one that fails does not stop the others.

    sources: pictures, folders and globs, or one of them. target: a folder, where results are called as their
    pictures are and output_format says their kind, or a pattern such as "out/{stem}_x{scale}.exr".
    recursive: folders within folders too. skip_existing, overwrite: what becomes of results that are there;
    without them they are an error. report: a pattern for the compare pages. begun, ended: told of each
    picture. backend, device, precision, options: as in `upscale`. A backend's max_cost is the limit for all
    pictures together.

    Returns what became of each: `result`, `error`, or `is_skipped`. Raises InputError and ExportError before
    any work for results that would collide or replace a source, WeightsError, and StoppedError.
    """
    if unknown := sorted(options.keys() - signature(upscale).parameters.keys()):
        raise TypeError(f"upscale_many() got an unexpected keyword argument {unknown[0]!r}")
    check_backend(backend)
    check_callable("begun", begun)
    check_callable("ended", ended)
    options["model"] = path_text("model", options.get("model", "photo"))
    if options.get("scale") is None:
        options["scale"] = model_scale(options["model"], backend)
    naming, pages = _namings(path_text("target", target), report, output_format, options)
    if not isinstance(sources, Iterable) or isinstance(sources, str | bytes | os.PathLike):
        sources = [sources]  # else the letters of a name would be taken for pictures
    names = [path_text("a source", source) for source in sources]
    found = find_pictures(names, recursive=recursive, leave_out=naming.folder)
    pairs = pair_up(found, naming.pattern, naming, pages)
    if not (skip_existing or overwrite):
        refuse_existing(pairs)
    purse = _Purse(backend, UpscalerOptions(device=device, precision=precision))

    def one(pair: Pair) -> Result:
        if pair.source.path is None or pair.target is None:
            raise InputError("standard input and output are for the command: give paths")
        for path in (pair.target, pair.report):
            if path is not None:
                make_folders(path)
        spent = 0.0
        try:
            result = upscale(
                pair.source.path,
                pair.target,
                output_format=output_format or None,
                backend=purse.backend(),
                report=pair.report,
                **options,
            )
            spent = result.progress.dollars
        finally:
            purse.spent += max(spent, spent_in(pair.target))
        return result

    return run_batch(pairs, one, skip_existing=skip_existing, begun=begun, ended=ended)


class _Purse:
    """One backend for all pictures; where it has a limit of cost, one for each with what is left of that."""

    def __init__(self, asked: str | BackendOptions | Backend, network: UpscalerOptions) -> None:
        self._asked = BackendOptions(asked, network) if isinstance(asked, str) else asked
        self._network = network
        self._made: Backend | None = None
        self.spent = 0.0

    def backend(self) -> Backend:
        asked = self._asked
        if isinstance(asked, BackendOptions) and asked.max_cost is not None:
            asked = replace(asked, max_cost=max(asked.max_cost - self.spent, 0.0))
            return backend_of(asked, self._network)[0]
        if self._made is None:
            self._made = backend_of(asked, self._network)[0]
        return self._made


def _namings(
    target: str, report: str | os.PathLike[str] | None, output_format: str, options: dict[str, Any]
) -> tuple[Naming, Naming | None]:
    """How results and compare pages are called."""
    scale, boost = options["scale"], options.get("hdr_boost", 1.0)
    check_type("scale", scale, float)
    check_type("hdr_boost", boost, float)
    values = {
        "scale": f"{scale:g}",
        "model": Path(options["model"]).stem,
        "hdr_boost": f"{boost:g}",
    }
    naming = Naming(target if is_pattern(target) else in_folder(target), output_format, values)
    return naming, None if report is None else Naming(path_text("report", report), output_format, values)
