"""Where results are written: a regular file or a new one, never a device, a folder or what is read."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import luxscaler
from luxscaler.api import upscale, write
from luxscaler.errors import ExportError
from luxscaler.io.atomic import Partial
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.picture import Picture
from luxscaler.pipeline.output import check_path
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process
from luxscaler.report.page import Report, write_report
from tests.support.fake_backend import FakeBackend
from tests.support.picture_files import noise, pillow

PICTURE = Picture(np.zeros((4, 4, 3), np.float32))


def _device(path: Path) -> None:
    path.symlink_to("/dev/null")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _linked(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        real = path.with_name("real")
        make(real)
        path.symlink_to(real)

    return link


PLACES: dict[str, tuple[Callable[[Path], None], str]] = {
    "link to a device": (_device, "it is a device"),
    "FIFO": (_fifo, "it is a named pipe"),
    "link to a FIFO": (_linked(_fifo), "it is a named pipe"),
    "socket": (_socket, "it is a socket"),
    "link to a socket": (_linked(_socket), "it is a socket"),
    "folder": (Path.mkdir, "it is a directory"),
    "link to a folder": (_linked(Path.mkdir), "it is a directory"),
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    path.write_bytes(pillow(noise(6, 8), "PNG"))
    return path


def _writers(picture: Path) -> dict[str, Callable[[Path], object]]:
    """Everything that writes a file whose name the user gives."""
    request = UpscaleRequest(picture, output_format="exr")
    elsewhere = picture.with_name("elsewhere.exr")

    def never(_model: str) -> None:
        raise AssertionError("the work has begun")

    return {
        "write": lambda out: write(out, PICTURE, output_format="exr"),
        "report": lambda out: write_report(out, Report("x", PICTURE, PICTURE, ())),
        "rows": Partial,
        "tile": lambda out: process(request, never, out),  # type: ignore[arg-type]
        "api": lambda out: upscale(picture, out, output_format="exr", fetch=True),
        "master": lambda out: upscale_picture(request, out, FakeBackend()),
        "master's report": lambda out: upscale_picture(
            request, elsewhere, FakeBackend(), RunOptions(report=out)
        ),
    }


@pytest.mark.sample(13)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("writer", _writers(Path("unused")))
def test_what_is_no_regular_file_is_refused_and_stays(
    place: str, writer: str, picture: Path, tmp_path: Path
) -> None:
    make, kind = PLACES[place]
    out = tmp_path / "out.exr"
    make(out)
    before = (out.lstat().st_mode, out.stat().st_mode, sorted(tmp_path.iterdir()))
    with pytest.raises(ExportError, match=kind):
        _writers(picture)[writer](out)
    assert (out.lstat().st_mode, out.stat().st_mode, sorted(tmp_path.iterdir())) == before
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "/dev/tty"])
def test_a_device_is_refused_by_its_own_name(device: str, picture: Path) -> None:
    if not Path(device).exists():
        pytest.skip("there is none here")
    with pytest.raises(ExportError, match=f"cannot write '{device}'"):
        check_path(Path(device), picture)


SELF: dict[str, Callable[[Path, Path], Path]] = {
    "itself": lambda picture, _folder: picture,
    "relative": lambda picture, _folder: Path(os.path.relpath(picture)),
    "dotted": lambda picture, folder: folder / "." / ".." / folder.name / picture.name,
    "link": lambda picture, folder: _made(folder / "out.exr", lambda path: path.symlink_to(picture)),
    "hard link": lambda picture, folder: _made(folder / "out.exr", lambda path: path.hardlink_to(picture)),
}


def _made(path: Path, make: Callable[[Path], None]) -> Path:
    make(path)
    return path


@pytest.mark.parametrize("way", SELF)
@pytest.mark.parametrize("writer", ["tile", "api", "master", "master's report"])
def test_the_picture_that_is_read_is_never_replaced(
    way: str, writer: str, picture: Path, tmp_path: Path
) -> None:
    before = picture.read_bytes()
    out = SELF[way](picture, tmp_path)
    with pytest.raises(ExportError, match="it is the same file as"):
        _writers(picture)[writer](out)
    assert picture.read_bytes() == before


def test_nor_is_its_reference_nor_a_report_the_result(picture: Path, tmp_path: Path) -> None:
    reference = tmp_path / "master.png"
    reference.write_bytes(pillow(noise(16, 16), "PNG"))
    request = UpscaleRequest(picture, reference, output_format="exr")
    with pytest.raises(ExportError, match="it is the same file as"):
        process(request, lambda _model: None, reference)  # type: ignore[arg-type, return-value]
    request, out = UpscaleRequest(picture, output_format="exr"), tmp_path / "out.exr"
    with pytest.raises(ExportError, match="it is the same file as"):
        upscale_picture(request, out, FakeBackend(), RunOptions(report=out))


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    out, real = tmp_path / "out.exr", tmp_path / "real.exr"
    real.write_bytes(b"old")
    out.symlink_to(real)
    write(out, PICTURE)
    assert out.is_symlink()
    assert luxscaler.read(real).width == 4
