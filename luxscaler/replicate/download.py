"""Fetches a result into a file: in full, within a limit of size and time, or not at all.

The address comes from a server's reply: only web addresses and data URLs are followed, and the client that
fetches them holds no token.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx

from luxscaler.cog.data_urls import decode_data_url
from luxscaler.errors import BackendError, TileError

_MAX_REDIRECTS = 5
_GONE = (401, 403, 404, 410)


class GoneError(Exception):
    """The result is not at its address any more."""


def fetch(
    client: httpx.Client, url: str, path: Path, most: int, seconds: float, now: Callable[[], float]
) -> str:
    """Write what is at `url` to `path`; its SHA-256.

    Raises GoneError, TileError when another try may do, BackendError for an address that is none to follow.
    """
    if url.startswith("data:"):
        try:
            data = decode_data_url(url)
        except ValueError as error:
            raise TileError(f"the result is {error}") from error
        _check_size(len(data), most)
        path.write_bytes(data)
        return sha256(data).hexdigest()
    try:
        return _fetch(client, _checked(url), path, most, now() + seconds, now)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TileError(f"the download of the result broke: {str(error) or type(error).__name__}") from error


def _fetch(
    client: httpx.Client, url: httpx.URL, path: Path, most: int, deadline: float, now: Callable[[], float]
) -> str:
    for _ in range(_MAX_REDIRECTS):
        with client.stream("GET", url) as answer:
            if answer.is_redirect:
                url = _checked(str(url.join(answer.headers["location"])), from_https=url.scheme == "https")
                continue
            if answer.status_code in _GONE:
                raise GoneError(f"HTTP {answer.status_code}")
            if answer.status_code != httpx.codes.OK:
                raise TileError(f"the download of the result gives HTTP {answer.status_code}")
            digest, size = sha256(), 0
            with path.open("wb") as file:
                for piece in answer.iter_bytes():
                    size += len(piece)
                    _check_size(size, most)
                    if now() > deadline:
                        raise TileError(f"the download of the result is too slow: {size} bytes so far")
                    digest.update(piece)
                    file.write(piece)
            return digest.hexdigest()
    raise TileError(f"the download of the result is redirected more than {_MAX_REDIRECTS} times")


def _checked(url: str, *, from_https: bool = False) -> httpx.URL:
    parts = httpx.URL(url)
    if parts.scheme not in (("https",) if from_https else ("https", "http")) or not parts.host:
        raise BackendError(f"the result is said to be at {url[:100]!r}, which is no address to fetch it from")
    return parts


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TileError(f"the result has more than {most} bytes")
