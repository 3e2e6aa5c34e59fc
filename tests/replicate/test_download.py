"""Downloads that break: what goes on where it broke, what begins anew, and what is never mixed."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from luxscaler.errors import TileError
from luxscaler.replicate.download import FetchLimits, GoneError, note_path, resume

LIMITS = FetchLimits(1 << 20, 30.0)


@dataclass
class Shelf:
    """One file on a server, which breaks off where it is told to."""

    content: bytes = bytes(range(256)) * 400
    tag: str = '"one"'
    breaks_after: int | None = None
    status: int = 0
    """Another status than the right one."""
    ignores_range: bool = False
    lies: bool = False
    """Answers a range with another one."""
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            wanted = self.headers.get("range", "")
            shelf.asked.append(wanted)
            if shelf.status:
                self.send_response(shelf.status)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            matches = self.headers.get("if-range") == shelf.tag and not shelf.ignores_range
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and matches else 0
            body = shelf.content[start:]
            self.send_response(206 if start else 200)
            if start:
                first = 0 if shelf.lies else start
                self.send_header(
                    "content-range", f"bytes {first}-{len(shelf.content) - 1}/{len(shelf.content)}"
                )
            if shelf.tag:
                self.send_header("etag", shelf.tag)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if shelf.breaks_after is None else body[: shelf.breaks_after])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        shelf.url = f"http://127.0.0.1:{server.server_address[1]}/weights.tar"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield shelf
        server.shutdown()
        thread.join()


def _resume(shelf: Shelf, path: Path, limits: FetchLimits = LIMITS) -> str:
    with httpx.Client(trust_env=False, verify=False) as client:
        return resume(client, shelf.url, path, limits, lambda: 0.0)


def _broken(shelf: Shelf, path: Path, after: int = 1000) -> None:
    shelf.breaks_after = after
    with pytest.raises(TileError, match="broke"):
        _resume(shelf, path)
    shelf.breaks_after = None


def _check_whole(shelf: Shelf, path: Path, digest: str) -> None:
    assert path.read_bytes() == shelf.content
    assert digest == hashlib.sha256(shelf.content).hexdigest()
    assert not note_path(path).exists()


def test_it_goes_on_where_it_broke_as_often_as_it_breaks(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "part"
    _broken(shelf, path)
    _broken(shelf, path, 500)
    _check_whole(shelf, path, _resume(shelf, path))
    assert shelf.asked == ["", "bytes=1000-", "bytes=1500-"]


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_sure_mark_it_begins_anew(shelf: Shelf, tmp_path: Path, tag: str) -> None:
    shelf.tag, path = tag, tmp_path / "part"
    _broken(shelf, path)
    _check_whole(shelf, path, _resume(shelf, path))
    assert shelf.asked == ["", ""]


def test_a_file_that_has_become_another_begins_anew(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "part"
    _broken(shelf, path)
    shelf.content, shelf.tag = shelf.content[::-1], '"two"'
    _check_whole(shelf, path, _resume(shelf, path))


def test_a_server_without_ranges_sends_all_again(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "part"
    _broken(shelf, path)
    shelf.ignores_range = True
    _check_whole(shelf, path, _resume(shelf, path))


def test_a_wrong_range_is_not_put_behind_what_is_there(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "part"
    _broken(shelf, path)
    shelf.lies = True
    with pytest.raises(TileError, match="begins anew"):
        _resume(shelf, path)
    _check_whole(shelf, path, _resume(shelf, path))


@pytest.mark.parametrize("status", [416, 500])
def test_a_refused_range(shelf: Shelf, tmp_path: Path, status: int) -> None:
    path = tmp_path / "part"
    _broken(shelf, path)
    shelf.status = status
    with pytest.raises(TileError):
        _resume(shelf, path)
    shelf.status = 0
    _check_whole(shelf, path, _resume(shelf, path))
    assert shelf.asked[-1] == ("" if status == 416 else "bytes=1000-")


def test_what_is_gone_and_what_is_too_large(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "part"
    _broken(shelf, path)
    with pytest.raises(TileError, match="more than 2000 bytes"):
        _resume(shelf, path, FetchLimits(2000, 30.0))
    shelf.status = 410
    with pytest.raises(GoneError):
        _resume(shelf, path)


@pytest.mark.parametrize("note", ["", "{", "[]", json.dumps({"validator": 1, "total": "x"})])
def test_a_damaged_note_begins_anew(shelf: Shelf, tmp_path: Path, note: str) -> None:
    path = tmp_path / "part"
    _broken(shelf, path)
    note_path(path).write_text(note)
    _check_whole(shelf, path, _resume(shelf, path))
    assert shelf.asked == ["", ""]
