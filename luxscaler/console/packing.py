"""Packs what a job is made from for the upload: one picture as it is, or a folder as a zip.

Only what cannot leak goes in: no hidden files, no links, nothing but pictures and texts that describe them.
Anything else is an error that names it, so that nothing is left out silently. Pictures are compressed
already, so the zip stores them, and its size is known before it is made.
"""

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from luxscaler.gateway.problems import Problem

_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".exr", ".hdr", ".avif", ".jxl", ".bmp", ".gif"),
        *(".heic", ".heif", ".dng", ".txt", ".json", ".csv"),
    )
)
_CHUNK = 1 << 20
_MOST_FILES = 20_000
_SHOWN = 5
_LOCAL_HEADER, _CENTRAL_HEADER, _END = 30, 46, 22
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that packing the same files twice gives the same bytes."""


@dataclass(frozen=True)
class Source:
    """Files to upload, checked."""

    path: Path
    files: tuple[tuple[str, Path, int], ...]
    """(name in the archive, file, bytes), in the order of names; one without a name: the picture itself."""
    size: int
    """Bytes of the upload."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which is packed."""
        return self.files[0][0] != ""


def checked_source(text: str, folders: tuple[Path, ...], limit: int) -> Source:
    """A picture or a folder inside one of `folders`.

    Raises Problem: 422 for what cannot be a source or has entries that must not leave this machine, 413 if it
    is larger than `limit` bytes.
    """
    if "\0" in text or not text.strip():
        raise Problem(422, "source: must be the path of a picture or a folder of pictures", field="source")
    try:
        source = _looked_at(text, folders)
    except (OSError, RuntimeError) as error:  # no such user, a name too long, a folder that may not be read
        reason = getattr(error, "strerror", None) or str(error)
        raise Problem(422, f"source: {text[:200]!r} cannot be read: {reason}", field="source") from error
    if source.size > limit:
        raise Problem(
            413,
            f"source: {source.size / 2**20:.1f} MiB packed, and Replicate takes {limit / 2**20:.0f} MiB: use "
            "fewer or smaller pictures, or give an https address of an archive that lies in your own storage",
            field="source",
        )
    return source


def _looked_at(text: str, folders: tuple[Path, ...]) -> Source:
    """The source, of any size. Raises Problem, OSError, and RuntimeError for `~` of an unknown user."""
    given = Path(text).expanduser()
    path = Path(os.path.realpath(given))
    if not any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
        allowed = ", ".join(map(str, folders))
        raise Problem(422, f"source: {text[:200]!r} is not inside {allowed} (--folder)", field="source")
    if path.is_dir():
        return _folder(path)
    if path.is_file() and not given.is_symlink():
        if refusal := _refusal(path, path.name):
            raise Problem(422, f"source: {refusal}", field="source")
        return Source(path, (("", path, path.stat().st_size),), path.stat().st_size)
    raise Problem(422, f"source: there is no file or folder {text[:200]!r}", field="source")


def pack(source: Source, target: Path, check: Callable[[], None]) -> None:
    """Write a folder's zip. `check` is called for each megabyte, and ends the work by raising.

    Raises OSError, and ValueError if a file is another than the one that was checked.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, path, size in source.files:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode) or found.st_size != size:
                    raise ValueError(f"{path} was changed while it was packed")
                with archive.open(zipfile.ZipInfo(name, _EARLIEST), "w") as entry:
                    while piece := file.read(_CHUNK):
                        check()
                        entry.write(piece)


def _folder(root: Path) -> Source:
    files, refused = [], []
    for path in _walk(root):
        name = path.relative_to(root).as_posix()
        if refusal := _refusal(path, name):
            refused.append(refusal)
        else:
            files.append((name, path, path.stat().st_size))
        if len(files) > _MOST_FILES:
            raise Problem(422, f"source: more than {_MOST_FILES} files in {str(root)!r}", field="source")
    if refused:
        more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise Problem(
            422,
            f"source: not everything in {str(root)!r} may leave this machine: "
            f"{'; '.join(refused[:_SHOWN])}{more}. Move these out of the folder.",
            field="source",
        )
    if not files:
        raise Problem(422, f"source: the folder {str(root)!r} has no pictures", field="source")
    files.sort()
    return Source(root, tuple(files), _zip_size(files))


def _walk(root: Path) -> Iterator[Path]:
    """Yield everything below a folder but folders; links are yielded, not followed."""
    for folder, names, files in os.walk(root, onerror=_raised):
        here = Path(folder)
        for name in [*names]:
            if name.startswith(".") or (here / name).is_symlink():
                names.remove(name)
                yield here / name
        yield from (here / name for name in files)


def _raised(error: OSError) -> NoReturn:
    raise error


def _refusal(path: Path, name: str) -> str:
    """Why a file must not leave, in words; empty if it may."""
    kind = path.lstat().st_mode
    if stat.S_ISLNK(kind):
        return f"{name!r} is a link"
    if any(part.startswith(".") for part in Path(name).parts):
        return f"{name!r} is hidden"
    if not stat.S_ISREG(kind):
        return f"{name!r} is no file"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return f"{name!r} has a name that is no text"
    if path.suffix.lower() not in _SUFFIXES:
        return f"{name!r} is no picture"
    return ""


def _zip_size(files: list[tuple[str, Path, int]]) -> int:
    """The exact size of the zip that `pack` writes; no entry is compressed."""
    headers = sum(_LOCAL_HEADER + _CENTRAL_HEADER + 2 * len(name.encode()) for name, _, _ in files)
    return headers + sum(size for _, _, size in files) + _END
