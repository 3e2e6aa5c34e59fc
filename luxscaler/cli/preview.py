"""`luxscaler upscale --preview`: the sheet that shows what --hdr-boost does."""

from pathlib import Path
from typing import TYPE_CHECKING

from luxscaler.errors import InputError

if TYPE_CHECKING:
    from luxscaler.cli.upscale_run import Session
    from luxscaler.masters.pairs import Pair
    from luxscaler.pipeline.request import UpscaleRequest


def write_preview(
    session: "Session", request: "UpscaleRequest", path: Path, pair: "Pair", *, has_out: bool, overwrite: bool
) -> None:
    """Write the sheet of --preview and print its line; no network is loaded.

    has_out: whether a run follows, which then prints the notices. Raises InputError, PictureError and
    ExportError.
    """
    from luxscaler.pipeline.preview import check_preview_path, preview_of  # noqa: PLC0415

    if not has_out and pair.report is not None:
        raise InputError("--report compares IN and OUT, and no OUT was given")
    others = {"IN": request.source, "OUT": pair.target, "--boost-mask": request.boost_mask}
    for name, other in (*others.items(), ("--report", pair.report), ("--reference", request.reference)):
        if isinstance(other, Path) and path.resolve() == other.resolve():
            raise InputError(f"--preview is {str(path)!r}, which is {name}: give it another name")
    check_preview_path(path, *request.files)
    if path.exists() and not overwrite:
        raise InputError(f"--preview is {str(path)!r}, which is there already: --overwrite replaces it")
    made = preview_of(request)
    made.write(path)
    with session.watch.out_of_the_way():
        if not has_out:  # else the run says them
            for notice in made.before.source.notices:
                session.voice.note(notice)
        session.voice.line(f"{path}: {made}", input=pair.source.name, output=str(path), figures=str(made))
