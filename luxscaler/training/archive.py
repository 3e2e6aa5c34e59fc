"""Unpacks an archive of pictures that may be hostile: zip, or tar with or without gzip, bzip2 or xz.

Only regular files are unpacked, under plain relative names. Anything else (links, devices, names that lead
out of the folder, more data than the limits) refuses the whole archive with one line. Limits count the
unpacked data, not what headers claim.
"""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from luxscaler.errors import InputError

_CHUNK = 1 << 20
_LARGEST_READ = 64 << 20
"""Bytes of the longest single read that tarfile may ask for; contents of files are read in smaller chunks."""
_Opener = Callable[..., Any]
_OPENERS: dict[bytes, _Opener] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_DRIVE = re.compile("[A-Za-z]:")
"""How a path on Windows begins; elsewhere a colon is a sign like others (12:30.png)."""
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold."""

    files: int = 10_000
    bytes: int = 20 * 2**30


def unpack(archive: Path, folder: Path, limits: ArchiveLimits = ArchiveLimits()) -> int:
    """Unpack into an existing folder. Returns the number of files. Raises InputError."""
    members = 0
    left = limits.bytes
    try:
        for name, stream in _members(archive, limits):
            members += 1
            if members > limits.files:
                raise InputError(f"the archive has more than {limits.files} files")
            target = folder / _checked(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with stream as source, target.open("xb") as file:
                left -= _copied(source, file, left, limits)
    except FileExistsError as error:
        raise InputError(f"the archive has {name!r} twice") from error
    except _DAMAGE as error:
        raise InputError(f"the archive cannot be unpacked: {' '.join(str(error).split())[:200]}") from error
    return members


def is_tar(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> bool:
    """Whether a file begins like a tar, compressed or not; the limits also bound what is unpacked to tell."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_decompressed(file, limits), mode="r:"):
            return True
    except (InputError, *_DAMAGE):  # a ValueError among them: numbers in a header that are none
        return False


def _decompressed(file: IO[bytes], limits: ArchiveLimits) -> "_Limited":
    head = file.read(6)
    file.seek(0)
    opener = next((each for magic, each in _OPENERS.items() if head.startswith(magic)), None)
    return _Limited(file if opener is None else opener(file), limits)


def _checked(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or _DRIVE.match(name) or "\0" in name:
        raise InputError(f"the archive has a file named {name[:80]!r}, which leads out of it")
    return str(path)


def _copied(source: IO[bytes], target: IO[bytes], most: int, limits: ArchiveLimits) -> int:
    done = 0
    while chunk := source.read(_CHUNK):
        done += len(chunk)
        if done > most:
            raise InputError(f"the archive unpacks to more than {limits.bytes:,} bytes")
        target.write(chunk)
    return done


def _members(archive: Path, limits: ArchiveLimits) -> Iterator[tuple[str, AbstractContextManager[IO[bytes]]]]:
    if zipfile.is_zipfile(archive):
        yield from _of_zip(archive)
        return
    with archive.open("rb") as file:
        yield from _of_tar(_decompressed(file, limits))


def _of_zip(archive: Path) -> Iterator[tuple[str, AbstractContextManager[IO[bytes]]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            kind = member.external_attr >> 28  # the upper four bits of a Unix mode; 0 where there is none
            if member.is_dir():
                continue
            if kind not in {0, 0o10}:
                raise InputError(f"the archive's {member.filename[:80]!r} is a link or a device")
            if member.flag_bits & 1:
                raise InputError(f"the archive's {member.filename[:80]!r} is encrypted")
            yield member.filename, opened.open(member)


def _of_tar(stream: "_Limited") -> Iterator[tuple[str, AbstractContextManager[IO[bytes]]]]:
    try:
        opened = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 - below
    except tarfile.ReadError as error:
        raise InputError("the archive is neither a zip nor a tar") from error
    with opened:
        for member in opened:
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise InputError(f"the archive's {member.name[:80]!r} is a link or a device")
            content = opened.extractfile(member)
            assert content is not None  # noqa: S101 - it is a regular file
            yield member.name, content


class _Limited(io.RawIOBase):
    """The decompressed stream of a tar. Raises InputError beyond the limit, and for reads of absurd sizes."""

    def __init__(self, stream: Any, limits: ArchiveLimits) -> None:
        self._stream = stream
        self._most = limits.bytes + 1024 * (limits.files + 100)
        self._limits = limits

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes."""
        if size > _LARGEST_READ or size < 0:
            raise InputError("the archive has a header of absurd size")
        data: bytes = self._stream.read(size)
        self._check()
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        if offset > self._most:
            raise InputError(f"the archive unpacks to more than {self._limits.bytes:,} bytes")
        place: int = self._stream.seek(offset, whence)
        self._check()
        return place

    def tell(self) -> int:
        """Where it is."""
        place: int = self._stream.tell()
        return place

    def seekable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True

    def _check(self) -> None:
        if self._stream.tell() > self._most:
            raise InputError(f"the archive unpacks to more than {self._limits.bytes:,} bytes")
