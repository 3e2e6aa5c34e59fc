"""Decoding in a process of its own: the same pictures and errors, and failures that take nothing down."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from luxscaler.errors import InputError, PictureError, PictureTooLargeError
from luxscaler.io.read import read_picture
from luxscaler.isolation.pool import IS_AVAILABLE, DecoderPool, read_picture_isolated, warm_up
from luxscaler.options import DEFAULT_MAX_PIXELS, DecodeLimits
from luxscaler.picture import Picture
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process
from tests.conftest import ROOT
from tests.io.test_read import INTEGER_FILES
from tests.io.test_read_errors import FILES
from tests.support.picture_files import exif, noise, pillow, png, raw_png, tiff

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="isolation needs Linux")

LIMITS = DecodeLimits(seconds=30, memory_bytes=2**30)
PICTURE = png(noise(channels=4))


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    """Its processes have the bad decoder for BMP."""
    pool = DecoderPool(("tests.support.bad_decoders",))
    yield pool
    pool.close()


def read(pool: DecoderPool, word: str, limits: DecodeLimits = LIMITS) -> Picture:
    return pool.read(b"BM" + word.encode(), DEFAULT_MAX_PIXELS, limits)


def message(pool: DecoderPool, word: str, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(PictureError) as caught:
        read(pool, word, limits)
    assert read(pool, "fine").rgb.shape == (4, 4, 3)
    return str(caught.value)


def same(one: Picture, other: Picture) -> None:
    np.testing.assert_array_equal(one.rgb, other.rgb)
    assert one.source == other.source
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None and other.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)


def family(pid: int) -> set[int]:
    """The living descendants of a process, zombies too."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = set(), [pid]
    while waiting:
        more = children.get(waiting.pop(), [])
        found.update(more)
        waiting += more
    return found


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


WITH_METADATA = pillow(noise(), "JPEG", exif=exif(6, adobe=True), dpi=(300, 200))


@pytest.mark.sample(7)
@pytest.mark.parametrize("data", [*FILES.values(), *(f[1] for f in INTEGER_FILES[::6]), WITH_METADATA])
def test_pictures_are_the_same_to_the_last_bit(data: bytes) -> None:
    same(read_picture_isolated(data), read_picture(data))


def test_a_path_and_a_large_picture(tmp_path: Path) -> None:
    path = tmp_path / "größer.tiff"
    path.write_bytes(tiff(noise(300, 400, 4, 16), photometric="rgb", extrasamples=["unassalpha"]))
    same(read_picture_isolated(path), read_picture(path))
    same(read_picture_isolated(str(path)), read_picture(path))


@pytest.mark.slow
def test_the_arrays_can_be_written_and_outlive_each_other() -> None:
    picture = read_picture_isolated(PICTURE)
    rgb = picture.rgb
    assert rgb.flags.writeable
    expected = rgb + 1
    del picture
    gc.collect()
    rgb += 1
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"<html>",
        b"BM",
        b"\xff\x0a" + bytes(50),
        PICTURE[:-20],
        FILES["jpeg"][:-100],
        FILES["exr"][:-9],
        raw_png(100_000, 100_000, 8, 2, b""),
        "/nowhere/picture.png",
        "/",
        "a\0b.png",
        Path("/dev/zero"),
    ],
)
def test_errors_are_the_same(source: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PictureError) as plain:
        read_picture(source)
    capfd.readouterr()
    with pytest.raises(PictureError) as isolated:
        read_picture_isolated(source)
    assert str(isolated.value) == str(plain.value)
    assert type(isolated.value) is type(plain.value)
    assert capfd.readouterr() == ("", "")  # OpenEXR's core prints, in its own process to nowhere


def test_the_limit_of_pixels() -> None:
    with pytest.raises(PictureTooLargeError, match=r"768 pixels .* the limit is 700"):
        read_picture_isolated(PICTURE, max_pixels=700)


def test_a_file_keeps_its_name(pool: DecoderPool, tmp_path: Path) -> None:
    path = tmp_path / "odd name.bmp"
    path.write_bytes(b"BMsegv")
    with pytest.raises(PictureError, match=r"^odd name\.bmp cannot be read: its decoder crashed"):
        pool.read(path, DEFAULT_MAX_PIXELS, LIMITS)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("segv", "the data cannot be read: its decoder crashed (signal 11)"),
        ("abort", "the data cannot be read: its decoder crashed (signal 6)"),
        (
            "kill",
            "the data cannot be read: its decoder was killed (signal 9), as happens when memory runs out",
        ),
        ("exit", "the data cannot be read: its decoder ended with status 3"),
        ("files", "the data cannot be read, it may be damaged: [Errno 24] Too many open files: '/dev/null'"),
    ],
)
def test_a_crash_is_one_error_and_the_next_picture_is_read(pool: DecoderPool, word: str, text: str) -> None:
    assert message(pool, word) == text


@pytest.mark.sample(2)
@pytest.mark.parametrize("word", ["sleep", "spin", "hang in header"])
def test_a_hang_ends_at_the_deadline(pool: DecoderPool, word: str) -> None:
    read(pool, "fine")
    start = time.monotonic()
    expected = "the data cannot be read: decoding it took longer than 0.1 s"
    assert message(pool, word, DecodeLimits(seconds=0.1)) == expected
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_memory_ends_at_what_the_size_explains(pool: DecoderPool) -> None:
    # 512 MiB and 96 bytes for each of 16 pixels, however much is allowed.
    expected = "the data cannot be read: decoding it needed more than 537 MB"
    assert message(pool, "allocate", DecodeLimits()) == expected


def test_memory_ends_at_the_limit() -> None:
    data = png(noise(600, 600))
    with pytest.raises(PictureError, match="needed more than 2 MB"):
        read_picture_isolated(data, limits=DecodeLimits(memory_bytes=2_000_000))
    same(read_picture_isolated(data), read_picture(data))


