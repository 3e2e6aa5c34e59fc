"""Who may use the console: everyone who can connect, or, with a password, whoever has logged in.

A session's key is in a cookie or goes as a bearer token; the database has its hash only.
"""

import hashlib
import secrets

from luxscaler.clock import Clock
from luxscaler.console.database import Database
from luxscaler.gateway.limits import RateLimit, throttled
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.signing import same

COOKIE = "luxscaler_session"
_TRIES_PER_MINUTE = 10


class Sessions:
    """The sessions of one console."""

    def __init__(self, database: Database, clock: Clock, password: str, seconds: float) -> None:
        """password: empty if none is needed. seconds: how long a session lasts."""
        self._database, self._clock = database, clock
        self._password, self._seconds = password, seconds
        self._tries = RateLimit(_TRIES_PER_MINUTE)

    @property
    def needed(self) -> bool:
        """Whether people have to log in."""
        return self._password != ""

    def log_in(self, password: str) -> str:
        """The key of a new session. Raises Problem: 401, and 429 after too many tries."""
        verdict = self._tries.ask(self._clock.now())
        if not verdict.allowed:
            raise throttled(verdict)
        if not self.needed or not same(_hash(password), _hash(self._password)):
            raise Problem(401, "The password is not right")
        key, now = secrets.token_urlsafe(32), self._clock.now()
        with self._database.transaction():
            self._database.run("DELETE FROM sessions WHERE expires_at <= ?", [now])
            self._database.run("INSERT INTO sessions VALUES (?, ?)", [_hash(key), now + self._seconds])
        return key

    def log_out(self, key: str) -> None:
        """End a session."""
        self._database.run("DELETE FROM sessions WHERE hash = ?", [_hash(key)])

    def is_open(self, key: str) -> bool:
        """Whether a key is that of a session."""
        rows = self._database.rows("SELECT expires_at FROM sessions WHERE hash = ?", [_hash(key)])
        return bool(rows) and float(rows[0][0]) > self._clock.now()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
