"""Fetching from addresses that others name: where it goes, what it takes, when it ends, what it tells."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from luxscaler.errors import FetchError, StoppedError
from luxscaler.web import names
from luxscaler.web.fetch import Fetched, FetchLimits, fetch
from luxscaler.web.reach import PUBLIC, Reach
from luxscaler.web.url import Url
from tests.support.hostile_server import (
    HEAD,
    Answer,
    drip,
    endless,
    hostile_server,
    raw,
    redirect,
    silent,
    whole,
)

HERE = Reach.parse("127.0.0.0/8", "here")
QUICK = FetchLimits(bytes=100_000, connect_seconds=1.0, seconds=20.0, slow_seconds=0.3, slow_bytes=1000)
FORBIDDEN_TARGETS = [
    "http://127.0.0.1:{port}/whole",
    "http://localhost:{port}/whole",
    "http://2130706433:{port}/whole",
    "http://0x7f000001:{port}/whole",
    "http://0177.1:{port}/whole",
    "http://127.1:{port}/whole",
    "http://[::ffff:127.0.0.1]:{port}/whole",
    "http://[::1]:{port}/whole",
    "http://0.0.0.0:{port}/whole",
    "http://169.254.169.254/latest/meta-data/",
    "http://user:password@127.0.0.1:{port}/whole",
]


def take(url: str, limits: FetchLimits = QUICK, reach: Reach = HERE, **words: Any) -> tuple[Fetched, bytes]:
    pieces: list[bytes] = []
    return fetch(url, pieces.append, limits=limits, reach=reach, **words), b"".join(pieces)


def hanging(*_: object, **__: object) -> list[Any]:
    """A name server that takes its time."""
    time.sleep(3)
    return []


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and the addresses that a name server gives for them, one after another, the last for ever."""
    answers: dict[str, list[str]] = {}

    def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if host not in answers:
            raise socket.gaierror(-2, "Name or service not known")
        address = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answers


def test_a_file_arrives_with_its_type() -> None:
    with hostile_server(whole=whole(b"abc" * 1000)) as server:
        assert take(server.base + "whole?x=1") == (Fetched(3000, "image/png"), b"abc" * 1000)
    head = server.heads[0].decode()
    assert head.startswith("GET /whole?x=1 HTTP/1.1\r\n")
    assert "Cookie" not in head
    assert "Accept-Encoding: identity" in head


def test_a_chunked_file_arrives() -> None:
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    with hostile_server(chunked=silent(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)) as server:
        assert take(server.base + "chunked")[1] == b"hello world"


def test_a_server_that_keeps_the_connection_open_is_not_waited_for() -> None:
    with hostile_server(kept=silent(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")) as server:
        start = time.monotonic()
        assert take(server.base + "kept", FetchLimits(slow_seconds=20))[1] == b"hi"
        assert time.monotonic() - start < 10.0


@pytest.mark.parametrize("target", FORBIDDEN_TARGETS)
def test_an_address_that_is_not_public_is_not_connected_to(target: str) -> None:
    with hostile_server(whole=whole(b"secret")) as server:
        port = server.base.rstrip("/").rpartition(":")[2]
        with pytest.raises(FetchError, match="which is not fetched from") as caught:
            take(target.format(port=port), reach=PUBLIC)
        assert server.heads == []
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("target", FORBIDDEN_TARGETS[1:])
def test_a_redirect_to_one_is_not_followed(target: str) -> None:
    only_this = Reach.parse("127.0.0.1/32", "test")
    with hostile_server(whole=whole(b"secret")) as other:
        target = target.replace("127.0.0.1", "127.0.0.2").replace("localhost", "[::1]")
        target = target.replace("2130706433", "2130706434").replace("0x7f000001", "0x7f000002")
        target = target.replace("0177.1", "0177.2").replace("127.1:", "127.2:")
        port = other.base.rstrip("/").rpartition(":")[2]
        with (
            hostile_server(go=redirect(target.format(port=port))) as server,
            pytest.raises(FetchError, match="which is not fetched from"),
        ):
            take(server.base + "go", reach=only_this)
        assert other.heads == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://example.com/x", "gopher://127.0.0.1/", "data:,x"]
)
def test_a_redirect_elsewhere_than_the_web_is_not_followed(location: str) -> None:
    with (
        hostile_server(go=redirect(location)) as server,
        pytest.raises(FetchError, match="no http or https URL"),
    ):
        take(server.base + "go")


def test_a_name_that_leads_here_is_refused_and_one_that_changes_its_mind_gains_nothing(
    lookups: dict[str, list[str]],
) -> None:
    lookups |= {"inside.example": ["127.0.0.1"], "rebinding.example": ["127.0.0.2", "127.0.0.1"]}
    with hostile_server(whole=whole(b"secret")) as server:
        port = server.base.rstrip("/").rpartition(":")[2]
        with pytest.raises(FetchError, match=r"inside\.example.* leads to a loopback address"):
            take(f"http://inside.example:{port}/whole", reach=PUBLIC)
        # The first answer is allowed and closed; a second lookup would lead to the server.
        with pytest.raises(FetchError, match=r"rebinding\.example.* cannot be reached"):
            take(f"http://rebinding.example:{port}/whole", reach=Reach.parse("127.0.0.2/32", "test"))
        assert server.heads == []


def test_redirects_are_followed_and_counted() -> None:
    answers = {"a": redirect("/b"), "b": redirect("c?x=1", 308), "c": whole(b"end")}
    answers["loop"] = redirect("/loop")
    with hostile_server(**answers) as server:
        assert take(server.base + "a")[1] == b"end"
        with pytest.raises(FetchError, match="redirected more than 5 times"):
            take(server.base + "loop")


def test_a_password_stays_with_its_host_and_out_of_messages() -> None:
    with hostile_server(whole=whole(b"x")) as other:
        answers = {"go": redirect(other.base + "whole"), "here": redirect("/whole"), "whole": whole(b"x")}
        answers["gone"] = BROKEN["absent"][0]
        with hostile_server(**answers) as server:
            base = server.base.replace("http://", "http://user:sesame@")
            take(base + "go")
            take(base + "here")
            assert [b"Authorization: Basic" in head for head in server.heads] == [True, True, True]
        assert b"Authorization" not in other.heads[0]
        with pytest.raises(FetchError) as caught:
            take(base + "gone?signature=sesame")
    assert "sesame" not in str(caught.value)


SLOW: dict[str, Answer] = {
    "silent": silent(),
    "silent after its head": silent(HEAD + b"Content-Length: 10\r\n\r\n"),
    "drip": drip(),
    "drip of a head": drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "drip of chunks": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "drip of continues": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", SLOW)
def test_a_server_that_takes_its_time_is_given_up(name: str) -> None:
    with hostile_server(x=SLOW[name]) as server:
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"too slow: .* bytes in 0\.3 s, 1,000 is the least"):
            take(server.base + "x")
        assert time.monotonic() - start < 3.0


@pytest.mark.slow
def test_one_that_is_just_fast_enough_meets_the_deadline() -> None:
    with (
        hostile_server(x=drip(HEAD + b"\r\n", bytes(500), 0.02)) as server,
        pytest.raises(FetchError, match=r"longer than 0\.5 s"),
    ):
        take(server.base + "x", FetchLimits(seconds=0.5, slow_seconds=0.3, slow_bytes=500))


ENDLESS: dict[str, Answer] = {
    "body": endless(),
    "head": endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 60000 + b"\r\n"),
    "chunks": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000),
    "trailers": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000),
    "continues": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "announced": silent(HEAD + b"Content-Length: 100001\r\n\r\n"),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_meets_the_size_limit(name: str) -> None:
    with hostile_server(x=ENDLESS[name]) as server:
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"limit|no HTTP"):
            take(server.base + "x")
        assert time.monotonic() - start < 10.0


