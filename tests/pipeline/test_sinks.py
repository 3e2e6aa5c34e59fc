"""Rows in order become a file, whole or not at all, whichever way its format is written."""

from pathlib import Path

import numpy as np
import pytest

import hdr_exporter
from luxscaler.errors import ExportError
from luxscaler.io.read import read_picture
from luxscaler.pipeline import output
from luxscaler.pipeline.output import OutputFile
from luxscaler.pipeline.sinks import Sink, StreamSink, WholeSink, open_sink
from luxscaler.tiling.strips import Strip

HEIGHT, WIDTH = 90, 70
RGB = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32)
ALPHA = np.random.default_rng(1).random((HEIGHT, WIDTH), np.float32)


def target(path: Path, file_format: str = "exr", *, alpha: bool = False) -> OutputFile:
    options = hdr_exporter.ExportOptions()
    return OutputFile(path, WIDTH, HEIGHT, alpha, file_format, options, {})


def write(sink: Sink, *, alpha: bool = False, rows: int = HEIGHT) -> None:
    for top in range(0, rows, 17):
        part = slice(top, min(top + 17, rows))
        sink.write(Strip(top, RGB[part], RGB[part].clip(0, 1), ALPHA[part] if alpha else None))


@pytest.fixture
def always_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "WHOLE_PIXELS", 0)


@pytest.mark.sample(2)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("file_format", ["exr", "tiff", "png-pq"])
def test_both_ways_write_the_same_pixels(
    file_format: str, alpha: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for limit, kind in ((10**6, WholeSink), (0, StreamSink)):
        monkeypatch.setattr(output, "WHOLE_PIXELS", limit)
        sink = open_sink(target(tmp_path / kind.__name__, file_format, alpha=alpha))
        assert isinstance(sink, kind)
        write(sink, alpha=alpha)
        sink.finish()
        found.append(read_picture(tmp_path / kind.__name__))
    np.testing.assert_array_equal(found[0].rgb, found[1].rgb)
    assert (found[0].alpha is not None) == alpha
    if found[0].alpha is not None and found[1].alpha is not None:
        np.testing.assert_array_equal(found[0].alpha, found[1].alpha)


@pytest.mark.usefixtures("always_stream")
def test_formats_that_are_encoded_as_a_whole_are_collected(tmp_path: Path) -> None:
    for file_format in ("jpg", "webp", "avif"):
        assert isinstance(open_sink(target(tmp_path / "a", file_format)), WholeSink)


@pytest.mark.parametrize("limit", [0, 10**6])
@pytest.mark.parametrize("rows", [0, 40, HEIGHT])
def test_what_is_discarded_leaves_nothing(
    limit: int, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "WHOLE_PIXELS", limit)
    sink = open_sink(target(tmp_path / "a.exr"))
    write(sink, rows=rows)
    sink.discard()
    sink.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("always_stream")
def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    path.write_bytes(b"older")
    sink = open_sink(target(path))
    write(sink)
    assert path.read_bytes() == b"older"
    sink.finish()
    assert path.read_bytes()[:4] == b"\x76\x2f\x31\x01"
    assert [found.name for found in tmp_path.iterdir()] == ["a.exr"]


@pytest.mark.usefixtures("always_stream")
def test_an_end_before_the_last_row_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    sink = open_sink(target(tmp_path / "a.exr"))
    write(sink, rows=40)
    with pytest.raises(ExportError):
        sink.finish()
    sink.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("always_stream")
def test_a_folder_that_has_gone_is_an_export_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError):
        open_sink(target(tmp_path / "none" / "a.exr"))
