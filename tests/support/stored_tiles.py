"""Which tiles of a master are written to its job folder."""

import pytest

from luxscaler.backends.base import TileOutput
from luxscaler.masters.job import Job


def stored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the tiles that are written to the job folder."""
    numbers: list[int] = []
    store = Job.store

    def counted(job: Job, number: int, output: TileOutput, attempts: int) -> None:
        numbers.append(number)
        store(job, number, output, attempts)

    monkeypatch.setattr(Job, "store", counted)
    return numbers
