"""Everything about a console that is chosen when it starts, in one frozen value.

What can be changed while it runs (webhook address, limits, prices) is in provider_settings.py; environment
and files are read by luxscaler/cli/server.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler.errors import ConsoleError
from luxscaler.replicate.api import DEFAULT_BASE_URL, MAX_FILE

MIB = 1024 * 1024
DEFAULT_PORT = 8080
MIN_PASSWORD_CHARACTERS = 8
_LOOPBACK = re.compile(r"localhost|::1|127(\.\d{1,3}){3}")


@dataclass(frozen=True)
class Settings:
    """How one console behaves; times in seconds. Raises ConsoleError for values that cannot work."""

    data: Path
    """Folder of the database, the token and the results."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    password: str = field(default="", repr=False)
    """What people log in with; empty: everyone who can connect may do everything."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which browsers may call it, beside `host` and this machine's own."""
    folders: tuple[Path, ...] = field(default_factory=lambda: (Path.home(),))
    """What jobs are made from has to lie in one of them."""
    environment_token: str = field(default="", repr=False)
    """REPLICATE_API_TOKEN."""
    delivery_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """HF_TOKEN and AWS's variables: where results are delivered to is set while it runs."""
    base_url: str = DEFAULT_BASE_URL
    status_url: str = "https://www.replicatestatus.com/api/v1/summary"
    """The provider's status page, as JSON."""
    poll_seconds: float = 5.0
    """Between two questions about a job that is under way; webhooks are faster."""
    settling_seconds: float = 20.0
    """A run that is not listed so long after its start was never started."""
    overtime_seconds: float = 600.0
    """After its deadline a job is canceled; after so long more it is taken for lost."""
    download_seconds: float = 1800.0
    """Longest time for one file of a result."""
    session_seconds: float = 14 * 86400.0
    max_upload_bytes: int = MAX_FILE
    max_result_bytes: int = 8 * 1024 * MIB
    max_webhook_bytes: int = 32 * MIB
    """Largest body of a webhook, which carries all logs."""
    max_picture_bytes: int = 1024 * MIB
    """Largest picture that is uploaded to the console."""
    max_pictures_bytes: int = 16 * 1024 * MIB
    """Most bytes of all uploaded pictures together."""
    picture_seconds: float = 7 * 86400.0
    """After so long an uploaded picture is removed."""
    max_body_bytes: int = MIB
    """Largest body of every other request."""
    head_seconds: float = 10.0
    """Longest time for a request's head, and between two pieces of its body."""
    max_connections: int = 512
    """Most connections at once; fewer where the system allows fewer files."""
    workers: int = 8
    """Jobs that are uploaded, asked for or downloaded at once."""

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ConsoleError(f"port must be 1 to 65535, got {self.port}")
        if self.password and len(self.password) < MIN_PASSWORD_CHARACTERS:
            raise ConsoleError(f"the password must have at least {MIN_PASSWORD_CHARACTERS} characters")
        if not self.is_loopback and not self.password:
            raise ConsoleError(
                f"--host {self.host} lets other machines connect: set a password, by --password-file or "
                "LUXSCALER_CONSOLE_PASSWORD"
            )

    @property
    def pictures(self) -> Path:
        """Folder of uploaded pictures."""
        return self.data / "pictures"

    @property
    def sources(self) -> tuple[Path, ...]:
        """Folders that jobs may be made from."""
        return (*self.folders, self.pictures)

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        return bool(_LOOPBACK.fullmatch(self.host))

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not bound here
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
