"""All settings of a gateway in one frozen value; the default numbers are Replicate's.

The environment and files are not read here: luxscaler/cli/gateway.py and keys.py do that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from luxscaler.errors import GatewayError, InputError
from luxscaler.web.reach import Reach, literal
from luxscaler.web.url import shown_text

MIB = 1024 * 1024
HOUR = 3600.0
DEFAULT_MODEL = "josfer/luxscaler-v32"
DEFAULT_PORT = 5100
DATABASE = "gateway.sqlite3"
"""In the data folder."""
MODEL = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")
_VERSION = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """How one gateway behaves. Raises GatewayError for values that cannot work."""

    cogs: tuple[str, ...]
    """Addresses of the Cog containers for predictions, all of the same model, e.g. http://127.0.0.1:5000."""
    data: Path
    """Folder of the database, the files and the keys."""
    trainers: tuple[str, ...] = ()
    """Addresses of the Cog containers for trainings of that model, started with `--x-mode train`."""
    model: str = DEFAULT_MODEL
    """owner/name under which the containers are offered."""
    version: str = ""
    """64 hexadecimal digits; empty: derived from the model's name, so that it is known before Cog is."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    public_url: str = ""
    """Address that replies name, without /v1; empty: http://host:port."""
    cog_facing_url: str = ""
    """Address at which the containers reach this gateway; empty: http://host:port."""
    inputs: Literal["url", "data"] = "url"
    """How a container gets an uploaded file: a signed URL on this gateway, or a data URL."""
    outputs: Literal["auto", "url", "data"] = "auto"
    """How a client gets a result's file: a signed URL on this gateway, or a data URL.

    auto: as the official clients can use it. They make a file to read of https and data URLs alone, so where
    replies name an http address, files up to data_bytes are data URLs.
    """
    data_bytes: int = 32 * MIB
    rate_limits: bool = False
    creates_per_minute: int = 600
    calls_per_minute: int = 3000
    retention_seconds: float = HOUR
    """After its end a prediction loses input, output, logs and files."""
    expiry_seconds: float = 0.5
    """Between two checks for overdue or old predictions and old uploads."""
    file_seconds: float = 24 * HOUR
    """An upload is removed after so long."""
    max_file_bytes: int = 100 * MIB
    max_body_bytes: int = 32 * MIB
    """Of every request that is no upload."""
    page_size: int = 100
    health_seconds: float = 2.0
    """Between two health checks of an idle container."""
    accepted_seconds: float = 1.0
    """A container that has neither refused nor reported for so long has begun: its report was lost."""
    refused_seconds: float = 0.2
    """Pause after a refusal: Cog's slot is free a moment after its reply."""
    cancel_repeat_seconds: float = 1.0
    """Between two requests to a container to stop."""
    cancel_seconds: float = 10.0
    """A container that does not end a canceled prediction in this time loses the connection."""
    prediction_seconds: float = HOUR
    """Longest time that a container may take for one prediction."""
    training_seconds: float = 25 * HOUR
    """Longest time that a container may take for one training; the trainer's own limit is a day."""
    webhook_seconds: float = 10.0
    """Longest time that a webhook's receiver may take."""
    webhook_allow: str = ""
    """Networks beside public addresses that webhooks may go to, e.g. 127.0.0.0/8,10.1.2.3; or "any"."""
    head_seconds: float = 10.0
    """Longest time for a request's head, and between two pieces of its body."""
    max_connections: int = 512
    """Most connections at once; fewer where the system allows fewer files."""
    wrong_tokens_per_minute: int = 30
    """From one address; more get 429."""
    lost_seconds: float = 30.0
    """After a start, predictions that a container had may be reported by it for so long."""
    webhook_interval_seconds: float = 0.5
    """Shortest time between two output or logs webhooks of a prediction."""
    webhook_first_retry_seconds: float = 1.0
    """Before a terminal webhook is sent a second time; each further pause is twice as long."""
    webhook_retry_seconds: float = 60.0
    """A terminal webhook that is not taken is sent again for so long."""

    def __post_init__(self) -> None:
        containers = self.cogs + self.trainers
        if not containers:
            raise GatewayError("at least one Cog container is needed, e.g. --cog http://127.0.0.1:5000")
        if not 0 < self.port < 65536:
            raise GatewayError(f"port must be 1 to 65535, got {self.port}")
        if len(set(containers)) < len(containers):
            raise GatewayError(f"a container is named twice: {' '.join(map(shown_text, containers))}")
        for url in (*containers, self.base_url, self.address_for_cog):
            _check_url(url)
        _ = self.webhook_reach
        if not MODEL.fullmatch(self.model):
            raise GatewayError(f"model must be owner/name in lower case, got {self.model!r}")
        if self.version and not _VERSION.fullmatch(self.version):
            raise GatewayError(f"version must be 64 hexadecimal digits, got {self.version!r}")
        if self.retention_seconds <= 0 or self.page_size < 1:
            raise GatewayError("retention and page size must be above 0")

    @property
    def version_id(self) -> str:
        """64 hexadecimal digits."""
        return self.version or sha256(self.model.encode()).hexdigest()

    @property
    def webhook_reach(self) -> Reach:
        """Where webhooks may go: never to the containers, which would obey. Raises GatewayError."""
        try:
            reach = Reach.parse(self.webhook_allow, "webhook_allow")
        except InputError as error:
            raise GatewayError(str(error)) from error
        return replace(reach, never=frozenset(end for url in self.cogs + self.trainers for end in _ends(url)))

    @property
    def base_url(self) -> str:
        """The beginning of every address in a reply."""
        return self.public_url.rstrip("/") or self._own_url

    @property
    def address_for_cog(self) -> str:
        """The beginning of every address that a container is given."""
        return self.cog_facing_url.rstrip("/") or self._own_url

    @property
    def _own_url(self) -> str:
        """The address at which this machine reaches the gateway, also one that listens on all interfaces."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not bound here
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        return self.host in ("localhost", "::1") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", self.host))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment:
        raise GatewayError(f"not an http address: {shown_text(url)!r}")


def _ends(url: str) -> Iterator[tuple[str, int]]:
    """Yield (address, port) of a container's URL as far as its text shows them; names are not looked up."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    host = parts.hostname or ""
    for address in ("127.0.0.1", "::1") if host == "localhost" else (literal(host),):
        if address:
            yield address, port
