"""http and https URLs that others name: taken apart, and shown without what is secret in them."""

import base64
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit

from luxscaler.errors import FetchError

MAX_CHARACTERS = 8192
_MAX_SHOWN = 100
_PORTS = {"http": 80, "https": 443}
_UNRESERVED = "!#$%&'()*+,/:;=?@[]~-._"


@dataclass(frozen=True)
class Url:
    """One http or https URL."""

    scheme: str
    host: str
    """A name or an address, in lower case, an IPv6 address without its brackets."""
    port: int
    target: str = field(repr=False)
    """Path and query, as a request names them."""
    authorization: str = field(default="", repr=False)
    """The value of the header, if the URL has a user's name and password."""

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Raises FetchError, whose text shows no password, for anything but an http or https URL."""
        if len(text) > MAX_CHARACTERS:
            raise FetchError(f"the URL has {len(text)} characters; it may have {MAX_CHARACTERS}")
        if not text.isprintable() or "\\" in text or " " in text.strip():
            raise FetchError("the URL has characters that no URL has")
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError as error:
            raise FetchError(f"no URL: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname or port == 0:
            raise FetchError(f"{shown_text(text)!r} is no http or https URL")
        try:
            host = parts.hostname if ":" in parts.hostname else parts.hostname.encode("idna").decode()
        except UnicodeError as error:
            raise FetchError(f"{shown_text(text)!r} names no host that can be looked up") from error
        target = quote(parts.path or "/", safe=_UNRESERVED)
        target += f"?{quote(parts.query, safe=_UNRESERVED)}" if parts.query else ""
        authorization = _basic(parts.username, parts.password)
        return cls(parts.scheme, host.lower(), port or _PORTS[parts.scheme], target, authorization)

    def joined(self, location: str) -> "Url":
        """Where a redirect leads; a user's name and password stay with their own host."""
        found = Url.parse(urljoin(f"{self.origin}{self.target}", location))
        if found.origin != self.origin or found.authorization:
            return found
        return Url(found.scheme, found.host, found.port, found.target, self.authorization)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.host_header}"

    @property
    def host_header(self) -> str:
        """The host, and the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """For messages and logs: without user, password and query, which may hold a signature."""
        path = self.target.partition("?")[0]
        text = f"{self.origin}{path}"
        return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _basic(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def shown_text(text: str) -> str:
    """The beginning of what is no URL, without what could be a password or a signature."""
    head = text.partition("?")[0]
    if "@" in head:
        scheme, separator, rest = head.partition("://")
        head = f"{scheme}{separator}…@{rest.rpartition('@')[2]}"
    return head if len(head) <= _MAX_SHOWN else f"{head[: _MAX_SHOWN - 1]}…"
