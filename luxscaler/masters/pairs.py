"""Which pictures are asked for, and which file becomes of each: folders, globs and name patterns, spelt out.

    IN …, OUT ─→ pictures found ─→ (picture, result) ─→ checked: no two write one file, none writes a source

Nothing is read or made here but the lists of folders, so that everything wrong is said before any work. No
PyTorch.
"""

import glob
import os
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from luxscaler.errors import ExportError, InputError
from luxscaler.io.write import FORMATS

STREAM = "-"
"""Stands for standard input or output."""
PICTURE_SUFFIXES = frozenset(
    (
        *(
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".png",
            ".webp",
            ".tif",
            ".tiff",
            ".exr",
            ".hdr",
            ".avif",
            ".jxl",
        ),
        *(".bmp", ".gif", ".heic", ".heif", ".tga", ".psd", ".dds", ".jp2", ".j2k", ".pbm", ".pgm", ".ppm"),
        *(".pnm", ".pam", ".pfm", ".qoi", ".ico", ".pcx", ".sgi", ".dng", ".cr2", ".cr3", ".nef", ".arw"),
        *(".orf", ".rw2", ".raf", ".pef", ".srw"),
    )
)
"""Of a folder the files with these suffixes are taken; a file that is named is taken whatever its name."""
FIELDS = ("stem", "name", "ext", "folder", "index", "scale", "model", "hdr_boost")
"""What a name pattern may hold, in braces."""
_TOP = PurePath()
_JOB_SUFFIX = ".job"


@dataclass(frozen=True)
class Found:
    """A picture that was asked for."""

    path: Path | None
    """None: standard input."""
    folder: PurePath = _TOP
    """Below the folder IN that it lies in."""
    is_named: bool = True
    """Whether it was named itself, and not found in a folder or by a glob."""

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return "stdin" if self.path is None else self.path.stem

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path is None else str(self.path)


@dataclass(frozen=True)
class Pair:
    """A picture and the files that become of it."""

    source: Found
    target: Path | None
    """None: standard output."""
    report: Path | None = None
    makes_folders: bool = False
    """Whether folders that are not there are made: of names by a pattern, not of a file that is named."""


@dataclass(frozen=True)
class Naming:
    """How results are called. Raises InputError for a pattern that cannot be filled in."""

    pattern: str
    """With fields of FIELDS in braces, or the name of one file."""
    file_format: str = ""
    """Empty: by the suffix."""
    values: Mapping[str, object] | None = None
    """Of the fields that are the same for all: scale, model, hdr_boost."""

    def __post_init__(self) -> None:
        for field in self.fields():
            if field not in FIELDS:
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise InputError(f"{self.pattern!r} has a field {{{field}}}; known are {known}")
        if self.file_format and self.file_format not in FORMATS:
            raise InputError(f"output_format is {self.file_format!r}; it must be one of {', '.join(FORMATS)}")
        if "ext" in self.fields() and not self.file_format:
            raise InputError(f"{self.pattern!r} asks for {{ext}}: say --format, or a suffix in its place")

    def fields(self) -> list[str]:
        """The fields that the pattern holds."""
        return [field for _, field, _, _ in self._parsed() if field is not None]

    @property
    def folder(self) -> Path:
        """Where all results lie, in it or below."""
        fixed = ""
        for literal, field, _, _ in self._parsed():
            fixed += literal
            if field is not None:
                break
        return Path(fixed + "_").parent

    def path_of(self, found: Found, index: int) -> Path:
        """The file that becomes of a picture; index: its number, from 1."""
        known = {
            "stem": found.stem,
            "name": "stdin" if found.path is None else found.path.name,
            "ext": suffix_of(self.file_format) if self.file_format else "",
            "folder": found.folder.as_posix() if found.folder.parts else ".",
            "index": index,
            **(self.values or {}),
        }
        text = ""
        for literal, field, spec, _ in self._parsed():
            text += literal
            if field is not None:
                try:
                    text += format(known[field], spec or "")
                except KeyError:
                    raise InputError(f"{self.pattern!r}: {{{field}}} is not known here") from None
                except (ValueError, TypeError) as error:
                    raise InputError(
                        f"{self.pattern!r}: {{{field}:{spec}}} cannot be written: {error}"
                    ) from None
        return Path(os.path.normpath(text))

    def _parsed(self) -> list[tuple[str, str | None, str | None, str | None]]:
        try:
            return list(string.Formatter().parse(self.pattern))
        except ValueError as error:
            raise InputError(
                f"{self.pattern!r} is no name pattern: {error}; braces are doubled: {{{{"
            ) from None


def is_pattern(text: str) -> bool:
    """Whether a name holds fields to be filled in."""
    return "{" in text or "}" in text


def in_folder(folder: str) -> str:
    """The pattern of results that keep the names of their pictures, in a folder."""
    return f"{folder.replace('{', '{{').replace('}', '}}')}/{{folder}}/{{stem}}.{{ext}}"


def suffix_of(file_format: str) -> str:
    """The suffix of a format, without the dot: its own name, but for those that share one."""
    return {"png-pq": "png", "tiff16": "tiff"}.get(file_format, file_format)


def find_pictures(
    sources: Sequence[str], *, recursive: bool = False, leave_out: Path | None = None
) -> list[Found]:
    """The pictures that are asked for: files as they are, folders and globs spelt out, each once.

    recursive: folders within folders too. leave_out: a folder of results, which is not looked into.
    Raises InputError where a folder or a glob holds no picture.
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
    except (OSError, ValueError) as error:  # too long a name, or one with a zero
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
    pictures = [Found(match, is_named=False) for match in matches if match.is_file()]
    if not pictures:
        raise InputError(f"{text} does not exist, and no file matches it as a pattern")
    return pictures


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
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield Found(Path(place, name), Path(place).relative_to(folder), is_named=False)


def _refuse_folder(error: OSError) -> None:
    """A folder that cannot be looked into may hold pictures: none is left out without a word."""
    raise InputError(f"the folder {os.fspath(error.filename)!r} cannot be read: {error.strerror}") from error


def pair_up(
    found: Sequence[Found], target: str, naming: Naming | None, report: Naming | None = None
) -> list[Pair]:
    """The result of each picture. naming: None where `target` is one file or standard output.

    What was found in a folder or by a glob and is the result of another of them is no source: a second run
    would enlarge the results of the first. Raises InputError or ExportError for several pictures and one
    file, for two that would be written to one, and for a result that is one of the sources.
    """
    pairs = _paired(found, target, naming, report)
    if naming is not None:
        results = {_key(pair.target) for pair in pairs if pair.target is not None}
        kept = [one for one in found if one.is_named or _key(one.path) not in results or _is_own(one, pairs)]
        pairs = _paired(kept, target, naming, report)
    _check(pairs)
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


def _check(pairs: Sequence[Pair]) -> None:
    """No file is written twice, and none that is read."""
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
    """What is the same for two names of one file, links and hard links included."""
    if path is None:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def existing(pairs: Iterable[Pair]) -> list[Pair]:
    """Those whose result is there already."""
    return [pair for pair in pairs if pair.target is not None and _is_there(pair.target)]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no file can have such a name
        return False


def refuse_existing(pairs: Iterable[Pair]) -> None:
    """Raises ExportError where a result or a report is there already: it may be somebody's work."""
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
    """The folder of a result, and those above it. Raises ExportError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot make the folder {str(path.parent)!r}: {error.strerror}") from error
