"""`luxscaler upscale --preview`: the sheet that shows what --hdr-boost does."""

from pathlib import Path
from typing import TYPE_CHECKING

from luxscaler.cli.terminal import out, say

if TYPE_CHECKING:
    from luxscaler.pipeline.request import UpscaleRequest


def write_preview(request: "UpscaleRequest", path: Path, target: Path | None, report: Path | None) -> None:
    """Before any network is loaded."""
    from luxscaler.errors import InputError  # noqa: PLC0415
    from luxscaler.pipeline.preview import check_preview_path, preview_of  # noqa: PLC0415

    if target is None and report is not None:
        raise InputError("--report compares IN and OUT, and no OUT was given")
    others = {"IN": request.source, "OUT": target, "--boost-mask": request.boost_mask, "--report": report}
    for name, other in (*others.items(), ("--reference", request.reference)):
        if isinstance(other, Path) and path.resolve() == other.resolve():
            raise InputError(f"--preview is {str(path)!r}, which is {name}: give it another name")
    check_preview_path(path, *request.files)
    made = preview_of(request)
    made.write(path)
    if target is None:  # else the run says them
        say(made.before.source.notices)
    out.print(f"{path}: {made}", soft_wrap=True, markup=False)