BROKEN: dict[str, tuple[Answer, str]] = {
    "closed": (raw(b""), "closed without an answer"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "no HTTP"),
    "cut": (raw(HEAD + b"Content-Length: 10\r\n\r\nabc"), "ended after 3 of 10 bytes"),
    "cut chunk": (raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"), "closed before its end"),
    "compressed": (whole(b"x", b"Content-Encoding: gzip\r\n"), r"compressed \(gzip\)"),
    "absent": (raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "HTTP 404 Not Found"),
    "empty redirect": (raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), "HTTP 302"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_one_line(name: str) -> None:
    answer, text = BROKEN[name]
    with hostile_server(x=answer) as server, pytest.raises(FetchError, match=text) as caught:
        take(server.base + "x?signature=sesame")
    assert "\n" not in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_the_status_is_kept_with_the_error() -> None:
    with hostile_server(x=BROKEN["absent"][0]) as server, pytest.raises(FetchError) as caught:
        take(server.base + "x")
    assert caught.value.status == 404


@pytest.mark.sample(1)
@pytest.mark.parametrize("where", ["name", "answer", "body"])
def test_a_stop_ends_it_at_once(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()
    if where == "name":
        monkeypatch.setattr(socket, "getaddrinfo", hanging)

    def check() -> None:
        if stopped.is_set():
            raise StoppedError("stopped")

    with hostile_server(answer=silent(), body=drip()) as server:
        url = "http://slow.example/" if where == "name" else server.base + where
        threading.Timer(0.2, stopped.set).start()
        start = time.monotonic()
        with pytest.raises(StoppedError):
            take(url, FetchLimits(slow_seconds=9), check=check)
        assert time.monotonic() - start < 2.5  # the name takes three, the others nine


def test_a_name_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    with pytest.raises(FetchError, match="looking up its name takes too long"):
        take("http://slow.example/", FetchLimits(connect_seconds=0.2))


def test_a_closed_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(FetchError, match="cannot be reached: Connection refused"):
        take(f"http://127.0.0.1:{port}/")


BAD_URLS = [
    *(
        "",
        "x",
        "/etc/passwd",
        "~/x",
        "../x",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://example.com/",
    ),
    *("http://", "http:///x", "http://[::1", "http://a:99999/", "http://a:0/", "http://a b/"),
    "http://a\r\nX: y/",
    *("http://a\\@b/", "//example.com/", "http:/x", "http://..", "http://" + "a" * 9000),
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_no_url_is_one_line(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        take(url)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_url_is_taken_apart() -> None:
    url = Url.parse("HTTP://Us%40er:p%3Aw@EXAMPLE.com:8080/a b".replace(" ", "%20") + "?q=ä#part")
    assert (url.scheme, url.host, url.port) == ("http", "example.com", 8080)
    assert url.target == "/a%20b?q=%C3%A4"
    assert url.shown == "http://example.com:8080/a%20b"
    assert "pw" not in repr(url)
    assert "Basic" not in repr(url)
    assert Url.parse("https://bücher.example/").host == "xn--bcher-kva.example"


def test_many_slow_names_leave_room_for_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: waiting.wait(5) and [])
    pending = [names.lookup(f"slow-{number}.example", 80) for number in range(names.MAX_LOOKUPS)]
    assert isinstance(names.lookup("one-more.example", 80).exception(1), OSError)
    assert names.lookup("127.0.0.1", 80).result(1) == ("127.0.0.1",)
    again: Callable[[], object] = lambda: names.lookup("slow-1.example", 80)  # noqa: E731
    assert again() is pending[1]
    waiting.set()
    for future in pending:
        assert future.exception(5)
