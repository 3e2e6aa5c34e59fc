"""Replicate's HTTP API as far as tiles need it: uploads, predictions, downloads.

The token is in one place, the authentication of one client that talks to the base address only and follows
no redirect; results are fetched by another client that does not have it. `create`, which costs money, is sent
once: without an answer it raises NoAnswerError, and the caller has to find out whether it was carried out.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx

from luxscaler.clock import backoff
from luxscaler.errors import BackendError, InputError, one_line
from luxscaler.replicate.pace import Limiter, Pace
from luxscaler.replicate.responses import (
    DEFAULT_RETRY_AFTER,
    BusyError,
    ModelName,
    NoAnswerError,
    RemotePrediction,
    parse_answer,
    prediction_in,
    seconds_of,
    version_id,
)

DEFAULT_BASE_URL = "https://api.replicate.com"
MAX_FILE = 100 * 2**20
"""Most bytes of an upload."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 20.0


@dataclass(frozen=True)
class ApiOptions:
    """Rates and time limits of calls; times in seconds."""

    creates_per_minute: float = 600.0
    others_per_minute: float = 3000.0
    connect: float = 10.0
    answer: float = 30.0
    """Longest wait for an answer."""
    transfer: float = 60.0
    """Longest wait for the next bytes of an upload or download."""
    patience: float = 300.0
    """For how long a call that may be repeated is tried again."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise InputError(f"{name} is {value}; it must be a number above 0")


class Token(httpx.Auth):
    """The only keeper of the token."""

    def __init__(self, token: str) -> None:
        """Raises InputError, which does not show the token, if it is empty or cannot be one."""
        self.__token = checked_token(token)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the token into a request's header."""
        request.headers["Authorization"] = f"Bearer {self.__token}"
        yield request

    def redact(self, text: str) -> str:
        """The text without the token, should a server have repeated it."""
        return text.replace(self.__token, "…")