def test_what_decoders_print_goes_nowhere(pool: DecoderPool, capfd: pytest.CaptureFixture[str]) -> None:
    read(pool, "print")
    assert capfd.readouterr() == ("", "")


def test_limits_are_checked() -> None:
    for bad in ({"seconds": 0.0}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"memory_bytes": 0}):
        with pytest.raises(InputError, match="above 0"):
            DecodeLimits(**bad)


@pytest.mark.slow
def test_a_decoding_process_that_was_killed_is_replaced() -> None:
    pool = DecoderPool()
    before = family(os.getpid())
    pool.read(PICTURE, DEFAULT_MAX_PIXELS, LIMITS)
    (process,) = family(os.getpid()) - before
    os.kill(process, signal.SIGKILL)
    pool.read(PICTURE, DEFAULT_MAX_PIXELS, LIMITS)
    pool.close()
    assert family(os.getpid()) <= before


@pytest.mark.slow
def test_nothing_is_left_behind(pool: DecoderPool) -> None:
    read(pool, "fine")
    processes, files = family(os.getpid()), set(Path("/proc/self/fd").iterdir())
    memory = set(Path("/dev/shm").iterdir())
    for word in ("fine", "segv", "kill", "spin"):
        with suppress(PictureError):
            read(pool, word, replace(LIMITS, seconds=0.1))
    gc.collect()
    assert family(os.getpid()) == processes
    assert set(Path("/proc/self/fd").iterdir()) == files
    assert set(Path("/dev/shm").iterdir()) == memory


@pytest.mark.slow
def test_threads_read_at_the_same_time() -> None:
    pool = DecoderPool()
    before = family(os.getpid())
    files = [png(noise(100 + i, 100, seed=i)) for i in range(4)]
    pictures: dict[int, Picture] = {}

    def work(index: int) -> None:
        for _ in range(5):
            pictures[index] = pool.read(files[index], DEFAULT_MAX_PIXELS, LIMITS)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, data in enumerate(files):
        same(pictures[index], read_picture(data))
    assert len(family(os.getpid()) - before) <= 2
    pool.close()
    assert family(os.getpid()) <= before


@pytest.mark.slow
def test_a_fork_of_the_caller_starts_its_own() -> None:
    warm_up()
    expected = read_picture_isolated(PICTURE).rgb
    before = family(os.getpid())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if (read_picture_isolated(PICTURE).rgb == expected).all() else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    same(read_picture_isolated(PICTURE), read_picture(PICTURE))
    wait_until(lambda: family(os.getpid()) == before)


SCRIPT = """
import sys, threading
sys.path.insert(0, {root!r})
{before}
from luxscaler.isolation.pool import DecodeLimits, DecoderPool
pool = DecoderPool(("tests.support.bad_decoders",))
threading.Thread(target=threading.Event().wait, daemon=True).start()
assert pool.read(b"BMfine", 1000, DecodeLimits()).width == 4
{after}
"""


def script(before: str = "", after: str = "") -> str:
    return SCRIPT.format(root=str(ROOT), before=before, after=after)


TORCH_AT_WORK = "import torch; torch.ones(300, 300) @ torch.ones(300, 300)"


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", TORCH_AT_WORK])
def test_it_works_as_cogs_worker_is_started(before: str) -> None:
    """`python -c`, with torch, threads and closed standard input; the program ends without a word."""
    done = subprocess.run(
        [sys.executable, "-c", script(before)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_a_caller_that_ends_in_the_middle(end: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C goes to the whole group, as from a terminal; the others only to the caller."""
    told = tmp_path / "pid"
    text = script(after=f"pool.read(b'BMpid {told}', 1000, DecodeLimits())")
    caller = subprocess.Popen(
        [sys.executable, "-c", text], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: told.exists() and told.read_text())
    started = family(caller.pid)
    assert int(told.read_text()) in started
    if end == signal.SIGINT:
        os.killpg(caller.pid, end)
    else:
        caller.send_signal(end)
    _, printed = caller.communicate(timeout=20)
    assert caller.returncode == -end
    assert printed.count("Traceback") == (end == signal.SIGINT)  # the caller's own
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


@pytest.mark.slow
def test_a_decoder_ends_with_the_process_that_waits_for_it(tmp_path: Path) -> None:
    pool = DecoderPool(("tests.support.bad_decoders",))
    told = tmp_path / "pid"
    before = family(os.getpid())
    failures: list[Exception] = []

    def work() -> None:
        try:
            read(pool, f"pid {told}")
        except PictureError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(2):  # it is tried twice
        wait_until(lambda: told.exists() and told.read_text())
        decoder = int(told.read_text())
        told.unlink()
        (process,) = family(os.getpid()) - before - {decoder}
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{decoder}").exists())  # noqa: B023
    thread.join(20)
    assert [str(error) for error in failures] == ["the data cannot be read: the decoding process ended"]
    assert family(os.getpid()) <= before


@pytest.mark.slow
def test_the_pipeline_decodes_within_its_limits(tmp_path: Path) -> None:
    def upscaler_for(name: str) -> Any:
        return SimpleNamespace(device=torch.device("cpu"))

    tight = DecodeLimits(memory_bytes=1_000_000)
    large = png(noise(500, 500))
    for name, request in (
        ("", UpscaleRequest(large, decode_limits=tight)),
        ("reference: ", UpscaleRequest(PICTURE, large, decode_limits=tight)),
    ):
        with pytest.raises(PictureError, match=f"^{name}the data .* needed more than 1 MB$"):
            process(request, upscaler_for, tmp_path / "result.webp")
        assert list(tmp_path.iterdir()) == []
