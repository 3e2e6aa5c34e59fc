"""Webhooks: signed, filtered, throttled; the terminal one is repeated until it is taken.

As Replicate does: `output` and `logs` at most every 500 ms a run, the last state always; only
`completed` is sent again, for about a minute, under the same webhook-id. It survives a restart. Where they
may go and how much of an answer is read is web/post.py's.
"""

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakValueDictionary

from luxscaler.clock import Clock, backoff
from luxscaler.errors import FetchError
from luxscaler.gateway.background import TaskSet
from luxscaler.gateway.keys import Keys
from luxscaler.gateway.run import Event, Run
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.store import Delivery, Store
from luxscaler.replicate.signing import new_id, webhook_headers
from luxscaler.web.post import Poster

_log = logging.getLogger(__name__)


class Notifier:
    """Sends the webhooks of one gateway."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        clock: Clock,
        store: Store,
        poster: Poster,
        body: Callable[[Run], bytes],
    ) -> None:
        self._settings, self._keys, self._clock = settings, keys, clock
        self._store, self._poster, self._body = store, poster, body
        self._tasks = TaskSet()
        # A lock goes when nobody holds or waits for it.
        self._order: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._last: dict[str, float] = {}
        self._delayed: set[str] = set()

    def resume(self) -> None:
        """Send the terminal webhooks that a former process of the gateway did not deliver."""
        for delivery in self._store.deliveries():
            self._tasks.add(self._deliver(delivery))

    def to_deliver(self, run: Run | None) -> Delivery | None:
        """Store that the terminal webhook of a run has to be sent, if the client asked for it."""
        if run is None or not run.webhook or "completed" not in run.events:
            return None
        delivery = Delivery(run.id, new_message_id(), self._clock.now())
        self._store.add_delivery(delivery)
        return delivery

    def completed(self, name: str, delivery: Delivery | None) -> None:
        """Send the terminal webhook that `to_deliver` has stored."""
        self._last.pop(name, None)
        if delivery is not None:
            self._tasks.add(self._deliver(delivery))

    def notify(self, run: Run, event: Event) -> None:
        """Send a run's state, now or soon, if the client asked for that event."""
        if event == "completed":
            self.completed(run.id, self.to_deliver(run))
            return
        if not run.webhook or event not in run.events:
            return
        if event == "start":
            self._tasks.add(self._send(run.id, run.webhook, self._body(run)))
        else:
            self._throttled(run)

    async def stop(self) -> None:
        """End all sending; `resume` of the next process finds terminal webhooks again."""
        await self._tasks.stop()

    def _throttled(self, run: Run) -> None:
        """Send a webhook at once if the last one is long ago; else one later, with the state of that time."""
        now, name = self._clock.now(), run.id
        interval = self._settings.webhook_interval_seconds
        wait = min(self._last.get(name, float("-inf")) + interval - now, interval)  # the clock may go back
        if wait <= 0:
            self._last[name] = now
            self._tasks.add(self._send(name, run.webhook, self._body(run)))
        elif name not in self._delayed:
            self._delayed.add(name)
            self._tasks.add(self._later(name, wait))

    async def _later(self, name: str, seconds: float) -> None:
        await self._clock.sleep_async(seconds)
        self._delayed.discard(name)
        found = self._store.run(name)
        if found is not None and not found.is_over:  # `completed` says it all
            self._last[name] = self._clock.now()
            await self._send(name, found.webhook, self._body(found))

    async def _deliver(self, delivery: Delivery) -> None:
        """Send a terminal webhook until it is accepted, for about a minute."""
        pauses = backoff(self._settings.webhook_first_retry_seconds)
        found = self._store.run(delivery.prediction)
        while found is not None:
            if await self._send(found.id, found.webhook, self._body(found), delivery.message_id):
                break
            left = delivery.first_at + self._settings.webhook_retry_seconds - self._clock.now()
            if left <= 0:
                _log.warning("run %s: nobody took its last webhook", found.id)
                break
            await self._clock.sleep_async(min(next(pauses), left))
        self._store.remove_delivery(delivery.prediction)

    async def _send(self, name: str, url: str, body: bytes, message_id: str = "") -> bool:
        """Try once, after earlier webhooks of the same run; whether it was accepted."""
        async with self._order.setdefault(name, asyncio.Lock()):
            seconds = int(self._clock.now())
            headers = webhook_headers(
                self._keys.webhook_secret, message_id or new_message_id(), seconds, body
            )
            try:
                status = await self._poster.post(
                    url, body, {"Content-Type": "application/json", **headers}, self._settings.webhook_seconds
                )
            except FetchError as error:
                _log.info("run %s: a webhook was not taken: %s", name, error)
                return False
        return 200 <= status < 300


def new_message_id() -> str:
    """A new id of a webhook."""
    return "msg_" + new_id()
