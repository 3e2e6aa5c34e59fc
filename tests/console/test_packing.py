"""What leaves this machine: pictures, and nothing beside them without a word."""

import os
import zipfile
from pathlib import Path

import pytest

from luxscaler.console.packing import checked_source, pack
from luxscaler.gateway.problems import Problem
from tests.support.console_server import ConsoleServer, console_server
from tests.support.replicate_account import Account

MANY = 2**30


def test_the_size_is_known_before_the_zip_is_made(folder: Path, tmp_path: Path) -> None:
    (folder / "más.png").write_bytes(b"x" * 1000)
    source = checked_source(str(folder), (tmp_path,), MANY)
    target = tmp_path / "out.zip"
    pack(source, target, lambda: None)
    assert target.stat().st_size == source.size
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "b.png", "more/c.png", "más.png"]
        assert archive.read("a.png") == (folder / "a.png").read_bytes()
    again = tmp_path / "again.zip"
    pack(source, again, lambda: None)
    assert again.read_bytes() == target.read_bytes()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".env", "is hidden"),
        (".git/config", "is hidden"),
        ("more/.ssh/id_rsa", "is hidden"),
        ("id_ed25519", "is no picture"),
        ("key.pem", "is no picture"),
        ("run.sh", "is no picture"),
    ],
)
def test_what_may_not_leave_is_an_error(folder: Path, tmp_path: Path, name: str, reason: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("secret")
    with pytest.raises(Problem, match=reason) as raised:
        checked_source(str(folder), (tmp_path,), MANY)
    assert raised.value.status == 422
    assert name.partition("/")[0] in str(raised.value)


@pytest.mark.parametrize("kind", ["file", "folder", "fifo"])
def test_links_and_odd_files_are_an_error(folder: Path, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.png").write_bytes(b"secret")
    path = folder / "odd.png"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(outside if kind == "folder" else outside / "x.png")
    with pytest.raises(Problem, match=r"'odd\.png' is"):
        checked_source(str(folder), (tmp_path,), MANY)


@pytest.mark.parametrize("text", ["", "/etc", "/etc/passwd", "~root", "a\0b", "/no/such", "{}/../.."])
def test_sources_outside_the_folders_are_refused(folder: Path, text: str) -> None:
    with pytest.raises(Problem) as raised:
        checked_source(text.format(folder), (folder,), MANY)
    assert raised.value.status == 422
    assert raised.value.body["field"] == "source"


def test_a_link_leads_no_further_than_the_folders(folder: Path, tmp_path: Path) -> None:
    (folder / "way").symlink_to("/etc")
    with pytest.raises(Problem, match="not inside"):
        checked_source(str(folder / "way"), (folder,), MANY)


def test_a_file_that_changes_while_it_is_packed(folder: Path, tmp_path: Path) -> None:
    source = checked_source(str(folder), (tmp_path,), MANY)
    (folder / "b.png").write_bytes(b"other")
    with pytest.raises(ValueError, match="was changed"):
        pack(source, tmp_path / "out.zip", lambda: None)


def test_what_is_too_large_is_refused_with_the_way_out(
    account: Account, tmp_path: Path, folder: Path
) -> None:
    with console_server(tmp_path, account.url, max_upload_bytes=300) as console:
        body = {"kind": "training", "source": str(folder), "destination": "ada/mine"}
        answer = console.post("/api/cloud/jobs/submit", json=body)
        assert answer.status_code == 413
        assert "https address" in answer.json()["detail"]
        job = console.submit(**{**body, "source": "https://storage.example/pictures.zip?signature=x"})
        console.until(job, "queued")
    address = account.runs[0].body["input"]["pictures"]
    assert address.startswith("https://storage.example/pictures.zip?signature=x#")
    assert account.uploads == {}


def test_a_folder_is_no_master_and_a_picture_no_training(
    console: ConsoleServer, folder: Path, picture: Path
) -> None:
    for body in (
        {"kind": "master", "source": str(folder)},
        {"kind": "training", "source": str(picture), "destination": "a/b"},
        {"kind": "training", "source": str(folder)},
        {"kind": "master", "source": str(picture), "inputs": {"hdr_boost": 50}},
        {"kind": "master", "source": str(picture), "inputs": {"hdr_bost": 2}},
        {"kind": "master", "source": str(picture), "inputs": {"scale": "4"}},
        {"kind": "master", "source": str(picture), "hardware": "gpu-of-tomorrow"},
        {"kind": "master", "source": str(picture), "max_minutes": -1},
        {"kind": "master", "source": str(picture), "extra": 1},
        {"kind": "poem", "source": str(picture)},
    ):
        answer = console.post("/api/cloud/jobs/submit", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["field"]
