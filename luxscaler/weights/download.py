"""Downloads one file whose size and SHA-256 are known.

The target's name always means a checked file: bytes go to a `.part` file that is renamed once its hash is
right. An interrupted download resumes where it stopped, at the next attempt or in the next process. While a
process writes, its `.part` file has a unique name, so two processes may fetch the same file at once.
"""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from luxscaler.errors import WeightsError

ByteProgress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

CHUNK_BYTES = 256 * 1024
ABANDONED_S = 24 * 3600
"""A `.part` file of another process that has not grown for this long is left over from a crash."""


@dataclass(frozen=True)
class FileDigest:
    """The name, size and hash that a file must have; any other file of that name is refused."""

    name: str
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal."""


@dataclass(frozen=True)
class Limits:
    """Time and attempts that a download may take."""

    timeout_s: float = 10.0
    """Seconds to wait for a connection, and then for the next bytes."""
    attempts: int = 5
    """Connections in all; another is made only after one that received something."""


class _CutError(Exception):
    """The transfer ended early; `again` says whether another attempt may bring more."""

    def __init__(self, reason: object, again: bool) -> None:
        super().__init__(str(reason))
        self.again = again


def download(
    url: str,
    folder: Path,
    file: FileDigest,
    progress: ByteProgress | None = None,
    limits: Limits | None = None,
) -> Path:
    """Fetch `url` to `folder / file.name`, replacing what is there. Returns that path.

    Raises `WeightsError` if the server cannot be reached, answers with an error, stalls for longer than
    the limit, or sends anything but the bytes of that size and hash. What arrived before a cut stays for
    the next call; wrong bytes are deleted.
    """
    limits = limits or Limits()
    if not url.startswith(("https://", "http://")):
        raise WeightsError(f"only http and https addresses are fetched, got {url!r}")
    target = folder / file.name
    try:
        with claimed_part(target) as part:
            _receive_all(url, part, file, progress or _ignore, limits)
            _check(part, file, url)
            part.replace(target)
    except OSError as error:
        raise WeightsError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _ignore(_done: int, _total: int) -> None:
    pass


@contextmanager
def claimed_part(target: Path) -> Iterator[Path]:
    """Yield a `.part` file that no other process writes to, with the bytes that an earlier download left.

    Renaming is atomic: of two processes one takes over those bytes, the other starts from nothing.
    """
    shared = target.with_name(f"{target.name}.part")
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    for other in target.parent.glob(f"{target.name}.*.part"):
        with suppress(FileNotFoundError):  # its owner may be renaming it
            if time.time() - other.stat().st_mtime > ABANDONED_S:
                other.unlink()
    try:
        os.utime(shared)  # from here on it is in use, not abandoned
        shared.rename(part)
    except FileNotFoundError:
        part.touch()
    try:
        yield part
    finally:
        if part.exists():
            if part.stat().st_size:
                part.replace(shared)
            else:
                part.unlink()


def _receive_all(url: str, part: Path, file: FileDigest, progress: ByteProgress, limits: Limits) -> None:
    """Connect until all bytes are there."""
    for attempt in range(1, limits.attempts + 1):
        try:
            _receive(url, part, file.size, progress, limits.timeout_s)
        except _CutError as cut:  # noqa: PERF203 - a retry loop
            if not cut.again or attempt == limits.attempts:
                raise WeightsError(f"{url}: {cut}") from cut
        else:
            return


def _receive(url: str, part: Path, size: int, progress: ByteProgress, timeout_s: float) -> None:
    """One connection: append to `part` what is missing; raises `_CutError` if that does not complete it."""
    if part.stat().st_size >= size:
        return
    have = part.stat().st_size
    with _open(url, part, have, timeout_s) as response:
        done = have if _resumes(response, part, have, size) else 0
        start = done
        with part.open("ab" if done else "wb") as file:
            progress(done, size)
            while chunk := _next_chunk(response, again=done > start):
                done += len(chunk)
                if done > size:
                    file.truncate(0)
                    raise _CutError(f"sends more than the expected {size} bytes", again=False)
                file.write(chunk)
                progress(done, size)
    if done < size:
        raise _CutError(f"connection ended after {done} of {size} bytes", again=done > start)


def _open(url: str, part: Path, have: int, timeout_s: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": "luxscaler"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.write_bytes(b"")
            raise _CutError("refuses to resume", again=True) from error
        raise _CutError(f"HTTP {error.code} {error.reason}", again=False) from error
    except urllib.error.URLError as error:
        raise _CutError(f"cannot connect: {error.reason}", again=False) from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"no answer: {error!r}", again=False) from error
    return response


def _resumes(response: http.client.HTTPResponse, part: Path, have: int, size: int) -> bool:
    """Whether the body continues after the first `have` bytes; False if it starts from nothing."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        if have and response.headers.get("Content-Range", "").startswith(f"bytes {have}-{size - 1}/{size}"):
            return True
        part.write_bytes(b"")
        raise _CutError("resumes at another place", again=bool(have))
    if response.length not in (None, size):
        raise _CutError(f"has {response.length} bytes, expected {size}", again=False)
    return False


def _next_chunk(response: http.client.HTTPResponse, again: bool) -> bytes:
    try:
        return response.read1(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"connection broke: {error or repr(error)}", again) from error


def _check(part: Path, file: FileDigest, origin: str) -> None:
    actual = sha256_of(part)
    if part.stat().st_size != file.size or actual != file.sha256:
        part.unlink()
        raise WeightsError(f"{origin}: SHA-256 of what arrived is {actual}, expected {file.sha256}; deleted")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all; raises `WeightsError` if it cannot be written."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror or error}") from error
