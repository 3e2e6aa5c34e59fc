"""A server that shuts down is noticed by its port."""

import asyncio
import socket

import pytest

from luxscaler.pipeline import closing
from luxscaler.pipeline.closing import Closing


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "GLANCE_SECONDS", 0.01)
    monkeypatch.setattr(closing, "GRACE_SECONDS", 0.05)


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_it_expires_once_the_port_is_closed() -> None:
    async def run() -> None:
        server = _listener()
        expired = asyncio.ensure_future(Closing(server.getsockname()[1]).expired())
        await asyncio.sleep(0.1)
        assert not expired.done()
        server.close()
        await asyncio.wait_for(expired, 5)

    asyncio.run(run())


def test_a_port_that_was_never_open_says_nothing() -> None:
    async def run() -> None:
        with _listener() as server:
            port = server.getsockname()[1]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Closing(port).expired(), 0.2)

    asyncio.run(run())


@pytest.mark.parametrize(("value", "port"), [("", 5000), ("8080", 8080), ("odd", 5000)])
def test_the_port_is_cogs(value: str, port: int) -> None:
    assert Closing.of({"PORT": value}).port == port
