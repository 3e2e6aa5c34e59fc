"""Estimates from jobs that have ended: which are looked at, however many others there are."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from luxscaler.clock import Clock
from luxscaler.console.database import FILE_NAME, Database
from luxscaler.console.estimates import estimate
from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.console.submissions import HERE, SubmitRequest

Add = Callable[..., None]
ENDED = Job(
    id="",
    kind="master",
    name="",
    source="gone.png",
    call={"input": {}},
    fingerprint="",
    nonce="",
    hardware=HERE,
    price=0.0,
    max_seconds=600.0,
    created_at=0.0,
    deadline=600.0,
    state=JobState.COMPLETED,
    place="here",
)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(Database(tmp_path / FILE_NAME), Clock())


@pytest.fixture
def add(jobs: Jobs) -> Add:
    def added(count: int, **values: Any) -> None:
        for _ in range(count):
            number = jobs.last_event()
            jobs.add(replace(ENDED, id=f"job{number}", nonce=str(number), **values))

    return added


@pytest.fixture
def seconds(jobs: Jobs, tmp_path: Path) -> Callable[..., Any]:
    """The estimate for a master of one megapixel, or for what is asked."""
    picture = tmp_path / "scan.png"
    Image.new("L", (1250, 800)).save(picture)

    def estimated(**values: Any) -> Any:
        request = SubmitRequest(**{"kind": "master", "source": str(picture), "place": "here", **values})
        found = estimate(request, 0, ProviderSettings(), jobs)
        return found["avg_duration_seconds"], found["basis"]

    return estimated


@pytest.mark.parametrize(
    "others",
    [
        {"megapixels": 24.0},
        {"megapixels": None},
        {"megapixels": 1.0, "call": {"input": {"model": "fast"}}},
        {"megapixels": 1.0, "call": {"input": {"cog": "http://localhost:5000"}}},
        {"megapixels": 1.0, "call": {"input": {}, "trained_by": "x" * 26}},
    ],
)
def test_two_jobs_like_it_are_seen_behind_many_others(
    others: dict[str, Any], add: Add, seconds: Callable[..., Any]
) -> None:
    add(2, megapixels=2.0, predict_time=10.0)
    add(30, predict_time=500.0, **others)
    assert seconds() == (5.0, "2 jobs like it that ended before")


def test_a_model_of_its_own_and_a_trained_one(add: Add, seconds: Callable[..., Any]) -> None:
    add(1, megapixels=1.0, predict_time=7.0, call={"input": {"model": "fast"}})
    add(1, megapixels=1.0, predict_time=9.0, call={"input": {"model": "trained"}, "trained_by": "t" * 26})
    add(30, megapixels=1.0, predict_time=500.0)
    assert seconds(inputs={"model": "fast"})[0] == 7.0
    assert seconds(trained_by="t" * 26)[0] == 9.0
    assert seconds(inputs={"model": "anime"})[0] is None


def test_a_training_is_told_by_trainings_that_counted_their_steps(
    add: Add, seconds: Callable[..., Any]
) -> None:
    add(1, kind="training", steps=100, predict_time=50.0)
    add(30, kind="training", steps=None, predict_time=3.0)
    asked = {"kind": "training", "source": "pictures"}
    assert seconds(**asked, inputs={"steps": 1000}) == (500.0, "1 job that ended before")
    assert seconds(**asked)[0] == 3.0


def test_jobs_of_an_earlier_version_count_for_the_same_picture(
    tmp_path: Path, jobs: Jobs, add: Add, seconds: Callable[..., Any]
) -> None:
    add(1, source=str(tmp_path / "scan.png"), predict_time=4.0)
    jobs.database.close()
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as old:
        old.execute("DROP INDEX jobs_measured")
        old.execute("ALTER TABLE jobs DROP COLUMN megapixels")
    jobs.database = Database(path)
    assert seconds() == (4.0, "1 job like it that ended before")


def test_an_index_leads_to_the_jobs_that_are_looked_at(jobs: Jobs) -> None:
    plan = jobs.database.rows(
        "EXPLAIN QUERY PLAN SELECT predict_time FROM jobs WHERE kind = ? AND hardware = ? AND state = "
        "'completed' AND predict_time > 0 AND megapixels BETWEEN 1 AND 2 ORDER BY sequence DESC LIMIT 20",
        ["master", HERE],
    )
    assert "jobs_measured (kind=? AND hardware=?" in json.dumps([row["detail"] for row in plan])
