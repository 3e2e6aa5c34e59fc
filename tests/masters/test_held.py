"""Tiles that are cheap to make stay in memory, within a limit; all others are on disk before they count."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from luxscaler.backends.base import TileOutput
from luxscaler.errors import BackendError, TileError
from luxscaler.masters import run as run_module
from luxscaler.masters.held import DISK_BYTES_PER_SECOND, HeldTiles, is_cheap, usual_budget
from luxscaler.masters.job import Job, folder_of
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.tiling import assembly
from luxscaler.tiling.assembly import Assembler
from tests.support.fake_backend import FakeBackend
from tests.support.picture_files import noise, pillow
from tests.support.stored_tiles import stored

TILES = 12
SIZE = 40 * 30 * 3 * 4
CHEAP = TileOutput(np.zeros((40, 30, 3), np.float32), None, 0.5 * SIZE / DISK_BYTES_PER_SECOND, trusted=True)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (CHEAP, True),
        (replace(CHEAP, seconds=2 * SIZE / DISK_BYTES_PER_SECOND), False),
        (replace(CHEAP, seconds=0.0), False),  # not known
        (replace(CHEAP, dollars=0.01), False),
        (replace(CHEAP, trusted=False), False),
    ],
)
def test_what_is_cheap(output: TileOutput, expected: bool) -> None:
    assert is_cheap(output) == expected
    assert HeldTiles(10 * SIZE).take(0, output) == expected


def test_the_limit_counts_alpha_and_what_is_released_is_free_again() -> None:
    held = HeldTiles(2 * SIZE)
    assert [held.take(number, CHEAP) for number in range(3)] == [True, True, False]
    held.release(lambda number: number == 0)
    assert held.get(0) is None
    assert held.get(1) is not None
    assert not held.take(3, replace(CHEAP, alpha=np.zeros((40, 30), np.float32)))
    assert held.take(3, CHEAP)
    assert not HeldTiles(0).take(0, CHEAP)
    assert 0 < usual_budget() <= 2 * 2**30


@pytest.fixture
def request_(tmp_path: Path) -> UpscaleRequest:
    """A picture of TILES tiles."""
    source = tmp_path / "in.png"
    source.write_bytes(pillow(noise(150, 200, 3), "PNG"))
    return UpscaleRequest(source, output_format="tiff", tile=64, overlap=16)


def cheap_backend(**more: object) -> FakeBackend:
    return FakeBackend(seconds=1e-5, trusted=True, **more)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.sample(1)
@pytest.mark.parametrize(("tiles", "written"), [(0, TILES), (3, None), (100, 0)])
def test_the_same_bytes_however_many_are_held(
    request_: UpscaleRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiles: int,
    written: int | None,
) -> None:
    expected, target = tmp_path / "expected.tiff", tmp_path / "out.tiff"
    upscale_picture(request_, expected, FakeBackend())
    numbers = stored(monkeypatch)
    monkeypatch.setattr(run_module, "usual_budget", lambda: tiles * 256 * 256 * 12)
    result = upscale_picture(request_, target, cheap_backend())
    assert target.read_bytes() == expected.read_bytes()
    assert result.progress.total == TILES
    assert len(numbers) == written if written is not None else 0 < len(numbers) < TILES
    assert not folder_of(target).exists()


@pytest.mark.slow
def test_what_is_held_is_made_again_by_the_next_run(
    request_: UpscaleRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, target = tmp_path / "expected.tiff", tmp_path / "out.tiff"
    upscale_picture(request_, expected, FakeBackend())
    monkeypatch.setattr(run_module, "usual_budget", lambda: 5 * 256 * 256 * 12)

    def fail(*_: object) -> TileOutput:
        time.sleep(0.01)
        raise TileError("broken")

    with pytest.raises(BackendError, match="broken"):
        upscale_picture(request_, target, cheap_backend(mishaps={(9, 1): fail}), RunOptions(attempts=1))
    job = Job(folder_of(target), {})
    kept = set(job.records())
    job.close()
    again = cheap_backend()
    upscale_picture(request_, target, again)
    assert target.read_bytes() == expected.read_bytes()
    assert {number for number, _ in again.calls} == set(range(TILES)) - kept


@pytest.mark.slow
def test_with_a_report_all_tiles_are_kept(
    request_: UpscaleRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = stored(monkeypatch)
    options = RunOptions(report=tmp_path / "page.html")
    smaller = replace(request_, scale=2.0)
    result = upscale_picture(smaller, tmp_path / "out.tiff", cheap_backend(), options)
    assert result.seams is not None
    assert sorted(numbers) == list(range(TILES))


def test_a_cheap_tile_waits_for_rows_that_are_being_written(
    request_: UpscaleRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that take their time: no tile goes to the disk, and memory holds no more than its limit."""
    numbers = stored(monkeypatch)
    most, sizes = 0, 4 * 256 * 256 * 12
    monkeypatch.setattr(run_module, "usual_budget", lambda: 2 * sizes)
    advance, take = Assembler.advance, HeldTiles.take

    def slowly(self: Assembler, done: Callable[[int], bool], halted: Callable[[], bool] = bool) -> None:
        time.sleep(0.01)
        advance(self, done, halted)

    def counted(self: HeldTiles, number: int, output: TileOutput) -> bool:
        nonlocal most
        taken = take(self, number, output)
        most = max(most, sum(size for _, size, _ in self._tiles.values()))
        return taken

    monkeypatch.setattr(assembly, "strip_rows", lambda _width: 32)
    monkeypatch.setattr(Assembler, "advance", slowly)
    monkeypatch.setattr(HeldTiles, "take", counted)
    # One worker: tiles come in the order of the rows. One that comes late, when later tiles fill the memory,
    # would rightly go to the disk.
    result = upscale_picture(request_, tmp_path / "out.tiff", cheap_backend(workers=1))
    assert (result.progress.total, numbers) == (TILES, [])
    assert 0 < most <= 2 * sizes
