"""An account at Replicate and a console that uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.console_server import ConsoleServer, console_server
from tests.support.replicate_account import Account, replicate_account


@pytest.fixture
def account() -> Iterator[Account]:
    with replicate_account() as made:
        yield made


@pytest.fixture
def console(account: Account, tmp_path: Path) -> Iterator[ConsoleServer]:
    with console_server(tmp_path, account.url) as running:
        yield running


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "scan.png"
    Image.new("RGB", (64, 48), (200, 120, 40)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, picture: Path) -> Path:
    """Three pictures, one in a folder of its own."""
    path = tmp_path / "pictures"
    (path / "more").mkdir(parents=True)
    for name in ("b.png", "a.png", "more/c.png"):
        (path / name).write_bytes(picture.read_bytes() + name.encode())
    return path
