"""The gateway's secrets: the bearer token, the webhooks' signing secret, the key of signed addresses.

They lie in the data folder, which only its owner can enter, each in a file that only its owner can read, and
are made on first use. Their values never reach a log or a repr. replicate/signing.py signs with them.
"""

import base64
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler import private_files
from luxscaler.errors import GatewayError
from luxscaler.gateway.settings import DATABASE

TOKEN_FILE = "token"  # noqa: S105 - a file's name
_WEBHOOK_FILE = "webhook-secret"
_ADDRESS_FILE = "address-key"
_LOCK_FILE = "lock"
_WEBHOOK_PREFIX = "whsec_"
_MIN_KEY_BYTES = 24
_ADDRESS_KEY = re.compile(r"(?:[0-9a-fA-F]{2}){24,}")
MIN_TOKEN_CHARACTERS = 8


@dataclass(frozen=True)
class Keys:
    """The secrets of one gateway."""

    token: str = field(repr=False)
    """What clients send as `Authorization: Bearer ...`."""
    webhook_secret: str = field(repr=False)
    """whsec_ and base64: the key of the webhooks' signatures."""
    address_key: bytes = field(repr=False)
    """Signs addresses of files; no client gets it."""


def load_keys(folder: Path, token: str = "") -> Keys:
    """The keys in a folder, which are made where there are none. Raises GatewayError.

    token: used instead of the stored one, and not stored.
    """
    _own_folder(folder)
    if token:
        _check_token(token, "the token")
    else:
        token = _kept(folder / TOKEN_FILE, "gw_" + secrets.token_hex(20))
        _check_token(token, f"the token in {str(folder / TOKEN_FILE)!r}")
    webhook = _kept(
        folder / _WEBHOOK_FILE, _WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()
    )
    address = _kept(folder / _ADDRESS_FILE, secrets.token_hex(32))
    if len(_decoded(webhook.removeprefix(_WEBHOOK_PREFIX))) < _MIN_KEY_BYTES or not webhook.startswith(
        _WEBHOOK_PREFIX
    ):
        raise _odd(folder / _WEBHOOK_FILE, f"{_WEBHOOK_PREFIX} and base64 of {_MIN_KEY_BYTES} bytes or more")
    if not _ADDRESS_KEY.fullmatch(address):
        raise _odd(folder / _ADDRESS_FILE, f"hexadecimal digits for {_MIN_KEY_BYTES} bytes or more")
    return Keys(token, webhook, bytes.fromhex(address))


def _check_token(token: str, name: str) -> None:
    """Raise GatewayError for a token that is too short, or that a header cannot hold."""
    if len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise GatewayError(
            f"{name} must be at least {MIN_TOKEN_CHARACTERS} printable ASCII characters without a space"
        )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _odd(path: Path, right: str) -> GatewayError:
    return GatewayError(f"the key in {str(path)!r} is not {right}; remove the file, and another is made")


def private_folder(folder: Path) -> None:
    """Create the folder, or check it: only its owner may enter it. Raises GatewayError."""
    with _translated(folder):
        private_files.private_folder(folder)


def _own_folder(folder: Path) -> None:
    """`private_folder` for the data folder, in which nobody else may own files. Raises GatewayError."""
    with _translated(folder):
        marks = (_WEBHOOK_FILE, _ADDRESS_FILE, DATABASE)
        private_files.own_folder(folder, marks, (TOKEN_FILE, _LOCK_FILE))


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GatewayError(f"cannot use the folder {str(folder)!r}: {error.strerror}") from error


def read_token_file(path: Path) -> str:
    """The token in a file of the user's. Raises GatewayError."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise GatewayError(f"cannot read the token file {str(path)!r}: {reason}") from error
    if not token:
        raise GatewayError(f"the token file {str(path)!r} is empty")
    return token


def _kept(path: Path, fresh: str) -> str:
    """The value in a file; if there is none, the fresh value, which is written whole or not at all."""
    try:
        if not path.exists() or not path.read_text(encoding="utf-8", errors="replace").strip():
            private_files.write_private(path, fresh + "\n")
        path.chmod(0o600)
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise GatewayError(f"cannot keep a key in {str(path)!r}: {reason}") from error


@contextmanager
def only_gateway(folder: Path) -> Iterator[None]:
    """Keep other gateways out of the folder while the block lasts. Raises GatewayError if one is in it."""
    _own_folder(folder)
    try:
        with private_files.locked(folder / _LOCK_FILE):
            yield
    except BlockingIOError as error:
        raise GatewayError(f"another gateway works in the folder {str(folder)!r}") from error
    except OSError as error:
        raise GatewayError(f"cannot lock the folder {str(folder)!r}: {error.strerror}") from error