class ReplicateApi:
    """One account. Its methods may be called from several threads."""

    def __init__(
        self,
        token: Token,
        base_url: str = DEFAULT_BASE_URL,
        options: ApiOptions = ApiOptions(),
        pace: Pace | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises InputError for an address to which a token must not be sent."""
        self.base_url = checked_base_url(base_url)
        self.options = options
        self.pace = pace or Pace()
        self._creates = Limiter(options.creates_per_minute, self.pace.clock)
        self._others = Limiter(options.others_per_minute, self.pace.clock)
        limits = httpx.Limits(max_connections=None)
        times = httpx.Timeout(options.answer, connect=options.connect, pool=None)
        self._token = token
        self._client = httpx.Client(auth=token, transport=transport, timeout=times, limits=limits)
        self.plain = httpx.Client(
            transport=transport, timeout=httpx.Timeout(options.transfer, connect=options.connect, pool=None)
        )
        """Without the token, for results."""

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        self.plain.close()

    def upload(self, name: str, data: bytes, content_type: str) -> str:
        """Upload a file, which is kept for a day, and return its address.

        Raises BackendError, before anything is sent, for a file that is too large.
        """
        if len(data) > MAX_FILE:
            raise BackendError(
                f"{name} has {len(data) / 2**20:.0f} MiB, and Replicate takes {MAX_FILE // 2**20} MiB: "
                "choose smaller tiles"
            )
        return self._upload((name, data, content_type))

    def _upload(self, content: tuple[str, bytes | BinaryIO, str]) -> str:
        """Upload (name, bytes or an open file, content type), and return the address."""
        files = {"content": content}
        reply = self._again("POST", "/v1/files", files=files, timeout=self.options.transfer)
        urls = reply.get("urls")
        address = urls.get("get") if isinstance(urls, dict) else None
        if not isinstance(address, str) or not address.startswith(("https://", "http://")):
            raise BackendError("the reply to an upload has no address of the file")
        return address

    def wait_for_turn(self) -> None:
        """Wait until a create may be sent, so that it follows its announcement at once."""
        self._creates.wait(self.pace)

    def create(self, version: str, inputs: dict[str, Any], cancel_after: float) -> RemotePrediction:
        """Create a prediction: a paid call, sent once.

        Raises BusyError (surely not created), NoAnswerError (perhaps created), BackendError (never will be).
        """
        headers = {"Cancel-After": f"{int(cancel_after)}s"}
        return _prediction(self._paid("/v1/predictions", {"version": version, "input": inputs}, headers))

    def _paid(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """One POST that costs money, sent once. Raises as `create` does."""
        try:
            answer = self._client.post(self.base_url + path, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise BusyError(one_line(str(error)), DEFAULT_RETRY_AFTER) from error
        except httpx.HTTPError as error:
            raise NoAnswerError(one_line(str(error)) or type(error).__name__) from error
        return self._reply(answer, self._creates)

    def newest_version(self, model: ModelName) -> str:
        """The 64 digits of a model's newest version. Raises BackendError, NoAnswerError."""
        path = f"/v1/models/{quote(model.owner, safe='')}/{quote(model.name, safe='')}"
        newest = self._again("GET", path).get("latest_version")
        found = newest.get("id") if isinstance(newest, dict) else None
        if not isinstance(found, str):
            raise BackendError(f"{model} has no version yet")
        return version_id(found)

    def get(self, prediction: str) -> RemotePrediction | None:
        """The prediction as it is now; None if Replicate does not know it."""
        reply = self._again("GET", f"/v1/predictions/{checked_id(prediction)}", missing_is_none=True)
        return _prediction(reply) if reply else None

    def get_once(self, prediction: str) -> RemotePrediction | None:
        """Like `get`, but one call, also after a stop. Raises BusyError, NoAnswerError or BackendError."""
        reply = self._once("GET", f"/v1/predictions/{checked_id(prediction)}", missing_is_none=True)
        return _prediction(reply) if reply else None

    def cancel(self, prediction: str) -> None:
        """Ask once for the end of a prediction. Raises BusyError, NoAnswerError or BackendError."""
        path = f"/v1/predictions/{checked_id(prediction)}/cancel"
        self._once("POST", path)

    def predictions(self) -> Iterator[RemotePrediction]:
        """All predictions of the account, newest first, page by page."""
        return map(_prediction, self._listed("/v1/predictions"))

    def _listed(self, path: str) -> Iterator[Any]:
        """The entries of a list, page by page."""
        query: str | None = ""
        while query is not None:
            reply = self._again("GET", path + (f"?{query}" if query else ""))
            results = reply.get("results")
            yield from results if isinstance(results, list) else []
            # The cursor only: a proxy may know itself by another name, and the token goes nowhere else.
            following = reply.get("next")
            query = httpx.URL(following).query.decode() or None if isinstance(following, str) else None

    def _again(
        self, method: str, path: str, *, missing_is_none: bool = False, **values: Any
    ) -> dict[str, Any]:
        """Repeat a call until it is answered. Raises NoAnswerError after `patience`, and BackendError."""
        deadline = self.pace.now() + self.options.patience
        pauses = backoff(_FIRST_DELAY, _LONGEST_DELAY)
        while True:
            self._others.wait(self.pace)
            try:
                return self._once(method, path, missing_is_none=missing_is_none, **values)
            except (NoAnswerError, BusyError) as error:
                if self.pace.now() >= deadline:
                    raise NoAnswerError(f"no answer for {self.options.patience:g} s: {error}") from error
                self.pace.pause(max(next(pauses), error.delay if isinstance(error, BusyError) else 0.0))

    def _once(
        self, method: str, path: str, *, missing_is_none: bool = False, **values: Any
    ) -> dict[str, Any]:
        try:
            answer = self._client.request(method, self.base_url + path, **values)
        except httpx.HTTPError as error:
            raise NoAnswerError(one_line(str(error)) or type(error).__name__) from error
        if missing_is_none and answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        return self._reply(answer, self._others)

    def _reply(self, answer: httpx.Response, limiter: Limiter) -> dict[str, Any]:
        """The JSON of an answer; the limits that it states are obeyed from now on."""
        if answer.headers.get("ratelimit-remaining") == "0":
            limiter.hold(seconds_of(answer.headers.get("ratelimit-reset")) or 0.0)
        try:
            return parse_answer(answer, self.base_url, self._token.redact)
        except BusyError as error:
            limiter.hold(error.delay)
            raise


def checked_token(token: str) -> str:
    """The token as it is. Raises InputError, which does not show it, if it is empty or cannot be one."""
    token = token.strip()
    if not token:
        raise InputError("no token for Replicate was given: set REPLICATE_API_TOKEN")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise InputError("the token for Replicate has characters that no token has")
    return token


def checked_base_url(text: str) -> str:
    """The address without /v1.

    Raises InputError, also for plain http to another machine, which would show the token.
    """
    base = text.strip().rstrip("/").removesuffix("/v1").rstrip("/")
    try:
        url = httpx.URL(base)
    except httpx.InvalidURL as error:
        raise InputError(f"the base URL is {text!r}: {error}") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise InputError(f"the base URL is {text!r}; it must start with https:// and hold no password")
    if url.scheme == "http" and url.host not in _LOOPBACK:
        raise InputError(f"the base URL is {text!r}: a token is sent over https only, but to this machine")
    return base


def checked_id(prediction: str) -> str:
    """The id as it is. Raises BackendError if it cannot stand in a path."""
    if not _ID.fullmatch(prediction):
        raise BackendError(f"{prediction!r} is no id of a prediction")
    return prediction


def _prediction(reply: Any) -> RemotePrediction:
    try:
        prediction = prediction_in(reply)
        checked_id(prediction.id)
    except (ValueError, BackendError) as error:
        raise NoAnswerError(f"the reply is no prediction: {error}") from error
    return prediction
