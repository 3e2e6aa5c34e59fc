"""Downloads: checked, resumed and atomic, against a server that misbehaves."""

import hashlib
import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from luxscaler.errors import WeightsError
from luxscaler.weights.download import ABANDONED_S, FileDigest, Limits, download, sha256_of, write_atomically
from tests.support.local_server import Request, cut_after, serve, stall_after, whole, without_ranges

DATA = random.Random(1).randbytes(700_000)
HALF = len(DATA) // 2
FILE = FileDigest("file.bin", len(DATA), hashlib.sha256(DATA).hexdigest())
QUICK = Limits(timeout_s=0.15, attempts=2)
ONCE = Limits(timeout_s=5, attempts=1)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_brings_the_file_and_tells_the_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with serve(whole(DATA)) as server:
        path = download(server.url, tmp_path, FILE, lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "file.bin"
    assert path.read_bytes() == DATA
    assert names_in(tmp_path) == ["file.bin"]
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


def test_goes_on_after_a_cut(tmp_path: Path) -> None:
    with serve(cut_after(HALF, DATA), whole(DATA)) as server:
        assert download(server.url, tmp_path, FILE).read_bytes() == DATA
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_goes_on_in_a_later_call(tmp_path: Path) -> None:
    with serve(cut_after(HALF, DATA), whole(DATA)) as server:
        with pytest.raises(WeightsError, match=f"ended after {HALF} of {len(DATA)} bytes"):
            download(server.url, tmp_path, FILE, limits=ONCE)
        assert names_in(tmp_path) == ["file.bin.part"]
        assert download(server.url, tmp_path, FILE, limits=ONCE).read_bytes() == DATA
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert names_in(tmp_path) == ["file.bin"]


def test_starts_again_where_the_server_ignores_ranges(tmp_path: Path) -> None:
    with serve(cut_after(HALF, DATA), without_ranges(DATA)) as server:
        assert download(server.url, tmp_path, FILE).read_bytes() == DATA
    assert server.ranges == [None, f"bytes={HALF}-"]


def elsewhere(request: Request) -> None:
    request.send(206, DATA[10:], Content_Range=f"bytes 10-{len(DATA) - 1}/{len(DATA)}")


def other_length(request: Request) -> None:
    request.send(206, DATA[HALF:], Content_Range=f"bytes {HALF}-{len(DATA)}/{len(DATA) + 1}")


def not_satisfiable(request: Request) -> None:
    request.send(416, b"", Content_Length="0")


@pytest.mark.parametrize("answer", [elsewhere, other_length, not_satisfiable])
def test_starts_again_where_resuming_goes_wrong(tmp_path: Path, answer: object) -> None:
    assert callable(answer)
    with serve(cut_after(HALF, DATA), answer, whole(DATA)) as server:
        assert download(server.url, tmp_path, FILE).read_bytes() == DATA
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_a_complete_part_needs_no_connection(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(DATA)
    with serve(whole(DATA)) as server:
        assert download(server.url, tmp_path, FILE).read_bytes() == DATA
    assert server.ranges == []


def test_wrong_bytes_are_deleted_and_the_old_file_stays(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"old")
    wrong = DATA[:-1] + b"?"
    with serve(whole(wrong)) as server, pytest.raises(WeightsError) as caught:
        download(server.url, tmp_path, FILE)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert FILE.sha256 in str(caught.value)
    assert names_in(tmp_path) == ["file.bin"]
    assert (tmp_path / "file.bin").read_bytes() == b"old"


def test_a_body_longer_than_announced_by_the_catalogue_is_refused(tmp_path: Path) -> None:
    with (
        serve(lambda request: request.send(200, DATA + b"more")) as server,
        pytest.raises(WeightsError, match=f"more than the expected {len(DATA)} bytes"),
    ):
        download(server.url, tmp_path, FILE)
    assert names_in(tmp_path) == []


def test_another_content_length_is_refused_before_the_body(tmp_path: Path) -> None:
    with serve(whole(DATA + b"more")) as server, pytest.raises(WeightsError, match="expected 700000"):
        download(server.url, tmp_path, FILE)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_error_answers_are_not_tried_again(tmp_path: Path, status: int) -> None:
    with (
        serve(lambda request: request.send(status, b"", Content_Length="0")) as server,
        pytest.raises(WeightsError, match=f"HTTP {status}"),
    ):
        download(server.url, tmp_path, FILE)
    assert len(server.ranges) == 1
    assert names_in(tmp_path) == []


def test_redirects_are_followed(tmp_path: Path) -> None:
    with (
        serve(whole(DATA)) as goal,
        serve(lambda request: request.send(302, b"", Location=goal.url, Content_Length="0")) as server,
    ):
        assert download(server.url, tmp_path, FILE).read_bytes() == DATA


@pytest.mark.parametrize("count", [0, HALF])
def test_a_stalled_body_meets_the_timeout(tmp_path: Path, count: int) -> None:
    start = time.monotonic()
    with serve(stall_after(count, DATA)) as server, pytest.raises(WeightsError, match="timed out"):
        download(server.url, tmp_path, FILE, limits=QUICK)
    assert time.monotonic() - start < 5
    # Without a single byte there is no second try.
    assert len(server.ranges) == (2 if count else 1)
    assert (tmp_path / "file.bin.part").exists() == bool(count)


def rubbish(request: Request) -> None:
    request.wfile.write(b"hello\r\n")


def test_an_answer_that_is_not_http(tmp_path: Path) -> None:
    with serve(rubbish) as server, pytest.raises(WeightsError, match="no answer"):
        download(server.url, tmp_path, FILE)


def test_a_closed_port(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(WeightsError, match="cannot connect"):
        download(f"http://127.0.0.1:{port}/x", tmp_path, FILE)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="only http and https"):
        download((tmp_path / "x").as_uri(), tmp_path, FILE)


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(DATA[:1000])
    errors: list[Exception] = []

    def work(url: str) -> None:
        try:
            download(url, tmp_path, FILE)
        except WeightsError as error:
            errors.append(error)

    with serve(whole(DATA)) as server:
        threads = [threading.Thread(target=work, args=(server.url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
    assert sorted(str(r) for r in server.ranges) == ["None"] * 7 + ["bytes=1000-"]
    assert names_in(tmp_path) == ["file.bin"]
    assert sha256_of(tmp_path / "file.bin") == FILE.sha256


def test_left_over_parts_go_and_parts_in_use_stay(tmp_path: Path) -> None:
    old, new = tmp_path / "file.bin.old.part", tmp_path / "file.bin.new.part"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, time.time() - ABANDONED_S - 60))
    with serve(whole(DATA)) as server:
        download(server.url, tmp_path, FILE)
    assert names_in(tmp_path) == ["file.bin", "file.bin.new.part"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot write"):
        download("http://127.0.0.1:9/x", tmp_path / "absent", FILE)


def test_write_atomically_leaves_nothing_behind(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"1")
    write_atomically(tmp_path / "a", b"2")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WeightsError, match="cannot write"):
        write_atomically(tmp_path / "folder", b"3")
    assert names_in(tmp_path) == ["a", "folder"]
    assert (tmp_path / "a").read_bytes() == b"2"
