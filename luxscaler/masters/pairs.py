"""Each picture with the file of its result, checked before any work.

    pictures (finding.py), name pattern (naming.py) ─→ pairs: no two write one file, none writes a source

No PyTorch.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luxscaler.errors import ExportError, InputError
from luxscaler.masters.finding import STREAM, Found
from luxscaler.masters.naming import Naming


@dataclass(frozen=True)
class Pair:
    """A picture and the files that are made of it."""

    source: Found
    target: Path | None
    """None: standard output."""
    report: Path | None = None
    """The compare page; None: no page."""
    makes_folders: bool = False
    """Whether missing folders are made: for names by a pattern, not for a file that is named."""


def pair_up(
    found: Sequence[Found], target: str, naming: Naming | None, report: Naming | None = None
) -> list[Pair]:
    """Each picture with its result. naming: None where `target` is one file or standard output.

    A picture that was found in a folder or by a glob, and is the result of another picture, is left out: a
    second run would enlarge the results of the first. report: names of the compare pages.

    Raises InputError or ExportError for several pictures and one file, for two that would be written to one,
    and for a result that is one of the sources.
    """
    pairs = _paired(found, target, naming, report)
    if naming is not None:
        results = {_key(pair.target) for pair in pairs if pair.target is not None}
        kept = [one for one in found if one.is_named or _key(one.path) not in results or _is_own(one, pairs)]
        pairs = _paired(kept, target, naming, report)
    check_pairs(pairs)
    return pairs


def _is_own(found: Found, pairs: Sequence[Pair]) -> bool:
    """Whether a picture would be written over itself."""
    own = next(pair.target for pair in pairs if pair.source is found)
    return own is not None and found.path is not None and _key(own) == _key(found.path)


def _paired(found: Sequence[Found], target: str, naming: Naming | None, report: Naming | None) -> list[Pair]:
    if naming is None:
        if len(found) != 1:
            where = "standard output" if target == STREAM else repr(target)
            raise InputError(f"{len(found)} pictures cannot all be written to {where}: give a folder as OUT")
        out = None if target == STREAM else Path(target)
        pairs = [Pair(found[0], out)]
    else:
        pairs = [
            Pair(one, naming.path_of(one, index), makes_folders=True) for index, one in enumerate(found, 1)
        ]
    if report is None:
        return pairs
    return [replace(p, report=report.path_of(p.source, index)) for index, p in enumerate(pairs, 1)]


def check_pairs(pairs: Sequence[Pair]) -> None:
    """Raise InputError for a file that would be written twice, ExportError for one that is a source."""
    read = {_key(pair.source.path): pair.source for pair in pairs if pair.source.path is not None}
    written: dict[object, Pair] = {}
    for pair in pairs:
        for path in (pair.target, pair.report):
            if path is None:
                continue
            key = _key(path)
            if key in read:
                raise ExportError(f"cannot write {str(path)!r}: it is the same file as {read[key].name!r}")
            if key in written:
                raise InputError(_twice(path, written[key], pair))
            written[key] = pair


def _twice(path: Path, first: Pair, second: Pair) -> str:
    if first is second:
        return f"cannot write {str(path)!r}: the result and its report would be the same file"
    return (
        f"{first.source.name!r} and {second.source.name!r} would both be written to {str(path)!r}: "
        "add {name}, {folder} or {index} to the names"
    )


def _key(path: Path | None) -> object:
    """An identity of a file: equal for all its names, symbolic and hard links included."""
    if path is None:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def existing(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs whose result exists already."""
    return [pair for pair in pairs if pair.target is not None and _is_there(pair.target)]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no file can have such a name
        return False


def refuse_existing(pairs: Iterable[Pair]) -> None:
    """Raises ExportError if a result or a report exists already: it may be somebody's work."""
    pairs = list(pairs)
    there = existing(pairs)
    if there:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise ExportError(
            f"{str(there[0].target)!r} is there already{more}: --overwrite replaces it, "
            "--skip-existing leaves it"
        )
    for pair in pairs:
        if pair.report is not None and _is_there(pair.report):
            raise ExportError(f"the report {str(pair.report)!r} is there already: --overwrite replaces it")


def make_folders(path: Path) -> None:
    """Make the folder of a result, and the folders above it. Raises ExportError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot make the folder {str(path.parent)!r}: {error.strerror}") from error
