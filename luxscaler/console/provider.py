"""Replicate, reached with the token and the settings that are in force: every call of the console goes here.

The proxy, the certificates and the time-out of the settings are those of every client that is made here.
"""

import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from luxscaler.console.provider_settings import ProviderSettings, ProviderSettingsStore
from luxscaler.console.settings import Settings
from luxscaler.console.token import INVALID, NOT_SET, PREFIX, FoundToken, TokenRoom
from luxscaler.errors import BackendError, RefusedError
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.api import ApiOptions, Token
from luxscaler.replicate.pace import Pace
from luxscaler.replicate.responses import BusyError, NoAnswerError
from luxscaler.replicate.runs import AccountApi

T = TypeVar("T")
_REFETCH_SECONDS = 30.0
"""Between two fetches of the webhooks' secret because a signature was wrong."""
_MOST_FETCHES = 4
"""Of that secret at once: anybody can send a webhook, and while Replicate does not answer each would hold a
thread that the page needs."""
_SHORT_PATIENCE = 10.0
_UNAUTHORIZED = (401, 403)


class Provider:
    """One account at Replicate."""

    def __init__(
        self, settings: Settings, tokens: TokenRoom, provider_settings: ProviderSettingsStore, pace: Pace
    ) -> None:
        self._settings, self.tokens, self.provider_settings = settings, tokens, provider_settings
        self._pace = pace
        self._lock = threading.Lock()
        self._made: dict[tuple[str, ...], AccountApi] = {}
        self._secret, self._secret_fetched_at = "", float("-inf")
        self._fetches = threading.BoundedSemaphore(_MOST_FETCHES)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for api in self._made.values():
                api.close()
            self._made.clear()

    def api(self) -> AccountApi:
        """The API with the current token. Raises Problem (503) if there is none."""
        found = self.tokens.find()
        if found is None:
            raise Problem(503, NOT_SET)
        settings = self.provider_settings.get()
        with self._lock:
            key = (found.value, settings.proxy_url, settings.ssl_ca_bundle, str(settings.http_timeout))
            if key not in self._made:
                self._made[key] = self._new_api(found.value, settings)
            return self._made[key]

    def validate(self) -> dict[str, Any]:
        """Whether Replicate accepts the token, and whose it is. Raises Problem (502) without an answer."""
        found = self.tokens.find()
        if found is None:
            return {"valid": False, "user_info": None, "error": NOT_SET}
        account = self._account(found.value) if found.value.startswith(PREFIX) else None
        if account is None:
            return {"valid": False, "user_info": None, "error": INVALID}
        return {"valid": True, "user_info": _user(account, found), "error": None}

    def accept(self, token: str) -> None:
        """Raise Problem: 401 unless Replicate accepts a well-formed token, 502 if it cannot be asked."""
        if self._account(token) is None:
            raise Problem(401, INVALID, field="api_token")

    def known_webhook_secret(self) -> str:
        """The secret of webhooks as it was last used; empty if it was not since the start."""
        return self._secret

    def webhook_secret(self, *, renewed: bool = False) -> str:
        """The secret of webhooks. renewed: fetched again, though not often. Raises Problem (502, 503)."""
        with self._lock:
            now = self._pace.now()
            self._secret = self._secret or self.tokens.webhook_secret()
            too_soon = abs(now - self._secret_fetched_at) < _REFETCH_SECONDS
            if self._secret and (not renewed or too_soon):
                return self._secret
            self._secret_fetched_at = now
        if not self._fetches.acquire(blocking=False):
            raise Problem(503, "The secret of webhooks is being asked for: send this one again later")
        try:
            secret = asked(lambda: self.api().webhook_secret())
        finally:
            self._fetches.release()
        with self._lock:
            self._secret = secret
        self.tokens.keep_webhook_secret(secret)
        return secret

    def forget_webhook_secret(self) -> None:
        """Forget the secret of webhooks, because the account has changed."""
        with self._lock:
            self._secret, self._secret_fetched_at = "", float("-inf")

    def plain_client(self) -> httpx.Client:
        """A client without the token, for the status page and the test of the public address."""
        settings = self.provider_settings.get()
        timeout = httpx.Timeout(min(settings.http_timeout, _SHORT_PATIENCE))
        return httpx.Client(transport=_transport(settings), timeout=timeout)

    def _account(self, token: str) -> dict[str, Any] | None:
        """The account of a token; None if the token is refused."""
        api = self._new_api(token, self.provider_settings.get())
        try:
            return asked(api.account)
        except Problem as problem:
            if problem.body.get("upstream_status") in _UNAUTHORIZED:
                return None
            raise
        finally:
            api.close()

    def _new_api(self, token: str, settings: ProviderSettings) -> AccountApi:
        options = ApiOptions(answer=settings.http_timeout)
        transport = _transport(settings)
        return AccountApi(Token(token), self._settings.base_url, options, self._pace, transport)


def asked(call: Callable[[], T]) -> T:
    """The result of a call to Replicate.

    Raises Problem: 502 for no answer or a refusal, 503 for too many calls.
    """
    try:
        return call()
    except BusyError as error:
        raise Problem(503, f"Replicate cannot be asked now: {error}") from error
    except NoAnswerError as error:
        raise Problem(502, f"Replicate does not answer: {error}") from error
    except RefusedError as error:
        raise Problem(502, f"Replicate refuses: {error}", upstream_status=error.status) from error
    except BackendError as error:
        raise Problem(502, str(error)) from error


def _user(account: dict[str, Any], found: FoundToken) -> dict[str, Any]:
    shown = {name: account.get(name) for name in ("username", "name", "github_url")}
    return {**shown, "token_source": found.source}


def _transport(settings: ProviderSettings) -> httpx.HTTPTransport:
    """Raises Problem (502) for certificates that cannot be read."""
    verify: ssl.SSLContext | bool = True
    if settings.ssl_ca_bundle:
        try:
            verify = ssl.create_default_context(cafile=settings.ssl_ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise Problem(
                502,
                f"ssl_ca_bundle {settings.ssl_ca_bundle!r} cannot be used: {error}",
                field="ssl_ca_bundle",
            ) from error
    limits = httpx.Limits(max_connections=None)
    return httpx.HTTPTransport(
        verify=verify, proxy=settings.proxy_url or None, limits=limits, trust_env=False
    )
