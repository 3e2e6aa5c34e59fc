"""What is told of a run by a poll and a webhook at once: a job goes forward only."""

from pathlib import Path

import pytest

from luxscaler.clock import Clock
from luxscaler.console.database import Database
from luxscaler.console.deliveries import Deliveries, Delivery
from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.console.transitions import Transitions
from luxscaler.replicate.runs import RemoteRun, run_in

RUN = "a" * 26


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    found = Jobs(Database(tmp_path / "console.sqlite3"), Clock())
    now = Clock().now()
    found.add(
        Job(
            id="b" * 26,
            kind="master",
            name="one",
            source="x",
            call={"input": {}},
            fingerprint="",
            nonce="n",
            hardware="gpu-l40s",
            price=0.001,
            max_seconds=600.0,
            created_at=now,
            deadline=now + 600,
            state=JobState.UPLOADING,
            remote_id=RUN,
        )
    )
    return found


def _run(status: str, logs: str = "", **more: object) -> RemoteRun:
    return run_in({"id": RUN, "status": status, "logs": logs, "input": {}, **more})


def _told(jobs: Jobs) -> Job:
    job = jobs.get("b" * 26)
    assert job is not None
    return job


def test_a_late_poll_does_not_take_back_what_a_webhook_told(jobs: Jobs) -> None:
    """The poll's answer was on its way while the webhook was applied."""
    transitions = Transitions(jobs, Clock())
    assert transitions.apply("b" * 26, _run("processing", "one\ntwo\n"))
    assert not transitions.apply("b" * 26, _run("starting"))
    assert not transitions.apply("b" * 26, _run("processing", "one\n"))
    assert (_told(jobs).state, _told(jobs).logs) == (JobState.RUNNING, "one\ntwo\n")


def test_a_job_that_was_given_up_stays_so(jobs: Jobs) -> None:
    transitions = Transitions(jobs, Clock())
    transitions.fail(_told(jobs), "its deadline has passed", cost=0.6)
    assert not transitions.apply("b" * 26, _run("succeeded", output="https://host.example/out.exr"))
    assert (_told(jobs).state, _told(jobs).cost) == (JobState.FAILED, 0.6)


def test_what_several_webhooks_say_of_one_job_is_one_change(jobs: Jobs) -> None:
    woken: list[str] = []
    deliveries = Deliveries(jobs, Transitions(jobs, Clock()), Clock(), woken.extend)
    done = _run(
        "succeeded", "one\ntwo\n", output="https://host.example/out.exr", metrics={"predict_time": 2.0}
    )
    runs = [_run("starting"), _run("processing", "one\n"), done, _run("processing", "one\n"), done]
    batch = [Delivery(f"msg_{number}", b"{}", run) for number, run in enumerate(runs)]
    before = jobs.last_event()
    verdicts = deliveries.write(
        [*batch, batch[1], Delivery("msg_9", b"{}", run_in({"id": "c", "status": "starting"}))]
    )
    assert verdicts == ["applied", "applied", "applied", "unchanged", "unchanged", "duplicate", "unknown job"]
    job = _told(jobs)
    assert (job.state, job.logs, job.cost, job.results) == (
        JobState.COMPLETED,
        "one\ntwo\n",
        0.002,
        "waiting",
    )
    assert [event["kind"] for event in jobs.events_after(before)] == ["completed"]
    assert woken == [job.id]
    listed, total = deliveries.listed(3)
    assert ([each["verdict"] for each in listed], total) == (verdicts[:-4:-1], 7)
    older, _ = deliveries.listed(10, before=listed[-1]["id"])
    assert [each["verdict"] for each in older] == verdicts[3::-1]


def test_old_bodies_and_deliveries_are_removed(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("KEPT_DELIVERIES", 6), ("KEPT_BODIES", 2), ("_TRIMMED_EVERY", 4)):
        monkeypatch.setattr(f"luxscaler.console.deliveries.{name}", value)
    deliveries = Deliveries(jobs, Transitions(jobs, Clock()), Clock(), lambda _jobs: None)
    for number in range(3):
        deliveries.write([Delivery(f"msg_{number}{each}", b"{}", _run("starting")) for each in range(4)])
    listed, total = deliveries.listed(100)
    assert total == len(listed) == 6
    assert [each["kept_bytes"] for each in listed] == [2, 2, 0, 0, 0, 0]
    assert deliveries.has("msg_23")
    assert not deliveries.has("msg_00")
