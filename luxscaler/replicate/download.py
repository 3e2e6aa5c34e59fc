"""Fetches a result into a file: in full, within a limit of size and time, or not at all.

The address comes from a server's reply: only web addresses and data URLs are followed, and the client that
fetches them holds no token.

    fetch     into a new file
    resume    continues the file of an earlier try, if the server says that it is still the same
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from luxscaler.cog.data_urls import decode_data_url
from luxscaler.errors import BackendError, TileError
from luxscaler.words import counted

_MAX_REDIRECTS = 5
_GONE = (401, 403, 404, 410)
_CHUNK = 1 << 20


class GoneError(Exception):
    """The result is not at its address any more."""


@dataclass(frozen=True)
class FetchLimits:
    """What one download may take."""

    bytes: int
    seconds: float
    """Longest time of one try."""


def fetch(client: httpx.Client, url: str, path: Path, limits: FetchLimits, now: Callable[[], float]) -> str:
    """Download `url` to `path`, and return the SHA-256 of the file in hexadecimal.

    now: gives seconds. Raises GoneError, TileError when another try may succeed, and BackendError for an
    address that is not followed.
    """
    return _written(client, url, _Begun(path), limits, now)


def resume(client: httpx.Client, url: str, path: Path, limits: FetchLimits, now: Callable[[], float]) -> str:
    """Like `fetch`, but a try that broke leaves its bytes at `path`, and the next continues there.

    That needs an ETag or a date of the server's, which is noted beside `path`; without one, or if the file
    has changed, the download starts again. Leave `path` as it is after a TileError.
    """
    return _written(client, url, _Begun.found(path), limits, now)


def note_path(path: Path) -> Path:
    """The file beside `path` in which `resume` notes what it needs to continue."""
    return path.with_name(f"{path.name}.json")


@dataclass(frozen=True)
class _Begun:
    """What an earlier try left at `path`, and how the server identifies the file."""

    path: Path
    size: int = 0
    validator: str = ""
    """A strong ETag, or a date of last modification; empty: start again."""
    total: int | None = None
    keeps: bool = False

    @classmethod
    def found(cls, path: Path) -> "_Begun":
        note = _read_note(note_path(path))
        validator, total = note.get("validator"), note.get("total")
        size = path.stat().st_size if path.is_file() else 0
        if size and isinstance(validator, str) and validator and isinstance(total, int) and size < total:
            return cls(path, size, validator, total, keeps=True)
        return cls(path, keeps=True)

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"} if self.keeps else {}
        if self.size:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self.validator}
        return headers

    def anew(self) -> "_Begun":
        """The state after removing what is at `path`."""
        note_path(self.path).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        return _Begun(self.path, keeps=self.keeps)


def _written(
    client: httpx.Client, url: str, begun: _Begun, limits: FetchLimits, now: Callable[[], float]
) -> str:
    if url.startswith("data:"):
        try:
            data = decode_data_url(url)
        except ValueError as error:
            raise TileError(f"the result is {error}") from error
        _check_size(len(data), limits.bytes)
        begun.path.write_bytes(data)
        return sha256(data).hexdigest()
    try:
        return _fetched(client, _checked(url), begun, limits, now)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TileError(f"the download of the result broke: {str(error) or type(error).__name__}") from error


def _fetched(
    client: httpx.Client, url: httpx.URL, begun: _Begun, limits: FetchLimits, now: Callable[[], float]
) -> str:
    deadline = now() + limits.seconds
    for _ in range(_MAX_REDIRECTS):
        with client.stream("GET", url, headers=begun.headers) as answer:
            if answer.is_redirect:
                url = _checked(str(url.join(answer.headers["location"])), from_https=url.scheme == "https")
                continue
            if answer.status_code in _GONE:
                raise GoneError(f"HTTP {answer.status_code}")
            return _received(answer, _confirmed(answer, begun), limits, deadline, now)
    raise TileError(f"the download of the result is redirected more than {_MAX_REDIRECTS} times")


def _confirmed(answer: httpx.Response, begun: _Begun) -> _Begun:
    """What the bytes of the answer are appended to: the file as it is, or an empty one. Raises TileError."""
    if answer.status_code == httpx.codes.OK:
        return begun.anew()
    if not begun.size or answer.status_code not in (206, 416):
        raise TileError(f"the download of the result gives HTTP {answer.status_code}")
    expected = f"bytes {begun.size}-{(begun.total or 0) - 1}/{begun.total}"
    if answer.status_code == 416 or answer.headers.get("content-range") != expected:
        begun.anew()
        raise TileError("the download of the result could not go on where it broke, and begins anew")
    if (validator := _validator(answer)) and validator != begun.validator:
        begun.anew()
        raise TileError("the result has become another while it was downloaded, and its download begins anew")
    return begun


def _received(
    answer: httpx.Response, begun: _Begun, limits: FetchLimits, deadline: float, now: Callable[[], float]
) -> str:
    digest, size = _digest(begun), begun.size
    if begun.keeps and not begun.size:
        _write_note(note_path(begun.path), answer)
    with begun.path.open("ab" if begun.size else "wb") as file:
        for piece in answer.iter_bytes():
            size += len(piece)
            _check_size(size, limits.bytes)
            if now() > deadline:
                raise TileError(f"the download of the result is too slow: {counted(size, 'byte')} so far")
            digest.update(piece)
            file.write(piece)
    if begun.total is not None and size != begun.total:
        raise TileError(f"the download of the result broke: {size} of {begun.total} bytes")
    note_path(begun.path).unlink(missing_ok=True)
    return str(digest.hexdigest())


def _digest(begun: _Begun) -> Any:
    """The SHA-256 of what is at `path` already, to be updated."""
    digest = sha256()
    if begun.size:
        with begun.path.open("rb") as file:
            while piece := file.read(_CHUNK):
                digest.update(piece)
    return digest


def _validator(answer: httpx.Response) -> str:
    """The header that identifies exactly these bytes; empty where the server sends none that does."""
    tag = str(answer.headers.get("etag", ""))
    if tag and not tag.startswith("W/"):
        return tag
    return str(answer.headers.get("last-modified", ""))


def _write_note(path: Path, answer: httpx.Response) -> None:
    """Write the note for the next try, if one could continue."""
    length, encoding = answer.headers.get("content-length", ""), answer.headers.get("content-encoding", "")
    validator = _validator(answer)
    if validator and length.isdigit() and encoding in ("", "identity"):
        path.write_text(json.dumps({"validator": validator, "total": int(length)}), encoding="utf-8")


def _read_note(path: Path) -> dict[str, Any]:
    """The note; empty if there is none or it is damaged, so that the download starts again."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _checked(url: str, *, from_https: bool = False) -> httpx.URL:
    parts = httpx.URL(url)
    if parts.scheme not in (("https",) if from_https else ("https", "http")) or not parts.host:
        raise BackendError(f"the result is said to be at {url[:100]!r}, which is no address to fetch it from")
    return parts


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TileError(f"the result has more than {most} bytes")
