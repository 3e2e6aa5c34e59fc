"""What the tests of several backends share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from luxscaler.backends import exr_transport
from luxscaler.io.read import read_picture
from luxscaler.options import DecodeLimits
from luxscaler.picture import Picture


@pytest.fixture
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Picture]:
    """Results are decoded in this process, ten times as fast; test_exr_transport.py has the isolated way."""

    def read(source: bytes | Path, *, max_pixels: int, limits: DecodeLimits | None) -> Picture:
        assert limits is None
        return read_picture(source, max_pixels=max_pixels)

    monkeypatch.setattr(exr_transport, "read_picture_isolated", read)
    return read
