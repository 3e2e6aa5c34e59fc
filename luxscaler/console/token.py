"""Where Replicate's token is: in REPLICATE_API_TOKEN, which always wins, or in a private file.

The file is written only when Replicate has accepted the token (provider.py). The secret of webhooks, which
comes from Replicate too, lies beside it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from luxscaler.errors import ConsoleError, InputError
from luxscaler.gateway.problems import Problem
from luxscaler.private_files import private_folder, write_private
from luxscaler.replicate.api import checked_token

NOT_SET = "REPLICATE_API_TOKEN not set"
INVALID = "Invalid token"
PREFIX = "r8_"
_TOKEN_FILE = "replicate-token"  # noqa: S105 - a file's name
_SECRET_FILE = "webhook-secret"  # noqa: S105 - a file's name


@dataclass(frozen=True)
class FoundToken:
    """A token, and where it came from."""

    value: str = field(repr=False)
    source: Literal["environment", "file"]


class TokenRoom:
    """The one place where the token is kept."""

    def __init__(self, folder: Path, environment: str) -> None:
        """environment: REPLICATE_API_TOKEN, empty if it is not set. Raises ConsoleError."""
        self._folder, self._environment = folder, environment.strip()
        self.path = folder / _TOKEN_FILE
        try:
            private_folder(folder)
        except OSError as error:
            raise ConsoleError(f"cannot use the folder {str(folder)!r}: {error.strerror}") from error

    def find(self) -> FoundToken | None:
        """The current token; None if there is none. Raises ConsoleError if its file cannot be read."""
        if self._environment:
            return FoundToken(self._environment, "environment")
        kept = self._read(_TOKEN_FILE)
        return FoundToken(kept, "file") if kept else None

    def refuse_if_the_environment_rules(self) -> None:
        """Raise Problem (409) if the environment has a token: one that is kept here would have no effect."""
        if self._environment:
            raise Problem(
                409, "REPLICATE_API_TOKEN is set in the environment and always wins: change or unset it there"
            )

    def keep(self, token: str) -> Path:
        """Store a token, and forget the webhooks' secret, which may be another account's.

        Raises ConsoleError, and then the token before is still there.
        """
        self._write(_TOKEN_FILE, token)
        (self._folder / _SECRET_FILE).unlink(missing_ok=True)
        return self.path

    def forget(self) -> bool:
        """Remove the token and what belongs to its account; whether there was one."""
        was_there = self.path.exists()
        self.path.unlink(missing_ok=True)
        (self._folder / _SECRET_FILE).unlink(missing_ok=True)
        return was_there

    def webhook_secret(self) -> str:
        """The secret of webhooks as it was last fetched; empty if it never was."""
        return self._read(_SECRET_FILE)

    def keep_webhook_secret(self, secret: str) -> None:
        """Store the secret of webhooks for the next start. Raises ConsoleError."""
        self._write(_SECRET_FILE, secret)

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise ConsoleError(f"cannot read {str(self._folder / name)!r}: {reason}") from error

    def _write(self, name: str, text: str) -> None:
        try:
            write_private(self._folder / name, text + "\n")
        except OSError as error:
            raise ConsoleError(f"cannot write {str(self._folder / name)!r}: {error.strerror}") from error


def well_formed(text: str) -> str:
    """The token without surrounding white space. Raises Problem (422) if Replicate has no such tokens."""
    try:
        token = checked_token(text)
    except InputError as error:
        raise Problem(422, INVALID, field="api_token") from error
    if not token.startswith(PREFIX):
        raise Problem(422, INVALID, field="api_token")
    return token
