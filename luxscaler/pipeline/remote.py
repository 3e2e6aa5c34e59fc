"""What a server's clients name: URLs and data URLs, fetched into files. Text from a request is never a path.

How far fetching goes is chosen by the server's environment, read once (`FetchSettings.of`):

    LUXSCALER_FETCH_ALLOW    networks allowed beside public addresses, e.g. 127.0.0.0/8,10.1.2.3; or `any`
    LUXSCALER_FETCH_MB       the most that one picture may have, in megabytes of 10⁶ bytes
    LUXSCALER_FETCH_SECONDS  the longest that fetching one picture may take
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

from luxscaler.cog.data_urls import Base64Decoder
from luxscaler.errors import FetchError, InputError
from luxscaler.web.fetch import FetchLimits, fetch
from luxscaler.web.reach import PUBLIC, Reach
from luxscaler.web.url import Url
from luxscaler.words import counted

DEFAULT_LIMITS = FetchLimits()
_MB = 1_000_000
_DATA = re.compile("data:", re.IGNORECASE)


@dataclass(frozen=True)
class FetchSettings:
    """Where a server fetches pictures from, and within which limits."""

    reach: Reach = PUBLIC
    limits: FetchLimits = DEFAULT_LIMITS

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "FetchSettings":
        """The settings that the environment chooses. Raises InputError for a value that is not valid."""
        limits = DEFAULT_LIMITS
        return cls(
            Reach.parse(environment.get("LUXSCALER_FETCH_ALLOW", ""), "LUXSCALER_FETCH_ALLOW"),
            replace(
                limits,
                bytes=int(_MB * _number(environment, "LUXSCALER_FETCH_MB", limits.bytes / _MB)),
                seconds=_number(environment, "LUXSCALER_FETCH_SECONDS", limits.seconds),
            ),
        )


def check_url(text: str) -> None:
    """Raise FetchError for text that is no http, https or data URL."""
    if not _DATA.match(text):
        Url.parse(text)


def fetch_file(
    text: str, path: Path, settings: FetchSettings, check: Callable[[], None] = lambda: None
) -> None:
    """Fetch the URL into a file at `path`.

    check: called often; what it raises ends the work. Raises FetchError, and InputError if the disk is full.
    """
    try:
        with path.open("wb") as file:
            if _DATA.match(text):
                file.write(_decoded(text, settings.limits.bytes))
            else:
                fetch(text, file.write, limits=settings.limits, reach=settings.reach, check=check)
    except OSError as error:
        raise InputError(f"it cannot be stored: {error.strerror}") from error


def _decoded(text: str, most: int) -> bytes:
    """A data URL's bytes; base64 or percent-encoded, with or without line breaks."""
    head, comma, body = text.partition(",")
    if not comma:
        raise FetchError("it is a data URL without a comma")
    data = unquote_to_bytes(body) if "%" in body else body.encode("utf-8", "replace")
    if head.lower().rstrip().endswith(";base64"):
        decoder = Base64Decoder()
        try:
            data = decoder.feed(data.translate(None, b" \t\r\n")) + decoder.end()
        except ValueError as error:
            raise FetchError(f"it is {error}") from error
    if len(data) > most:
        raise FetchError(f"it has {counted(len(data), 'byte', ',')}, the limit is {most:,}")
    return data


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"{name} is {text[:40]!r}; it must be a number above 0")
    return value
