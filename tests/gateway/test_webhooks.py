"""Webhooks: signed, filtered, throttled, and the last word repeated; by a clock that stands still."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as limit_examples
from hypothesis import strategies as st

from luxscaler.cog.status import Status
from luxscaler.errors import FetchError
from luxscaler.gateway.keys import Keys
from luxscaler.gateway.run import EVENTS, Event, Run
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.store import Store
from luxscaler.gateway.webhooks import Notifier
from luxscaler.replicate.signing import new_id
from luxscaler.web.post import Poster
from tests.gateway.test_runner import tile_url
from tests.support.examples import examples
from tests.support.fake_clock import ManualClock
from tests.support.fake_cog import fake_cog
from tests.support.gateway_server import gateway_server
from tests.support.webhook_receiver import webhook_receiver

SECRET = "whsec_" + "a2tr" * 8
SETTINGS = Settings(("http://127.0.0.1:1",), Path("unused"))
URL = "http://127.0.0.1:9/hook"


@dataclass(frozen=True)
class Sent:
    """One webhook."""

    headers: Mapping[str, str]
    content: bytes


@dataclass
class Bench:
    """A notifier, what it sends to, and the time."""

    statuses: list[int] = field(default_factory=list)
    """Answers, in order; 200 when there are no more; 0: no connection."""
    clock: ManualClock = field(default_factory=ManualClock)
    store: Store = field(default_factory=lambda: Store(Path(":memory:")))
    sent: list[tuple[float, Sent]] = field(default_factory=list)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        """As Poster's."""
        assert (url, seconds) == (URL, SETTINGS.webhook_seconds)
        self.sent.append((self.clock.now(), Sent(headers, body)))
        status = self.statuses.pop(0) if self.statuses else 200
        if not status:
            raise FetchError("refused")
        return status

    def run(self, work: Callable[[Notifier], Awaitable[None]]) -> None:
        """With a notifier of this bench."""

        async def go() -> None:
            keys, poster = Keys("token", SECRET, b""), cast(Poster, self)
            notifier = Notifier(SETTINGS, keys, self.clock, self.store, poster, body)
            try:
                await work(notifier)
            finally:
                await notifier.stop()

        asyncio.run(go())

    def add(self, **values: Any) -> Run:
        return self.store.add(Run(new_id(), "o/n", "v", {}, 1.0, webhook=URL, **values))

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for _, request in self.sent]

    async def pass_time(self, seconds: float, step: float = 0.25) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await settle()


def body(prediction: Run) -> bytes:
    return json.dumps({"status": prediction.status, "logs": prediction.logs}).encode()


