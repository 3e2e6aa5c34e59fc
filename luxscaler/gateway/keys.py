"""The gateway's secrets: the bearer token, the webhooks' signing secret, the key of signed addresses.

They lie in the data folder, which only its owner can enter, each in a file that only its owner can read, and
are made on first use. Their values never reach a log or a repr. replicate/signing.py signs with them.
"""

import base64
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler.errors import GatewayError

TOKEN_FILE = "token"  # noqa: S105 - a file's name
_WEBHOOK_FILE = "webhook-secret"
_ADDRESS_FILE = "address-key"
MIN_TOKEN_CHARACTERS = 8


@dataclass(frozen=True)
class Keys:
    """What a gateway keeps to itself and its clients."""

    token: str = field(repr=False)
    """What clients send as `Authorization: Bearer ...`."""
    webhook_secret: str = field(repr=False)
    """whsec_ and base64: the key of the webhooks' signatures."""
    address_key: bytes = field(repr=False)
    """Signs addresses of files; no client gets it."""


def load_keys(folder: Path, token: str = "") -> Keys:
    """The folder's keys, made where there are none; a token that is given is not written down."""
    private_folder(folder)
    if token and (len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable()):
        raise GatewayError(f"the token must be at least {MIN_TOKEN_CHARACTERS} printable ASCII characters")
    return Keys(
        token or _kept(folder / TOKEN_FILE, "gw_" + secrets.token_hex(20)),
        _kept(folder / _WEBHOOK_FILE, "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()),
        bytes.fromhex(_kept(folder / _ADDRESS_FILE, secrets.token_hex(32))),
    )


def private_folder(folder: Path) -> None:
    """Make the folder, or find it usable; it is its owner's alone, under any umask."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise GatewayError(f"cannot use the folder {str(folder)!r}: {error.strerror}") from error


def read_token_file(path: Path) -> str:
    """A token that the user keeps in a file."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise GatewayError(f"cannot read the token file {str(path)!r}: {reason}") from error
    if not token:
        raise GatewayError(f"the token file {str(path)!r} is empty")
    return token


def _kept(path: Path, fresh: str) -> str:
    """What the file holds; the fresh value, written whole before anyone can read it, if there is none."""
    try:
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(fresh + "\n")
            partial.replace(path)
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise GatewayError(f"cannot keep a key in {str(path)!r}: {error.strerror}") from error
