"""Events: every change with a number, and no gap after a lost connection."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from luxscaler.console.progress import Progress, read_progress
from tests.support.console_server import ConsoleServer
from tests.support.replicate_account import Account


def _events(
    console: ConsoleServer, count: int, begun: Callable[[], object] = lambda: None, last: object = None
) -> list[dict[str, object]]:
    """begun: called once the stream has its first line, so that nothing after it is missed."""
    found: list[dict[str, object]] = []
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with console.http.stream("GET", "/api/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("retry: "):
                begun()
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == count:
                break
    return found


def test_a_stream_goes_on_where_it_was_lost(account: Account, console: ConsoleServer, picture: Path) -> None:
    first = console.submit(kind="master", source=str(picture))
    console.until(first, "queued")
    told = _events(console, 2, last=0)
    assert [event["kind"] for event in told] == ["pending", "uploading"]
    rest = _events(console, 1, last=told[0]["id"])
    assert rest[0]["id"] == told[1]["id"]


def test_without_a_number_only_what_is_new_is_told(console: ConsoleServer, picture: Path) -> None:
    old = console.submit(kind="master", source=str(picture))
    console.until(old, "queued")
    fresh: list[str] = []
    told = _events(console, 1, lambda: fresh.append(console.submit(kind="master", source=str(picture))))
    assert [event["job"] for event in told] == fresh


@pytest.mark.slow
def test_a_number_of_another_database_is_a_gap_and_what_is_new_is_told(
    console: ConsoleServer, picture: Path
) -> None:
    for number in (10**6, 10**30):
        told = _events(console, 2, partial(console.submit, kind="master", source=str(picture)), last=number)
        assert told[0] == {}  # the gap
        assert told[1]["kind"] == "pending"
        console.until(str(told[1]["job"]), "queued")  # nothing more is told of it


def test_progress_is_read_from_the_newest_line() -> None:
    first = "Stage: prepare\n 10%|█         | 1/10 [00:01<00:09]\r"
    logs = f"{first}stage = fit\r 50%|█████     | 5/10 [1:00:00<1:01:01, 1s/it]\nloss"
    assert read_progress(logs) == Progress("fit", 5, 10, 3661.0)
    assert read_progress("epoch: 3| 5/10\n") == Progress()
    assert read_progress(" 3%|x| 3/100") == Progress("", 3, 100, None)
    assert read_progress("7%|#| 7/100 [00:05<?, ?it/s]").eta_seconds is None
