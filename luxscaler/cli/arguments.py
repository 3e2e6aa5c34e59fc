"""IN and OUT of `luxscaler upscale`: one file, a folder or a name pattern.

Usage errors are typer.BadParameter. Slow imports are made inside the functions that need them, so that these
errors come at once.
"""

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from luxscaler.cli.displays import WAYS
from luxscaler.cli.voice import Manner
from luxscaler.errors import InputError
from luxscaler.io.formats import SUFFIXES

if TYPE_CHECKING:
    from luxscaler.geometry import TileBox
    from luxscaler.masters.naming import Naming
    from luxscaler.masters.pairs import Pair
    from luxscaler.masters.shot import Frame


def is_folder(text: str) -> bool:
    """Whether OUT is a folder, or is to become one."""
    return text.endswith(os.sep) or _is_there(text, folder=True)


def is_one_file(text: str) -> bool:
    """Whether OUT can only be the name of one file, or standard output."""
    if text == "-":
        return True
    return not is_folder(text) and not _is_pattern(text) and Path(text).suffix.lower() in SUFFIXES


def split_paths(paths: list[str], output_format: str, *, previews: bool) -> tuple[list[str], str | None]:
    """The paths as IN and OUT; OUT is None where a preview is all that is asked for.

    Raises typer.BadParameter if OUT is missing, if it is one file for several pictures, and if it is standard
    output without a format.
    """
    if len(paths) == 1:
        if not previews:
            raise typer.BadParameter(
                "give OUT, or --preview FILE to see what --hdr-boost does", param_hint="OUT"
            )
        _check_one(paths)
        return paths, None
    sources, out = paths[:-1], paths[-1]
    if previews:
        _check_one(sources)
    if len(sources) > 1 and is_one_file(out):
        raise typer.BadParameter(
            f"{out!r} is one file, and IN names {len(sources)} pictures: give a folder, or a pattern such as "
            "out/{stem}.exr",
            param_hint="OUT",
        )
    if out == "-" and not output_format:
        raise typer.BadParameter("OUT is standard output: say its format by --format", param_hint="OUT")
    return sources, out


def _check_one(sources: list[str]) -> None:
    if _are_several(sources):
        raise typer.BadParameter("it shows one picture, and IN may be several", param_hint="--preview")


def box_of(tile_box: str, reference: Path | None) -> "TileBox | None":
    """The place of a tile in its master, None if not given. Raises InputError for a box without a master."""
    from luxscaler.geometry import TileBox  # noqa: PLC0415

    if tile_box and reference is None:
        raise InputError("--tile-box says where IN sits in a master: give the master, by --reference")
    return TileBox.parse(tile_box) if tile_box else None


def check_opposites(*options: tuple[str, bool]) -> None:
    """Raise typer.BadParameter if all these options, which exclude each other, are given.

    options: name, and whether it is given.
    """
    if all(is_given for _, is_given in options):
        raise typer.BadParameter(f"{' and '.join(name for name, _ in options)}: give one of them")


def manner_of(*, json: bool, quiet: bool, verbose: bool, progress: str, out: str | None) -> Manner:
    """How the run reports. Raises typer.BadParameter for an unknown --progress, and for --quiet --verbose."""
    check_opposites(("--quiet", quiet), ("--verbose", verbose))
    if progress not in WAYS:
        raise typer.BadParameter(f"{progress!r} is none of {', '.join(WAYS)}", param_hint="--progress")
    return Manner(json=json, quiet=quiet, verbose=verbose, progress=progress, to_stderr=out == "-")


def pairs_of(
    sources: Sequence[str],
    out: str | None,
    output_format: str,
    values: Mapping[str, object],
    *,
    report: str | None,
    recursive: bool,
) -> "list[Pair]":
    """Each picture with the files that are made of it. Raises InputError and ExportError.

    values: what name patterns may hold besides the picture's own name, e.g. {"scale": "4"}.
    """
    from luxscaler.masters.finding import find_pictures  # noqa: PLC0415
    from luxscaler.masters.naming import Naming  # noqa: PLC0415
    from luxscaler.masters.pairs import Pair, pair_up  # noqa: PLC0415

    if out is None:
        found = find_pictures(sources)
        return [Pair(found[0], None, None if report is None else Path(report))]
    naming = _naming(sources, out, output_format, values)
    pages = None if report is None else Naming(report, output_format, values)
    folder = None if naming is None else naming.folder
    return pair_up(find_pictures(sources, recursive=recursive, leave_out=folder), out, naming, pages)


def shot_pairs(sources: Sequence[str], shot: "Sequence[Frame]", report: str | None) -> "list[Pair]":
    """The frames of an image sequence with their results.

    Raises InputError if IN names more, and for --report; ExportError for a result that is one of the frames.
    """
    from luxscaler.masters.finding import Found  # noqa: PLC0415
    from luxscaler.masters.pairs import Pair, check_pairs  # noqa: PLC0415

    if len(sources) > 1:
        raise InputError(f"IN is {len(sources)} names, and the first is a sequence: give it alone")
    if report is not None:
        raise InputError("--report compares two pictures; IN is a sequence")
    pairs = [Pair(Found(frame.source), frame.target, makes_folders=True) for frame in shot]
    check_pairs(pairs)
    return pairs


def _naming(
    sources: Sequence[str], out: str, output_format: str, values: Mapping[str, object]
) -> "Naming | None":
    """How results are named; None where OUT is one file. Raises InputError for a pattern that cannot be
    filled in."""
    from luxscaler.masters.naming import Naming, in_folder  # noqa: PLC0415

    if out == "-":
        return None
    if _is_pattern(out):
        return Naming(out, output_format, values)
    if not is_folder(out) and (is_one_file(out) or not _are_several(sources)):
        return None
    if not output_format:
        example = f"{out.rstrip(os.sep)}/{{stem}}.exr"
        raise InputError(
            f"OUT is {out!r}, taken as a folder: say the format of the results by --format, "
            f"or give a pattern such as {example}"
        )
    return Naming(in_folder(out), output_format, values)


def _is_pattern(text: str) -> bool:
    return "{" in text or "}" in text


def _are_several(sources: Sequence[str]) -> bool:
    if len(sources) > 1:
        return True
    text = sources[0]
    return _is_there(text, folder=True) or (glob.has_magic(text) and not _is_there(text))


def _is_there(text: str, *, folder: bool = False) -> bool:
    try:
        return Path(text).is_dir() if folder else Path(text).exists()
    except (OSError, ValueError):  # no file can have such a name
        return False
