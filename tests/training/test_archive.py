"""Archives of pictures: every form is unpacked, everything that could do harm is refused."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from luxscaler.errors import InputError
from luxscaler.training.archive import ArchiveLimits, is_tar, unpack

FILES = {"a.png": b"one", "sub/b.jpg": b"two" * 1000}


def _tar(path: Path, mode: str, members: list[tarfile.TarInfo] | None = None) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for member in members or []:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def _zip(path: Path, *extra: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (*FILES.items(), *extra):
            archive.writestr(name, data)
    return path


def _unpacked(archive: Path, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    folder = archive.parent / "out"
    folder.mkdir()
    count = unpack(archive, folder, limits or ArchiveLimits())
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert count == len(found)
    return found


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars(tmp_path: Path, mode: str) -> None:
    folder = tarfile.TarInfo("empty")
    folder.type = tarfile.DIRTYPE
    assert _unpacked(_tar(tmp_path / "pictures", mode, [folder])) == FILES


def test_zips(tmp_path: Path) -> None:
    assert _unpacked(_zip(tmp_path / "pictures", ("folder/", b""))) == FILES


def test_a_colon_is_a_sign_like_others(tmp_path: Path) -> None:
    assert "12:30:59.png" in _unpacked(_zip(tmp_path / "pictures", ("12:30:59.png", b"x")))


def test_names_that_are_not_what_they_say_are_one_line(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "pictures", ("ü.png", b"x"))
    archive.write_bytes(archive.read_bytes().replace("ü".encode(), b"\xff\xfe"))
    with pytest.raises(InputError, match="the archive cannot be unpacked: 'utf-8' codec"):
        _unpacked(archive)


@pytest.mark.parametrize("name", ["../out.png", "/etc/x", "a/../../b", "..\\b.png", "C:\\b.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    archive = tmp_path / "pictures"
    if kind == "zip":
        _zip(archive, (name, b"x"))
    else:
        _tar(archive, "w", [tarfile.TarInfo(name)])
    with pytest.raises(InputError, match="which leads out of it"):
        _unpacked(archive)
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "out"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("link.png")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(InputError, match=r"'link\.png' is a link or a device"):
        _unpacked(_tar(tmp_path / "pictures", "w", [member]))


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with pytest.raises(InputError, match="is a link or a device"):
        _unpacked(_zip(tmp_path / "pictures", (link, b"/etc/passwd")))


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:xz"])
def test_bombs_are_stopped_by_what_comes_out(tmp_path: Path, kind: str) -> None:
    big = tarfile.TarInfo("big.png")
    big.size = 3_000_000
    archive = tmp_path / "pictures"
    if kind == "zip":
        _zip(archive, ("big.png", b"x" * big.size))
    else:
        _tar(archive, kind, [big])
    with pytest.raises(InputError, match="unpacks to more than 1,000,000 bytes"):
        _unpacked(archive, ArchiveLimits(bytes=1_000_000))
    assert sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file()) <= 1_000_000


def test_a_header_of_absurd_size_is_stopped(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 100 << 20
    archive = tmp_path / "pictures"
    archive.write_bytes(header.tobuf() + b"\0" * (1 << 20))
    with pytest.raises(InputError, match="header of absurd size"):
        _unpacked(archive)


def test_too_many_twice_and_no_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 1 files"):
        _unpacked(_zip(tmp_path / "pictures"), ArchiveLimits(files=1))
    for number, data in enumerate((b"", b"no archive", b"\x1f\x8b broken", b"PK\x03\x04 cut", b"BZhx" * 99)):
        path = tmp_path / str(number) / "pictures"
        path.parent.mkdir()
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"neither a zip nor a tar|cannot be unpacked"):
            _unpacked(path)
    path = tmp_path / "twice" / "pictures"
    path.parent.mkdir()
    with pytest.raises(InputError, match=r"'a\.png' twice"):
        _unpacked(_tar(path, "w", [tarfile.TarInfo("a.png")]))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_is_known_by_its_beginning(tmp_path: Path, mode: str) -> None:
    assert is_tar(_tar(tmp_path / "a.bin", mode))
    assert not is_tar(_zip(tmp_path / "a.zip"))
    member = tarfile.TarInfo("c.png")
    member.pax_headers = {"GNU.sparse.map": "a,b"}
    with tarfile.open(tmp_path / "odd.tar", "w") as odd:
        odd.addfile(member)
    assert not is_tar(tmp_path / "odd.tar")
