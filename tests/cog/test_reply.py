"""Replies of Cog's, of any size, cut anywhere: their files and everything else."""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.cog import reply as reply_module
from luxscaler.cog.reply import FILE_KEY, Reply, ReplyError, ReplyReader
from luxscaler.cog.status import Status
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


def read(data: bytes, folder: Path, step: int = 10**6, most: int | None = None) -> Reply:
    with ReplyReader(folder, most) as reader:
        for start in range(0, len(data), step):
            reader.feed(data[start : start + step])
        return reader.end()


@given(DOCUMENTS, st.booleans(), st.integers(1, 100))
def test_only_the_data_urls_become_files(document: Any, ascii_only: bool, step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        values = {"output": coded(document), "status": "succeeded"}
        text = json.dumps(values, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        reply = read(text, Path(folder), step)
        assert files_in(reply.output, Path(folder)) == plain(document)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 10**6])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 500])
def test_replies_are_read_wherever_they_are_cut(step: int, count: int, tmp_path: Path) -> None:
    output = (bytes(range(256)) * 2)[:count]
    logs = 'a "output":"data:x;base64,QQ==" in a log'
    whole = {"logs": logs, "output": coded(("application/octet-stream", output)), "status": "succeeded"}
    reply = read(json.dumps(whole).encode(), tmp_path, step)
    assert reply == Reply(Status.SUCCEEDED, {FILE_KEY: "output.bin"}, logs=logs)
    assert reply.file == "output.bin"
    assert (tmp_path / "output.bin").read_bytes() == output
    assert len(list(tmp_path.iterdir())) == 1


def test_names_say_what_the_file_is(tmp_path: Path) -> None:
    exr = coded(("application/octet-stream", b"v/1\x01\x02\x00\x00\x00"))
    output = [exr, coded(("image/webp", b"w")), coded(("x/y", b"?")), "data:,plain"]
    reply = read(json.dumps({"output": output, "status": "succeeded"}).encode(), tmp_path, 5)
    assert [item.get(FILE_KEY) for item in reply.output[:3]] == [
        "output.exr",
        "output-1.webp",
        "output-2.bin",
    ]
    assert reply.output[3] == "data:,plain"
    assert reply.file is None


def test_a_failure_has_its_words(tmp_path: Path) -> None:
    words = {"status": "failed", "error": "no", "logs": "l", "metrics": {"predict_time": 1.5}, "output": None}
    reply = read(json.dumps(words).encode(), tmp_path)
    assert reply == Reply(Status.FAILED, None, "no", "l", {"predict_time": 1.5})
    assert reply.seconds == 1.5
    assert reply.file is None


@pytest.mark.parametrize("metrics", [None, [], {"predict_time": "1"}])
def test_metrics_may_be_missing(metrics: Any, tmp_path: Path) -> None:
    assert read(json.dumps({"status": "canceled", "metrics": metrics}).encode(), tmp_path).seconds == 0.0


@pytest.mark.sample(7)
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no JSON"),
        (b"<html>", "starts with '<html>'"),
        (b"[]", "no finished prediction"),
        (b"{}", "no finished prediction"),
        (b'{"status":"processing"}', "no finished prediction"),
        (b'{"status":["succeeded"]}', "no finished prediction"),
        (b'{"output":"data:a/b;base64,QUJD', "ends within its output"),
        (b'{"output":"data:a/b;base64,QUJ*"}', "damaged base64"),
        (b'{"output":"data:a/b;base64,QUJ"}', "damaged base64"),
        (b'{"output":"data:a/b;base64,QQ==QUJD"}', "damaged base64"),
        (b'{"output":"data:a/b;base64,' + b"QUJD" * 1000 + b'"}', "more than 1000 bytes"),
        (
            b'{"output":["data:a/b;base64,' + b"QUJD" * 200 + b'","data:a/b;base64,' + b"QUJD" * 200,
            "more than",
        ),
        (b"[" * 100_000, "no JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:24].decode(),
)
@pytest.mark.parametrize("step", [5, 10**6])
def test_damaged_replies_are_errors_and_leave_no_half_files(
    data: bytes, says: str, step: int, tmp_path: Path
) -> None:
    with pytest.raises(ReplyError, match=says):
        read(data, tmp_path, step, most=1000)
    assert not list(tmp_path.glob("*.partial"))


def test_logs_do_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "_MAX_TEXT", 1000)
    with pytest.raises(ReplyError, match="more than 1000 bytes besides its output"):
        read(b'{"logs":"' + b"x" * 2000, tmp_path, 100)


BIG = """
import base64, resource, sys
from pathlib import Path
from luxscaler.cog.reply import ReplyReader
piece = base64.b64encode(bytes(range(256)) * 768)
limit = 96 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
with ReplyReader(Path(sys.argv[1])) as reader:
    reader.feed(b'{"output": "data:application/octet-stream;base64,')
    for _ in range(800):
        reader.feed(piece)
    reader.feed(b'", "status": "succeeded"}')
    assert reader.end().file == "output.bin"
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA is Linux's")
def test_a_result_of_150_mb_takes_little_memory(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BIG, str(tmp_path)], cwd=ROOT, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert (tmp_path / "output.bin").stat().st_size == 150 * 1024 * 1024
