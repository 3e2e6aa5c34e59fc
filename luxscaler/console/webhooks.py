"""Takes webhooks as far as there is room, checks them, and has each applied once.

    room → address → signature → JSON → deliveries.py: seen before? → known job → transitions.py

A webhook is answered when it is on disk. Those that cannot be written soon are answered 503 at once, and sent
again by Replicate; polling covers what is lost.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from luxscaler.clock import Clock
from luxscaler.console.deliveries import Deliveries, Delivery
from luxscaler.console.group_commit import GroupCommit
from luxscaler.console.provider import Provider
from luxscaler.console.provider_settings import ProviderSettings, networks
from luxscaler.gateway.limits import RateLimit
from luxscaler.gateway.problems import Problem
from luxscaler.gateway.strict_json import read_json
from luxscaler.replicate.runs import RemoteRun, run_in
from luxscaler.replicate.signing import webhook_refusal

_REFUSALS_PER_MINUTE = 120
_QUICK_BODY = 64 * 1024
"""Largest body that is checked at once; larger ones are checked in another thread."""
_MIB = 1024 * 1024
_MOST_WAITING = 1000
_MOST_WAITING_BYTES = 128 * _MIB
_RETRY_SECONDS = 2


@dataclass(frozen=True)
class Arrived:
    """A webhook as it arrived."""

    peer: str
    """The connection's address."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)
    nonce: str = ""
    """From the address that it was sent to."""


@dataclass
class Room:
    """How many webhooks may be in memory at once, whole or in part; used by the event loop alone."""

    most: int = _MOST_WAITING
    most_bytes: int = _MOST_WAITING_BYTES
    waiting: int = 0
    """Complete webhooks that are not answered yet."""
    bytes: int = 0

    def check(self) -> None:
        """Raises Problem (503) if there is no room for another one."""
        if self.waiting >= self.most or self.bytes >= self.most_bytes:
            raise Problem(
                503,
                f"{self.waiting} webhooks wait to be written: send this one again later",
                headers={"Retry-After": str(_RETRY_SECONDS)},
            )


class Receiver:
    """The webhooks of one console, between `start` and `stop`."""

    def __init__(self, provider: Provider, deliveries: Deliveries, clock: Clock) -> None:
        self.deliveries, self.room = deliveries, Room()
        self._provider, self._clock = provider, clock
        self._commits: GroupCommit[Delivery, str] = GroupCommit(deliveries.write)
        self._refusals = RateLimit(_REFUSALS_PER_MINUTE)

    def start(self) -> None:
        """Start the thread that writes; `stop` has to follow."""
        self._commits.start()

    def stop(self) -> None:
        """Write what has come, and end the thread."""
        self._commits.stop()

    async def receive(self, arrived: Arrived) -> str:
        """The verdict, once it is on disk: applied, unchanged, duplicate, unknown job; or asked, if
        signatures are not required: what anybody may have sent changes nothing, but Replicate is asked.

        Raises Problem: 400, 401, 403, 429; 502 and 503 if the secret is not known and cannot be fetched; and
        sqlite3.Error.
        """
        settings = self._provider.provider_settings.get()
        try:
            delivery = self._quickly(arrived, settings)
            if delivery is None:
                delivery = await run_in_threadpool(self._checked, arrived, settings)
        except Problem as problem:
            await run_in_threadpool(self._refuse, arrived, problem)
            raise
        return await self._commits.run(delivery)

    def replay(self, number: int) -> str:
        """Apply a delivery once more; its verdict. Raises Problem: 404, 409 if it was refused or not kept."""
        return self.deliveries.replay(_read(self.deliveries.body(number)))

    def _quickly(self, arrived: Arrived, settings: ProviderSettings) -> Delivery | None:
        """Check a webhook without waiting for anything; None if that is not possible. Raises Problem."""
        if len(arrived.body) > _QUICK_BODY:
            return None
        if settings.webhook_require_signature:
            secret = self._provider.known_webhook_secret()
            if not secret or self._refusal(arrived, secret):
                return None
        self._check_address(arrived, settings)
        return _delivery(arrived, settings)

    def _checked(self, arrived: Arrived, settings: ProviderSettings) -> Delivery:
        """Check a webhook; the secret may have to be fetched. Raises Problem."""
        self._check_address(arrived, settings)
        self._check_signature(arrived, settings)
        return _delivery(arrived, settings)

    def _check_address(self, arrived: Arrived, settings: ProviderSettings) -> None:
        if not settings.webhook_allowed_ips:
            return
        address = sender_address(arrived, settings)
        if not _inside(address, settings.webhook_allowed_ips):
            raise Problem(403, f"The address {address} is not among webhook_allowed_ips")

    def _check_signature(self, arrived: Arrived, settings: ProviderSettings) -> None:
        if not settings.webhook_require_signature:
            return
        if "webhook-signature" not in arrived.headers:
            raise Problem(401, "reached; unsigned: the webhook has no signature")
        refusal = self._refusal(arrived, self._provider.webhook_secret())
        if refusal == "its signature is not right":
            refusal = self._refusal(arrived, self._provider.webhook_secret(renewed=True))
        if refusal:
            raise Problem(401, f"reached; {refusal}")

    def _refusal(self, arrived: Arrived, secret: str) -> str:
        return webhook_refusal(secret, arrived.headers, arrived.body, self._clock.now())

    def _refuse(self, arrived: Arrived, problem: Problem) -> None:
        """Note a refused webhook, unless there are too many of them. Raises Problem (429)."""
        if not self._refusals.ask(self._clock.now()).allowed:
            raise Problem(429, "Too many webhooks were refused in the last minute") from problem
        self.deliveries.note(arrived.headers.get("webhook-id", ""), str(problem), problem.status)


def sender_address(arrived: Arrived, settings: ProviderSettings) -> str:
    """Who sent it: the connection's other end, or what trusted proxies say, read from the right."""
    address = arrived.peer
    hops = [hop.strip() for hop in arrived.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and _inside(address, settings.trusted_proxies):
        address = hops.pop()
    return address


def _inside(address: str, texts: tuple[str, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks(texts))


def _delivery(arrived: Arrived, settings: ProviderSettings) -> Delivery:
    """The delivery in a webhook. Raises Problem (400)."""
    is_trusted = settings.webhook_require_signature
    name = arrived.headers.get("webhook-id", "")
    return Delivery(name, arrived.body, _read(arrived.body), arrived.nonce, is_trusted)


def _read(body: bytes) -> RemoteRun:
    try:
        return run_in(read_json(body))
    except ValueError as error:
        raise Problem(400, f"The body is neither a prediction nor a training: {error}") from error
