"""Where a result can be published, as values that check themselves.

Secrets are fields that no repr shows. The environment is read only by `hub_of` and `s3_of`, from the mapping
that they are given.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler.errors import FetchError, InputError, PublishError
from luxscaler.web.url import Url, shown_text

HUB = "https://huggingface.co"
_REPO = re.compile(r"(?:[A-Za-z0-9](?:[\w.-]{0,94}\w)?/)?[A-Za-z0-9_](?:[\w.-]{0,94}\w)?", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_MAX_PREFIX = 800


@dataclass(frozen=True)
class Network:
    """How the Hub and S3 are reached."""

    proxy: str = ""
    """URL of a proxy for all calls; empty: what HTTPS_PROXY and its like say."""
    ca_bundle: str = ""
    """Path of a file of certificates to trust; empty: the usual ones."""
    timeout: float = 60.0
    """Seconds without a byte."""


@dataclass(frozen=True)
class HubDestination:
    """A repository for models on the Hugging Face Hub. Raises InputError for a name that cannot be one."""

    repo: str
    """OWNER/NAME, or NAME for the token's own account."""
    token: str = field(repr=False)
    public: bool = False
    """Whether anybody may see it: a new repository is private unless this is set, and files go to a public
    repository only if it is set."""
    endpoint: str = HUB

    def __post_init__(self) -> None:
        if not _REPO.fullmatch(self.repo) or "--" in self.repo or ".." in self.repo:
            raise InputError(
                f"the Hub repository is {self.repo[:120]!r}; it must be OWNER/NAME of letters, digits, - _ ."
            )
        if not self.token:
            raise PublishError("HF_TOKEN not set: publishing to the Hugging Face Hub needs a token")
        if not (self.token.isascii() and self.token.isprintable()) or " " in self.token:
            raise PublishError("HF_TOKEN holds characters that no token has")
        _check_address("the Hub's address", self.endpoint)


@dataclass(frozen=True)
class S3Destination:
    """A place in S3-compatible storage. Raises InputError for a name that cannot be one."""

    bucket: str
    prefix: str = ""
    """What every key begins with, without slashes at its ends."""
    endpoint: str = ""
    """URL of MinIO, B2, R2 …; empty: AWS, or what AWS_ENDPOINT_URL says."""
    region: str = ""
    key_id: str = field(default="", repr=False)
    """With `secret`; both empty: what boto3 finds (environment, profile, instance)."""
    secret: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise InputError(
                f"the bucket is {self.bucket[:80]!r}; it must be 3 to 63 of a to z, digits, - and ."
            )
        parts = self.prefix.split("/") if self.prefix else []
        if (
            not self.prefix.isprintable()
            or len(self.prefix.encode()) > _MAX_PREFIX
            or any(part in ("", ".", "..") for part in parts)
        ):
            raise InputError(f"the prefix is {self.prefix[:80]!r}; it must be names with a slash between")
        if bool(self.key_id) != bool(self.secret):
            missing = "AWS_SECRET_ACCESS_KEY" if self.key_id else "AWS_ACCESS_KEY_ID"
            raise PublishError(f"{missing} not set: storage needs both its key's id and its secret")
        if self.endpoint:
            _check_address("the storage's endpoint", self.endpoint)


@dataclass(frozen=True)
class FolderDestination:
    """A folder on this machine."""

    folder: Path


Destination = HubDestination | S3Destination | FolderDestination


def hub_of(repo: str, environ: Mapping[str, str], *, public: bool = False) -> HubDestination:
    """With HF_TOKEN, and HF_ENDPOINT for another Hub. Raises InputError and PublishError."""
    endpoint = environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB
    return HubDestination(repo, environ.get("HF_TOKEN", "").strip(), public, endpoint)


def s3_of(url: str, environ: Mapping[str, str], *, endpoint: str = "") -> S3Destination:
    """url: s3://BUCKET[/PREFIX]. With AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION and AWS's keys.

    Raises InputError and PublishError.
    """
    scheme, separator, rest = url.partition("://")
    if scheme != "s3" or not separator:
        raise InputError(f"the S3 address is {shown_text(url)!r}; it must be s3://BUCKET/PREFIX")
    bucket, _, prefix = rest.partition("/")
    named = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
    return S3Destination(
        bucket,
        prefix.strip("/"),
        (endpoint or named).rstrip("/"),
        environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "",
        environ.get("AWS_ACCESS_KEY_ID", ""),
        environ.get("AWS_SECRET_ACCESS_KEY", ""),
        environ.get("AWS_SESSION_TOKEN", ""),
    )


def _check_address(name: str, address: str) -> None:
    try:
        parsed = Url.parse(address)
    except FetchError as error:
        raise InputError(f"{name} cannot be used: {error}") from error
    if parsed.authorization or "?" in parsed.target:
        raise InputError(f"{name} is {parsed.shown!r}; it must have no password and no query")
