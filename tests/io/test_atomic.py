"""What becomes of a file that is there already: its mode, its owner, its protection."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luxscaler.errors import ExportError
from luxscaler.io.atomic import Partial, replacing

STRANGER = 54321
"""A user, and a group, that nobody is."""


def _at_once(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")


def _row_by_row(path: Path) -> None:
    partial = Partial(path)
    partial.path.write_bytes(b"new")
    partial.keep()


@pytest.fixture(params=[_at_once, _row_by_row], ids=["at once", "row by row"])
def write(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    way: Callable[[Path], None] = request.param
    return way


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "out.exr"
    found.write_bytes(b"old")
    return found


def test_a_replaced_file_keeps_its_permissions(write: Callable[[Path], None], path: Path) -> None:
    for mode in (*{each | 0o200 for each in range(0o1000)}, 0o4755):
        path.chmod(mode)
        write(path)
        assert path.read_bytes() == b"new"
        assert path.stat().st_mode & 0o7777 == mode & 0o777  # a picture is no program that runs as another


def test_a_private_file_is_private_while_it_is_written(path: Path) -> None:
    path.chmod(0o600)
    with replacing(path) as temporary:
        assert temporary.stat().st_mode & 0o777 == 0o600
    partial = Partial(path)
    assert partial.path.stat().st_mode & 0o777 == 0o600
    partial.discard()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_private_file_is_private_from_its_first_moment(
    write: Callable[[Path], None], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has opened a file goes on reading it, whatever becomes of its permissions."""
    modes = []
    opened = os.open

    def seen(*arguments: Any) -> int:
        handle = opened(*arguments)
        modes.append(os.fstat(handle).st_mode & 0o777)
        return handle

    path.chmod(0o600)
    monkeypatch.setattr(os, "open", seen)
    write(path)
    assert set(modes) == {0o600}


def test_what_a_killed_process_left_lends_neither_access_nor_bytes(path: Path, tmp_path: Path) -> None:
    path.unlink()
    left = tmp_path / ".out.exr.partial"
    left.write_bytes(b"half")
    left.chmod(0o666)
    with left.open("rb") as reader:
        _row_by_row(path)
        assert reader.read() == b"half"
    fresh = tmp_path / "fresh"
    fresh.touch()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == fresh.stat().st_mode
    assert not left.exists()


def test_behind_a_link_too(write: Callable[[Path], None], path: Path, tmp_path: Path) -> None:
    path.chmod(0o604)
    link = tmp_path / "link.exr"
    link.symlink_to(path)
    write(link)
    assert link.is_symlink()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o604)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_replaced_file_keeps_its_owner(write: Callable[[Path], None], path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (STRANGER, STRANGER)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a file")
@pytest.mark.parametrize(("before", "after"), [(0o660, 0o600), (0o664, 0o644), (0o606, 0o666)])
def test_a_group_that_cannot_be_kept_gives_its_rights_to_no_other(
    write: Callable[[Path], None], path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    os.chown(path, STRANGER, STRANGER)
    path.chmod(before)

    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refused)
    write(path)
    assert path.stat().st_mode & 0o777 == after


def test_a_file_system_without_permissions_costs_no_picture(
    write: Callable[[Path], None], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(os, "fchmod", refused)
    path.chmod(0o640)
    write(path)
    assert path.read_bytes() == b"new"


def test_a_write_protected_file_is_not_replaced(
    write: Callable[[Path], None], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o444)
    # Root may write everything, so the system's answer is that to anybody else.
    monkeypatch.setattr(os, "access", lambda name, _: bool(Path(name).stat().st_mode & 0o200))
    with pytest.raises(
        ExportError, match=r"cannot write '.*out.exr': it is there already, and write-protected"
    ):
        write(path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
