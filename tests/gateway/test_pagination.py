"""Pages with cursors, and the store below them."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limit_examples
from hypothesis import strategies as st

from luxscaler.errors import GatewayError
from luxscaler.gateway.pagination import page
from luxscaler.gateway.problems import Problem
from luxscaler.gateway.run import Run
from luxscaler.gateway.store import Delivery, Store, StoredFile
from luxscaler.replicate.signing import new_id
from tests.support.examples import examples


def prediction(**values: Any) -> Run:
    return Run(new_id(), "o/n", "v", {"a": [1, None, "ü"]}, 1.0, **values)


def pages_of(store: Store, size: int, cursor: str = "") -> dict[str, Any]:
    return page(
        partial(store.runs_before, "predictions"),
        partial(store.runs_after, "predictions"),
        lambda found: {"id": found.id},
        str,
        cursor,
        size,
    )


@limit_examples(max_examples=examples(30))
@given(st.integers(0, 12), st.integers(1, 5), st.integers(0, 3))
def test_a_walk_sees_everything_once_newest_first(count: int, size: int, meanwhile: int) -> None:
    store = Store(Path(":memory:"))
    ids = [store.add(prediction()).id for _ in range(count)]
    cursor: str | None = ""
    cursors: list[str] = []
    walked: list[str] = []
    newer: list[str] = []
    while cursor is not None:
        cursors.append(cursor)
        found = pages_of(store, size, cursor)
        walked += (item["id"] for item in found["results"])
        cursor = found["next"]
        assert cursor is None or len(found["results"]) == size
        if len(cursors) == 1:
            newer = [store.add(prediction()).id for _ in range(meanwhile)]
    assert walked == ids[::-1]
    if len(cursors) > 1:  # and back: what was created meanwhile is found on the way
        back = pages_of(store, size, cursors[-1])
        seen = [item["id"] for item in back["results"]]
        while back["previous"]:
            back = pages_of(store, size, back["previous"])
            seen = [item["id"] for item in back["results"]] + seen
        assert seen == newer[::-1] + ids[::-1]


@pytest.mark.parametrize("cursor", ["x", "YQ", "bbbb", "ä", "Yi0x", "=" * 99])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Problem, match="Not a cursor"):
        pages_of(Store(Path(":memory:")), 5, cursor)


def test_what_is_kept_is_found_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite3"
    store = Store(path)
    kept = store.add(prediction(webhook="http://x/", events=("start", "completed"), deadline=5.0))
    file = StoredFile(new_id(), "ü.png", "image/png", 3, "s", "m", 1.0, 2.0, {"k": [1]})
    store.add_file(file)
    store.add_delivery(Delivery(kept.id, "msg_1", 3.0))
    store.close()
    again = Store(path)
    assert again.run(kept.id) == kept
    assert again.file(file.id) == replace(file, sequence=1)
    assert again.deliveries() == [Delivery(kept.id, "msg_1", 3.0)]


def test_each_prediction_is_claimed_once_oldest_first() -> None:
    store = Store(Path(":memory:"))
    ids = [store.add(prediction()).id for _ in range(3)]
    claimed = [store.claim(f"cog{number}", "predictions") for number in range(4)]
    assert [found and found.id for found in claimed] == [*ids, None]
    assert [found and found.container for found in claimed] == ["cog0", "cog1", "cog2", None]


def test_nothing_changes_what_is_over() -> None:
    store = Store(Path(":memory:"))
    name = store.add(prediction()).id
    assert store.change(name, status="canceled")
    assert not store.change(name, status="succeeded", output="x")
    assert not store.change("unknown", status="failed")
    found = store.run(name)
    assert found is not None
    assert (found.status, found.output) == ("canceled", None)


def test_what_is_forgotten_keeps_its_bones() -> None:
    store = Store(Path(":memory:"))
    name = store.add(prediction()).id
    store.change(name, status="succeeded", output={"x": 1}, logs="l", completed_at=10.0)
    assert [found.id for found in store.to_forget(10.0)] == [name]
    store.forget(name)
    found = store.run(name)
    assert found is not None
    assert (found.input, found.output, found.logs, found.data_removed) == ({}, None, "", True)
    assert store.to_forget(10.0) == []


def test_a_database_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite3"
    path.write_bytes(b"not a database at all, but long enough to look at" * 10)
    with pytest.raises(GatewayError, match="cannot use the database"):
        Store(path)


def test_what_is_over_is_not_read_to_find_what_is_not(tmp_path: Path) -> None:
    """A gateway keeps all runs that are over: to look through them twice a second would make it deaf."""
    with closing(Store(tmp_path / "gateway.sqlite3")) as store:
        asked: list[str] = []
        store._database._connection.set_trace_callback(asked.append)
        store.claim("http://c:1", "predictions")
        store.overdue(1.0)
        store.with_container()
        store._database._connection.set_trace_callback(None)
        selects = [sql for sql in asked if sql.startswith("SELECT")]
        assert len(selects) == 3
        for sql in selects:
            plan = store._database._connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
            assert "USING INDEX predictions_status (status=?" in plan[0]["detail"]
