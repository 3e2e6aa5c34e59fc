"""Finds the pictures that are asked for by name: files, folders and globs.

Folders are listed; no picture is read. No PyTorch.
"""

import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from luxscaler.errors import InputError

STREAM = "-"
"""Stands for standard input or output."""
_PICTURE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".exr"),
        *(".hdr", ".xyze", ".avif", ".avifs", ".jxl", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif"),
        *(".tga", ".psd", ".psb", ".dds", ".jp2", ".jpx", ".jpf", ".jph", ".j2k", ".j2c", ".jpc"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm", ".qoi", ".ico", ".pcx", ".sgi", ".ras"),
        # Of cameras.
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".orf", ".rw2", ".rwl", ".raf"),
        *(".pef", ".srw", ".x3f", ".3fr", ".fff", ".iiq", ".mrw", ".erf", ".mef", ".mos", ".kdc", ".dcr"),
    )
)
"""Suffixes of the files that are taken from a folder; a file that is named is taken with any suffix."""
_TOP = PurePath()
_JOB_SUFFIX = ".job"


@dataclass(frozen=True)
class Found:
    """A picture that was asked for."""

    path: Path | None
    """None: standard input."""
    folder: PurePath = _TOP
    """The folder that it lies in, relative to the folder that was searched: of a glob, the one before its
    first wildcard."""
    is_named: bool = True
    """Whether it was named itself, rather than found in a folder or by a glob."""

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return "stdin" if self.path is None else self.path.stem

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path is None else str(self.path)


def find_pictures(
    sources: Sequence[str], *, recursive: bool = False, leave_out: Path | None = None
) -> list[Found]:
    """The pictures of files, folders and globs, in that order, each once.

    recursive: also the folders within a folder. leave_out: a folder of results, which is not searched.
    Raises InputError for a folder or a glob without pictures.
    """
    found: dict[str, Found] = {}
    for text in sources:
        for one in _spelt_out(text, recursive, leave_out):
            key = STREAM if one.path is None else str(one.path.absolute())
            found.setdefault(key, one)
    return list(found.values())


def _spelt_out(text: str, recursive: bool, leave_out: Path | None) -> Iterable[Found]:
    path = Path(text)
    if text == STREAM:
        return [Found(None)]
    try:
        is_folder, is_there = path.is_dir(), os.path.lexists(path)
    except (OSError, ValueError) as error:  # too long a name, or one with a zero byte
        raise InputError(f"{text!r} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if is_folder:
        pictures = list(_in_folder(path, recursive, leave_out))
        if not pictures:
            hint = "" if recursive else "; --recursive looks into its folders too"
            raise InputError(f"the folder {text!r} holds no picture, going by suffixes{hint}")
        return pictures
    if is_there or not glob.has_magic(text):
        return [Found(path)]
    matches = [Path(name) for name in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 - absolute too
    top = _before_wildcards(path)
    pictures = [
        Found(match, match.parent.relative_to(top), is_named=False)
        for match in matches
        if match.is_file() and not _is_result(match, top, leave_out)
    ]
    if not pictures:
        raise InputError(f"{text} does not exist, and no file matches it as a pattern")
    return pictures


def _is_result(match: Path, top: Path, leave_out: Path | None) -> bool:
    """Whether a match of a glob lies in the folder of results, and the glob does not begin there."""
    if leave_out is None:
        return False
    hidden = Path(os.path.realpath(leave_out))
    beside = not Path(os.path.realpath(top)).is_relative_to(hidden)
    return beside and Path(os.path.realpath(match.parent)).is_relative_to(hidden)


def _before_wildcards(pattern: Path) -> Path:
    """The folders of a glob before the first whose name has a wildcard."""
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parent.parts)
    return Path(*fixed)


def _in_folder(folder: Path, recursive: bool, leave_out: Path | None) -> Iterator[Found]:
    hidden = None if leave_out is None else os.path.realpath(leave_out)
    top = os.path.realpath(folder)
    for place, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(
            name
            for name in folders
            if recursive
            and not name.startswith(".")
            and not name.endswith(_JOB_SUFFIX)
            and (hidden == top or os.path.realpath(Path(place, name)) != hidden)
        )
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in _PICTURE_SUFFIXES:
                yield Found(Path(place, name), Path(place).relative_to(folder), is_named=False)


def _refuse_folder(error: OSError) -> None:
    """A folder that cannot be read may hold pictures: leaving it out would lose them silently."""
    raise InputError(f"the folder {os.fspath(error.filename)!r} cannot be read: {error.strerror}") from error
