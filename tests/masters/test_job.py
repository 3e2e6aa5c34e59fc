"""The job folder: what is done survives whatever ends the process, and is trusted only while it is whole."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luxscaler.backends.base import TileOutput
from luxscaler.errors import JobError
from luxscaler.masters import job as job_module
from luxscaler.masters.job import Job, folder_of, restart
from luxscaler.picture import Picture
from tests.conftest import ROOT

FACTS = {"picture": "abc", "scale": "4.0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "größer.exr")


@pytest.fixture
def job(folder: Path) -> Iterator[Job]:
    job = Job(folder, FACTS)
    yield job
    job.close()


def output(seed: int = 0, *, alpha: bool = False, size: tuple[int, int] = (6, 9)) -> TileOutput:
    random = np.random.default_rng(seed)
    rgb = random.standard_normal((*size, 3), np.float32) * 100
    return TileOutput(rgb, random.random(size, np.float32) if alpha else None, seconds=1.5, dollars=0.25)


def same(picture: Picture, made: TileOutput, rows: slice = slice(None), columns: slice = slice(None)) -> bool:
    return picture.rgb.tobytes() == made.rgb[rows, columns].tobytes() and (
        (picture.alpha is None) == (made.alpha is None)
        and (
            picture.alpha is None
            or made.alpha is None
            or bool((picture.alpha == made.alpha[rows, columns]).all())
        )
    )


def reopened(job: Job) -> Job:
    job.close()
    return Job(job.folder, FACTS)


def in_a_process(folder: Path, code: str) -> subprocess.Popen[str]:
    """Runs with `job` open."""
    head = "from luxscaler.masters.job import Job\nfrom pathlib import Path\n"
    head += f"job = Job(Path({str(folder)!r}), {FACTS})\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "tiles").iterdir()}


# Tiles


@pytest.mark.parametrize("alpha", [False, True])
def test_a_tile_comes_back_bit_for_bit(job: Job, alpha: bool) -> None:
    made = output(alpha=alpha)
    job.store(12, made, attempts=2)
    assert same(job.tile(12).whole(), made)
    assert same(job.tile(12).region(2, 5, 1, 8), made, slice(2, 5), slice(1, 8))


def test_a_tile_that_does_not_lie_in_one_piece_is_kept_too(job: Job) -> None:
    large = output(size=(20, 30)).rgb
    job.store(0, TileOutput(large[::2, 3:10]), attempts=1)
    np.testing.assert_array_equal(job.tile(0).whole().rgb, large[::2, 3:10])


def test_records_survive(job: Job) -> None:
    for number in (3, 1):
        job.store(number, output(number, alpha=number == 3), attempts=number)
    job.store(1, output(8), attempts=5)  # done again
    records = (again := reopened(job)).records()
    assert list(records) == [1, 3]
    record = records[3]
    assert (record.number, record.width, record.height, record.has_alpha) == (3, 9, 6, True)
    assert (records[1].attempts, record.seconds, record.dollars) == (5, 1.5, 0.25)
    assert same(again.tile(1).whole(), output(8))
    assert again.intact() == {1, 3}
    again.close()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "harm", [flip, Path.unlink, lambda path: os.truncate(path, 50), lambda path: path.write_bytes(b"")]
)
def test_a_damaged_tile_is_forgotten(job: Job, harm: Callable[[Path], None]) -> None:
    for number in range(3):
        job.store(number, output(number), attempts=1)
    harm(job.folder / "tiles" / "000001")
    assert job.intact() == {0, 2}
    assert list(job.records()) == [0, 2]


def test_a_full_disk_is_one_line_and_leaves_no_part_of_a_tile(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.store(0, output(), attempts=1)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(job_module, "_write", full)
    with pytest.raises(
        JobError, match=r"^cannot keep a tile in '.*größer\.exr\.job': No space left on device$"
    ):
        job.store(1, output(1), attempts=1)
    assert names(job.folder) == {"000000"}
    assert job.intact() == {0}


# One folder, one job


@pytest.mark.slow
def test_another_process_is_told_to_wait(job: Job) -> None:
    other = in_a_process(job.folder, "")
    other.communicate()
    assert other.returncode == 1
    with pytest.raises(JobError, match=r"^another process is at work in '.*': wait for it, or end it$"):
        Job(job.folder, FACTS)


@pytest.mark.slow
def test_a_killed_process_holds_nothing(folder: Path) -> None:
    other = in_a_process(folder, "print('open', flush=True); input()")
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    with pytest.raises(JobError, match="another process"):
        Job(folder, FACTS)
    with pytest.raises(JobError, match="another process"):
        restart(folder.with_name("größer.exr"))
    other.kill()
    other.communicate()
    Job(folder, FACTS).close()


@pytest.mark.parametrize(
    ("fact", "value", "words"),
    [("picture", "def", "another picture: finish"), ("scale", "2.0", r"another scale \(4.0, now 2.0\)")],
)
@pytest.mark.parametrize("is_paid", [False, True])
def test_another_job_is_refused_by_the_fact_that_differs(
    job: Job, fact: str, value: str, words: str, *, is_paid: bool
) -> None:
    if is_paid:
        job.announce(3, "marker")
    else:
        job.store(0, output(), attempts=1)
    job.close()
    with pytest.raises(JobError, match=f"{words}.*--restart") as caught:
        Job(job.folder, {**FACTS, fact: value})
    assert "\n" not in str(caught.value)
    Job(job.folder, FACTS).close()  # and it is let go


def test_facts_that_older_programs_wrote_only_when_chosen_count(job: Job) -> None:
    job.store(0, output(), attempts=1)
    job.close()
    Job(job.folder, {**FACTS, "wrap": "", "layer": "", "part": "None"}).close()
    with pytest.raises(JobError, match=r"another layer \(none, now diffuse\)"):
        Job(job.folder, {**FACTS, "layer": "diffuse"})


@pytest.mark.parametrize(("key", "value", "before"), [("scale", "2.0", "4.0"), ("layer", "diffuse", "")])
def test_a_job_in_which_nothing_was_done_is_in_nobodys_way(
    key: str, value: str, before: str, job: Job
) -> None:
    job.remember("spool", "of the former picture")
    job.close()
    again = Job(job.folder, {**FACTS, key: value})
    assert again.recall("spool") is None
    again.store(0, output(), attempts=1)
    again.close()
    with pytest.raises(JobError, match=f"another {key}"):
        Job(job.folder, {**FACTS, key: before})


def test_restart_begins_anew(job: Job) -> None:
    job.store(0, output(), attempts=1)
    job.close()
    restart(job.folder.with_name("größer.exr"))
    assert not job.folder.exists()
    restart(job.folder.with_name("größer.exr"))  # nothing to do
    other = Job(job.folder, {**FACTS, "scale": "2.0"})
    assert other.records() == {}
    other.close()


def test_remove_leaves_nothing(job: Job) -> None:
    job.store(0, output(), attempts=1)
    job.remove()
    assert list(job.folder.parent.iterdir()) == []


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.job").write_text("mine")
    with pytest.raises(JobError, match=r"^cannot use the job folder '.*a\.job': "):
        Job(tmp_path / "a.job", FACTS)


@pytest.mark.parametrize("data", [b"no database" * 500, b"SQLite format 3\0" + bytes(range(256)) * 40])
def test_a_damaged_database_is_told_in_one_line(job: Job, data: bytes) -> None:
    job.close()
    for path in job.folder.glob("job.sqlite3*"):
        path.unlink()
    (job.folder / "job.sqlite3").write_bytes(data)
    for _ in range(2):  # the folder is not held after the first
        with pytest.raises(JobError, match=r"^the job folder '.*' is damaged \(.*\): remove it$"):
            Job(job.folder, FACTS)


def test_what_may_be_mended_is_not_called_damaged(job: Job) -> None:
    job.close()
    shutil.move(job.folder / "job.sqlite3", job.folder / "aside")
    (job.folder / "job.sqlite3").mkdir()
    with pytest.raises(JobError, match=r"^cannot use the job folder .*: unable to open database file$"):
        Job(job.folder, FACTS)


USES: list[Callable[[Job], object]] = [
    Job.records,
    Job.intact,
    Job.open_intents,
    Job.spent,
    lambda job: job.recall("x"),
    lambda job: job.remember("x", "y"),
    lambda job: job.announce(0, "x"),
    lambda job: job.store(0, output(), 1),
]


@pytest.mark.parametrize("use", USES)
def test_a_database_that_fails_later_is_a_job_error_too(job: Job, use: Callable[[Job], object]) -> None:
    with sqlite3.connect(job.folder / "job.sqlite3") as other:
        for table in ("tiles", "calls", "notes"):
            other.execute(f"DROP TABLE {table}")
    with pytest.raises(JobError, match=r"^cannot use the job folder '.*': no such table: [a-z]+$"):
        use(job)


# The ledger


def test_the_ledger_survives(job: Job) -> None:
    first, second, third = (job.announce(tile, f"marker {tile}") for tile in (4, 5, 4))
    job.created(second, "prediction")
    job.settle(first, "succeeded", seconds=2.0, dollars=0.5)
    job.settle(third, "failed", dollars=0.25)
    job.remember("upload", "https://example.org/a")
    job.remember("upload", "https://example.org/b")
    again = reopened(job)
    (intent,) = again.open_intents()
    assert (intent.number, intent.tile, intent.marker, intent.prediction) == (
        second,
        5,
        "marker 5",
        "prediction",
    )
    assert again.open_intents(4) == []
    assert again.open_intents(5) == [intent]
    assert again.spent() == 0.75
    assert again.recall("upload") == "https://example.org/b"
    assert again.recall("other") is None
    assert again.announce(6, "") > third
    again.close()


@pytest.mark.slow
def test_what_was_announced_is_known_after_kill_9(folder: Path) -> None:
    code = "number = job.announce(7, 'the address')\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    other = in_a_process(folder, code)
    other.communicate()
    assert other.returncode == -signal.SIGKILL
    job = Job(folder, FACTS)
    assert [(intent.tile, intent.marker, intent.prediction) for intent in job.open_intents()] == [
        (7, "the address", None)
    ]
    job.close()


def test_threads_may_use_it_at_once(job: Job) -> None:
    errors: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for turn in range(8):
                number = job.announce(worker, f"{worker}.{turn}")
                job.created(number, f"p{number}")
                job.store(worker * 8 + turn, output(number), attempts=1)
                assert job.open_intents(worker)[0].prediction == f"p{number}"
                job.settle(number, "succeeded", dollars=0.125)
                job.remember(str(worker), str(turn))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert job.intact() == set(range(32))
    assert (job.open_intents(), job.spent()) == ([], 4.0)
    assert {job.recall(str(worker)) for worker in range(4)} == {"7"}


# In memory


def test_a_folder_of_another_name_is_not_kept_for_later(tmp_path: Path) -> None:
    job = Job(tmp_path / "job", FACTS)
    assert not job.lasts
    job.close()


def test_a_long_name_has_a_job_folder(tmp_path: Path) -> None:
    longest = tmp_path / ("n" * 248 + ".exr")
    assert len(folder_of(longest).name) <= 255
    folder_of(longest).mkdir()
    assert folder_of(longest) != folder_of(tmp_path / ("m" * 248 + ".exr"))
    assert folder_of(tmp_path / "a.exr").name == "a.exr.job"
