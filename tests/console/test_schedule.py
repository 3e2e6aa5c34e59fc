"""Who is asked about when: runs by turns and not too many a second, everything else at once."""

from luxscaler.console.job import JobState, ToDo
from luxscaler.console.schedule import RUNS_A_SECOND, Alarm, Schedule


def _run(name: str, *, unwanted: bool = False) -> ToDo:
    return ToDo(name, "replicate", JobState.RUNNING, is_remote=True, is_unwanted=unwanted)


def _here(name: str, state: JobState, *, unwanted: bool = False) -> ToDo:
    return ToDo(name, "here", state, is_remote=False, is_unwanted=unwanted)


def test_a_few_runs_are_asked_about_at_each_turn() -> None:
    schedule, runs = Schedule(5.0), [_run("a"), _run("b")]
    assert schedule.due(runs, 100.0) == ["a", "b"]
    assert schedule.due(runs, 104.9) == []
    assert schedule.due(runs, 105.0) == ["a", "b"]


def test_many_runs_are_asked_about_by_turns_and_none_is_forgotten() -> None:
    schedule, runs = Schedule(5.0), [_run(f"{number:04d}") for number in range(1000)]
    asked: list[str] = []
    for turn in range(20):
        found = schedule.due(runs, 100.0 + 5 * turn)
        assert len(found) <= 5 * RUNS_A_SECOND
        asked += found
    assert sorted(asked[:1000]) == [run.id for run in runs]


def test_what_somebody_wants_to_end_comes_first() -> None:
    schedule = Schedule(5.0)
    runs = [*(_run(f"{number:04d}") for number in range(1000)), _run("last", unwanted=True)]
    assert schedule.due(runs, 100.0)[0] == "last"


def test_what_is_looked_at_because_it_was_named_has_had_its_turn() -> None:
    schedule = Schedule(5.0)
    schedule.due([_run("a")], 100.0)
    schedule.looked_at(["a", "unknown"], 104.0)
    assert schedule.due([_run("a")], 106.0) == []


def test_jobs_to_send_and_to_fetch_are_due_at_every_look() -> None:
    jobs = [
        ToDo("send", "replicate", JobState.PENDING, is_remote=False, is_unwanted=False),
        ToDo("fetch", "replicate", JobState.COMPLETED, is_remote=True, is_unwanted=False),
    ]
    schedule = Schedule(5.0)
    assert schedule.due(jobs, 100.0) == schedule.due(jobs, 100.1) == ["send", "fetch"]


def test_of_those_that_wait_for_this_machine_only_the_first_is_looked_at() -> None:
    jobs = [
        _here("now", JobState.RUNNING),
        *(_here(f"{number}", JobState.QUEUED) for number in range(3)),
        _here("away", JobState.QUEUED, unwanted=True),
        _here("new", JobState.PENDING),
    ]
    assert Schedule(5.0).due(jobs, 100.0) == ["now", "0", "away", "new"]


def test_an_alarm_tells_what_it_rang_for() -> None:
    alarm = Alarm()
    assert alarm.wait(0.0) == (True, set())  # the first look
    alarm.ring_for(["a"])
    alarm.ring_for(["b"])
    assert alarm.wait(10.0) == (False, {"a", "b"})
    alarm.ring()
    assert alarm.wait(10.0) == (True, set())
    assert alarm.wait(0.0) == (True, set())  # nobody rang: it is time for another look