async def settle() -> None:
    """Let the tasks run until they wait for the clock."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "filters", [(), ("start",), ("completed",), ("start", "output", "logs", "completed")]
)
def test_only_the_events_asked_for_are_sent(filters: tuple[Event, ...]) -> None:
    bench = Bench()
    prediction = bench.add(events=filters)

    async def work(notifier: Notifier) -> None:
        for event in EVENTS:
            notifier.notify(prediction, event)
            await bench.pass_time(1.0)

    bench.run(work)
    assert len(bench.sent) == len(filters)


def test_without_an_address_nothing_is_sent() -> None:
    bench = Bench()
    prediction = replace(bench.add(), webhook="")

    async def work(notifier: Notifier) -> None:
        for event in EVENTS:
            notifier.notify(prediction, event)
        await settle()

    bench.run(work)
    assert bench.sent == []


@limit_examples(max_examples=examples(20))
@given(st.lists(st.floats(0, 1.2), min_size=1, max_size=12))
def test_logs_come_at_most_every_half_second_and_the_last_state_always(pauses: list[float]) -> None:
    bench = Bench()
    prediction = bench.add()

    async def work(notifier: Notifier) -> None:
        for number, pause in enumerate(pauses):
            bench.store.change(prediction.id, logs=str(number))
            found = bench.store.run(prediction.id)
            assert found is not None
            notifier.notify(found, "logs" if number % 2 else "output")
            await settle()
            bench.clock.advance(pause)
            await settle()
        await bench.pass_time(1.0, 0.5)

    bench.run(work)
    times = [at for at, _ in bench.sent]
    assert all(later - earlier >= 0.5 - 1e-6 for earlier, later in pairwise(times))
    assert bench.bodies()[-1]["logs"] == str(len(pauses) - 1)


def test_what_was_delayed_is_dropped_when_the_prediction_is_over() -> None:
    bench = Bench()
    prediction = bench.add()

    async def work(notifier: Notifier) -> None:
        notifier.notify(prediction, "logs")
        notifier.notify(prediction, "logs")
        bench.store.change(prediction.id, status=Status.SUCCEEDED)
        found = bench.store.run(prediction.id)
        assert found is not None
        notifier.notify(found, "completed")
        await bench.pass_time(2.0)

    bench.run(work)
    assert [found["status"] for found in bench.bodies()] == ["starting", "succeeded"]


def test_the_last_word_is_repeated_under_the_same_id_for_a_minute() -> None:
    bench = Bench(statuses=[500, 0, 302] + [404] * 99)
    prediction = bench.add()

    async def work(notifier: Notifier) -> None:
        notifier.notify(prediction, "completed")
        await bench.pass_time(75.0, 0.5)

    bench.run(work)
    start = bench.sent[0][0]
    assert [round(at - start) for at, _ in bench.sent] == [0, 1, 3, 7, 15, 31, 60]
    assert len({request.headers["webhook-id"] for _, request in bench.sent}) == 1
    stamps = [int(request.headers["webhook-timestamp"]) for _, request in bench.sent]
    assert stamps == [int(at) for at, _ in bench.sent]
    assert bench.store.deliveries() == []


def test_only_the_last_word_is_repeated() -> None:
    bench = Bench(statuses=[500, 500])
    prediction = bench.add()

    async def work(notifier: Notifier) -> None:
        notifier.notify(prediction, "start")
        notifier.notify(prediction, "logs")
        await bench.pass_time(90.0, 1.0)

    bench.run(work)
    assert len(bench.sent) == 2


def test_the_last_word_survives_a_restart() -> None:
    bench = Bench(statuses=[500])
    prediction = bench.add()

    async def first(notifier: Notifier) -> None:
        notifier.notify(prediction, "completed")
        await settle()

    async def second(notifier: Notifier) -> None:
        notifier.resume()
        await settle()

    bench.run(first)
    bench.clock.advance(20.0)
    bench.run(second)
    bench.run(second)
    assert len(bench.sent) == 2
    assert len({request.headers["webhook-id"] for _, request in bench.sent}) == 1


def test_one_prediction_gets_its_webhooks_in_order() -> None:
    bench = Bench()
    prediction = bench.add()

    async def work(notifier: Notifier) -> None:
        notifier.notify(replace(prediction, status=Status.PROCESSING), "start")
        notifier.notify(replace(prediction, status=Status.PROCESSING, logs="x"), "logs")
        bench.store.change(prediction.id, status=Status.SUCCEEDED)
        notifier.notify(prediction, "completed")
        await settle()

    bench.run(work)
    assert [found["status"] for found in bench.bodies()] == ["processing", "processing", "succeeded"]


@pytest.mark.slow
def test_signatures_on_the_wire_and_the_body_is_what_a_get_gives(tmp_path: Path) -> None:
    with (
        fake_cog(seconds=0.2, webhook_interval=0.05) as cog,
        webhook_receiver() as receiver,
        # No interval: logs that the container tells late would else take the place of the output.
        gateway_server(tmp_path, cog.url, webhook_interval_seconds=0.0) as gateway,
    ):
        made = gateway.create({"tile_input": tile_url()}, webhook=receiver.url)
        received = receiver.wait(4)
        bodies = [delivery.verified(gateway.keys.webhook_secret) for delivery in received]
        assert [found["status"] for found in bodies] == [
            "processing",
            "processing",
            "processing",
            "succeeded",
        ]
        assert received[-1].body == gateway.get(f"/v1/predictions/{made['id']}").content
        assert bodies[0]["output"] is None
        assert bodies[-1] == made
        ids = [delivery.headers["webhook-id"] for delivery in received]
        assert len(set(ids)) == 4
        assert all(delivery.headers["content-type"] == "application/json" for delivery in received)


def test_a_receiver_that_fails_first_gets_it_in_the_end(tmp_path: Path) -> None:
    with (
        fake_cog() as cog,
        webhook_receiver(refusals=1) as receiver,
        gateway_server(tmp_path, cog.url, webhook_first_retry_seconds=0.05) as gateway,
    ):
        gateway.create({"tile_input": tile_url()}, webhook=receiver.url, webhook_events_filter=["completed"])
        first, second = receiver.wait(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert second.verified(gateway.keys.webhook_secret)["status"] == "succeeded"
