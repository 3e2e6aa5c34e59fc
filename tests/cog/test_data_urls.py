"""Data URLs out of replies of any size."""

import base64
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.cog import data_urls
from luxscaler.cog.data_urls import FILE_KEY, as_data_url, lift_data_urls, map_strings
from tests.conftest import ROOT

TRICKY = st.sampled_from(
    ['"', "\\", '\\"data:image/png;base64,AAAA', '"data:x/y;base64,', "data:", ", ", "\n"]
)
TEXT = st.text() | st.lists(TRICKY, max_size=4).map("".join)
FILES = st.tuples(st.sampled_from(["image/png", "application/octet-stream", "a/b"]), st.binary(max_size=40))
LEAVES = st.none() | st.booleans() | st.integers() | TEXT | FILES
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


def coded(value: Any) -> Any:
    """Files as data URLs."""
    if isinstance(value, tuple):
        return f"data:{value[0]};base64,{base64.b64encode(value[1]).decode()}"
    if isinstance(value, list):
        return [coded(item) for item in value]
    return {key: coded(item) for key, item in value.items()} if isinstance(value, dict) else value


def files_in(value: Any, folder: Path) -> Any:
    """What was lifted, put back as (kind, bytes); the kind is gone."""
    if isinstance(value, dict) and FILE_KEY in value:
        return (folder / value[FILE_KEY]).read_bytes()
    if isinstance(value, list):
        return [files_in(item, folder) for item in value]
    return {key: files_in(item, folder) for key, item in value.items()} if isinstance(value, dict) else value


def plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return value[1]
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(DOCUMENTS, st.booleans())
def test_only_the_data_urls_are_taken_out(document: Any, ascii_only: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reply, outputs = Path(folder) / "reply.json", Path(folder) / "out"
        text = json.dumps(coded(document), ensure_ascii=ascii_only)
        reply.write_bytes(text.encode("utf-8", "surrogatepass"))
        lifted = lift_data_urls(reply, outputs)
        assert files_in(lifted, outputs) == plain(document)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 11, 12, 13, 1000])
def test_files_are_decoded_piece_by_piece(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_urls, "_PIECE", 8)
    data = bytes(number % 251 for number in range(size))
    reply = tmp_path / "reply"
    reply.write_text(json.dumps({"output": coded(("a/b", data))}))
    assert files_in(lift_data_urls(reply, tmp_path), tmp_path) == {"output": data}


def test_names_say_what_the_file_is(tmp_path: Path) -> None:
    exr = coded(("application/octet-stream", b"v/1\x01\x02\x00\x00\x00"))
    document = {"output": [exr, coded(("image/webp", b"w")), coded(("x/y", b"?")), "data:,plain"]}
    reply = tmp_path / "reply"
    reply.write_text(json.dumps(document))
    names = [item.get(FILE_KEY) for item in lift_data_urls(reply, tmp_path)["output"][:3]]
    assert names == ["output.exr", "output-1.webp", "output-2.bin"]
    assert as_data_url(tmp_path / "output-1.webp", "image/webp") == document["output"][1]


@pytest.mark.parametrize(
    "text", ["", "{", "<html>", '{"output": "data:a/b;base64,AAA"}', '{"o": "data:a/b;base64,A"}']
)
def test_what_cannot_be_read_is_an_error(text: str, tmp_path: Path) -> None:
    reply = tmp_path / "reply"
    reply.write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words, or ours
        lift_data_urls(reply, tmp_path)


@given(DOCUMENTS)
def test_map_strings_changes_strings_and_nothing_else(document: Any) -> None:
    value = plain(document)
    assert map_strings(value, str) == value


BIG = """
import resource, sys
from pathlib import Path
from luxscaler.cog.data_urls import lift_data_urls
folder = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lift_data_urls(folder / "reply", folder)
import mmap
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, Path("/proc/self/status").read_text())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads VmHWM and RssAnon")
def test_a_result_of_150_mb_takes_little_memory(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096  # 1 MiB
    with (tmp_path / "reply").open("wb") as file:
        file.write(b'{"output": "data:application/octet-stream;base64,')
        for _ in range(50):
            file.write(base64.b64encode(data * 3))
        file.write(b'", "status": "succeeded"}')
    # Mapped pages of the file count as resident; a limit on data pages shows what was really allocated.
    limit = 96 * 1024 * 1024
    ran = subprocess.run(
        [sys.executable, "-c", BIG, str(tmp_path)],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert (tmp_path / "output.bin").stat().st_size == 150 * 1024 * 1024
