"""Events: every change with a number, and no gap after a lost connection."""

import json
import threading
from pathlib import Path

from luxscaler.console.progress import Progress, read_progress
from tests.support.console_server import ConsoleServer
from tests.support.replicate_account import Account


def _events(console: ConsoleServer, count: int, **headers: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    with console.http.stream("GET", "/api/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == count:
                break
    return found


def test_a_stream_goes_on_where_it_was_lost(account: Account, console: ConsoleServer, picture: Path) -> None:
    first = console.submit(kind="master", source=str(picture))
    console.until(first, "queued")
    told = _events(console, 2, **{"Last-Event-ID": "0"})
    assert [event["kind"] for event in told] == ["pending", "uploading"]
    rest = _events(console, 1, **{"Last-Event-ID": str(told[0]["id"])})
    assert rest[0]["id"] == told[1]["id"]


def test_without_a_number_only_what_is_new_is_told(console: ConsoleServer, picture: Path) -> None:
    old = console.submit(kind="master", source=str(picture))
    console.until(old, "queued")
    fresh: list[str] = []
    timer = threading.Timer(0.5, lambda: fresh.append(console.submit(kind="master", source=str(picture))))
    timer.start()
    told = _events(console, 1)
    timer.join()
    assert [event["job"] for event in told] == fresh


def test_progress_is_read_from_the_newest_line() -> None:
    first = "Stage: prepare\n 10%|█         | 1/10 [00:01<00:09]\r"
    logs = f"{first}stage = fit\r 50%|█████     | 5/10 [1:00:00<1:01:01, 1s/it]\nloss"
    assert read_progress(logs) == Progress("fit", 5, 10, 3661.0)
    assert read_progress("epoch: 3| 5/10\n") == Progress()
    assert read_progress(" 3%|x| 3/100") == Progress("", 3, 100, None)
    assert read_progress("7%|#| 7/100 [00:05<?, ?it/s]").eta_seconds is None
