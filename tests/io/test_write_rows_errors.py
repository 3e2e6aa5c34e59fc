"""What goes wrong while a picture is written row by row: no file comes out, and the old one is as it was."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luxscaler.errors import ExportError
from luxscaler.io.formats import STREAM_FORMATS
from luxscaler.io.write import export, open_stream
from luxscaler.words import counted
from tests.conftest import ROOT
from tests.support.streamed import OPTIONS, SAME, SUFFIX, FloatArray, names, picture, stream


@pytest.fixture(params=STREAM_FORMATS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file that is there already, in a folder of its own; nothing else is there afterwards."""
    path = tmp_path / f"{request.param}{SUFFIX[request.param]}"
    path.write_bytes(b"old")
    threads = threading.active_count()
    yield path
    assert names(tmp_path) == [path.name]
    assert threading.active_count() == threads


def opened(path: Path, width: int = 20, height: int = 30, **arguments: Any) -> Any:
    return open_stream(path, width, height, file_format=path.stem, options=OPTIONS, **arguments)


def feed(
    path: Path,
    bands: Iterable[FloatArray],
    alphas: Iterable[FloatArray | None] = repeat(None),
    **arguments: Any,
) -> None:
    with opened(path, **arguments) as writer:
        for rgb, alpha in zip(bands, alphas, strict=False):
            writer.write(rgb, alpha)


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_missing_rows_leave_the_old_file(old: Path, rows: int) -> None:
    rgb, _ = picture(30, 20, False)
    with pytest.raises(ExportError, match=f"got {counted(rows, 'row')} of a picture of 30"):
        feed(old, [rgb[row : row + 1] for row in range(rows)])
    assert old.read_bytes() == b"old"


def test_too_many_rows_leave_the_old_file(old: Path) -> None:
    rgb, _ = picture(31, 20, False)
    with pytest.raises(ExportError, match="got 31 rows of a picture of 30"):
        feed(old, [rgb[:30], rgb[30:]])
    assert old.read_bytes() == b"old"


@pytest.mark.sample(4)
@pytest.mark.parametrize("rows", [0, 1, 3000])
def test_a_caller_that_fails_leaves_the_old_file(old: Path, rows: int) -> None:
    """Its error comes out as it is, whatever the encoder is at."""

    def bands() -> Iterator[FloatArray]:
        for _ in range(rows):
            yield np.full((1, 20, 3), 0.5, np.float32)
        raise ValueError("of the caller")

    with pytest.raises(ValueError, match=r"^of the caller$"):
        feed(old, bands(), height=4000)
    assert old.read_bytes() == b"old"


def spoilt(place: tuple[int, ...], value: float) -> FloatArray:
    rgb, _ = picture(3, 20, False)
    rgb[place] = value
    return rgb


@pytest.mark.sample(9)
@pytest.mark.parametrize(
    ("rgb", "alpha", "message"),
    [
        (spoilt((1, 2, 0), np.nan), None, "rgb must be finite, got 1 NaN or infinite of 180 values"),
        (spoilt((1, 2, 0), np.inf), None, "rgb must be finite"),
        (np.zeros((3, 21, 3), np.float32), None, r"rgb must be n × 20 × 3 float32, got \(3, 21, 3\) float32"),
        (np.zeros((0, 20, 3), np.float32), None, "rgb must be n × 20"),
        (np.zeros((20, 3), np.float32), None, "rgb must be n × 20"),
        (np.zeros((3, 20, 3)), None, r"got \(3, 20, 3\) float64"),
        (np.zeros((3, 20, 3), np.float32), np.ones((3, 20), np.float32), "alpha is given"),
    ],
)
def test_rows_that_cannot_be_written_leave_the_old_file(
    old: Path, rgb: FloatArray, alpha: FloatArray | None, message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        feed(old, [picture(3, 20, False)[0], rgb], [None, alpha])
    assert old.read_bytes() == b"old"


def test_alpha_is_checked(old: Path) -> None:
    rgb, _ = picture(3, 20, False)
    for alpha, message in [
        (None, "alpha is missing"),
        (np.full((3, 20), 1.1, np.float32), "alpha must be 0 to 1"),
        (np.ones((2, 20), np.float32), "alpha must be"),
    ]:
        with pytest.raises(ExportError, match=message):
            feed(old, [rgb], [alpha], has_alpha=True)


def test_after_bad_rows_none_can_follow(old: Path) -> None:
    """A caller that goes on after an error gets no file with a hole."""

    def go_on() -> None:
        with opened(old) as writer:
            with pytest.raises(ExportError, match="finite"):
                writer.write(spoilt((0, 0, 0), np.nan))
            with pytest.raises(ExportError, match="no more rows can be written"):
                writer.write(picture(30, 20, False)[0])

    with pytest.raises(ExportError, match="not complete"):
        go_on()
    assert old.read_bytes() == b"old"


def test_two_writers_of_one_file_are_refused(old: Path) -> None:
    rgb, _ = picture(30, 20, False)
    with opened(old) as writer:
        writer.write(rgb[:10])
        with pytest.raises(ExportError, match="another process is writing it"), opened(old):
            pass
        writer.write(rgb[10:])
    assert old.read_bytes() != b"old"
    with opened(old) as writer:
        writer.write(rgb)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"file_format": "avif"}, "avif cannot be written row by row; tiff, tiff16, exr, png, png-pq can"),
        ({"file_format": "gif"}, "unknown output format 'gif'"),
        ({"width": 0}, "width and height must be at least 1, got 0 × 4"),
        ({"height": -1}, "width and height"),
        ({"height": 2**31}, "at most"),
        ({"metadata": {"a b": 1}}, "metadata name"),
        ({"metadata": {"a": 1e39}}, "finite float32"),
        ({"resolution_dpi": (0, 300)}, "resolution_dpi must be"),
        ({"exif": b"no"}, "exif must start"),
        ({"file_format": "png"}, "png row by row needs sdr_peak"),
    ],
)
def test_wrong_arguments_are_refused_before_a_file_is_opened(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        open_stream(tmp_path / "a.exr", **{"width": 4, "height": 4, **arguments})
    assert names(tmp_path) == []


def test_a_folder_that_is_missing_and_a_target_that_is_a_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(ExportError, match="No such file or directory"),
        open_stream(tmp_path / "x" / "a.exr", 4, 4),
    ):
        pass
    (tmp_path / "a.exr").mkdir()
    with pytest.raises(ExportError, match="it is a directory"), open_stream(tmp_path / "a.exr", 4, 4):
        pass
    assert names(tmp_path) == ["a.exr"]


def test_a_link_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / ".a.tif.partial").symlink_to(victim)
    with pytest.raises(ExportError, match="cannot write"), open_stream(tmp_path / "a.tif", 4, 4):
        pass
    assert victim.read_text() == "kept"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "a.tif").symlink_to(tmp_path / "there" / "b.tif")
    stream(tmp_path / "a.tif", picture(4, 4, False))
    assert (tmp_path / "a.tif").is_symlink()
    assert names(tmp_path / "there") == ["b.tif"]


def test_names_of_every_length(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 125 + ".tif")  # 254 bytes: no room for a longer one
    stream(path, picture(4, 4, False))
    assert names(tmp_path) == [path.name]


def test_without_openimageio_exr_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenImageIO", None)
    with pytest.raises(ExportError, match="needs OpenImageIO: pip install"):
        stream(tmp_path / "a.exr", picture(4, 4, False))
    stream(tmp_path / "a.tif", picture(4, 4, False))
    assert names(tmp_path) == ["a.tif"]


CHILD = textwrap.dedent("""
    import resource, signal, sys
    from contextlib import ExitStack
    import numpy as np
    from hdr_exporter import ExportError, ExportOptions, open_stream
    what, paths = sys.argv[1], sys.argv[2:]
    noise = np.random.default_rng(0).random((100, 600, 3), np.float32)
    def opened(path):
        name = path.split("/")[-1].partition(".")[0]
        return open_stream(path, 600, 3000, file_format=name, options=ExportOptions(sdr_peak=4))
    if what == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        for path in paths:
            try:
                with opened(path) as writer:
                    for _ in range(30):
                        writer.write(noise)
            except ExportError as error:
                print(error)
    else:
        with ExitStack() as stack:
            for writer in [stack.enter_context(opened(path)) for path in paths]:
                for _ in range(5):
                    writer.write(noise)
            print("rows", flush=True)
            sys.stdin.read()
""")


MEMORY = textwrap.dedent("""
    import sys
    from pathlib import Path
    import numpy as np
    import OpenImageIO
    from hdr_exporter import ExportOptions, open_stream
    path, name = sys.argv[1:]
    def peak():
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    rows = np.full((100, 4096, 3), 0.5, np.float32)
    before = peak()
    with open_stream(path, 4096, 8000, file_format=name, options=ExportOptions(sdr_peak=4)) as writer:
        for _ in range(80):
            writer.write(rows)
    print(peak() - before)
""")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", STREAM_FORMATS)
def test_memory_is_that_of_a_few_bands(tmp_path: Path, name: str) -> None:
    """Of a picture of 375 MiB."""
    path = tmp_path / f"a{SUFFIX[name]}"
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path, name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 0 < int(done.stdout) < 180 * 1024


@pytest.fixture
def olds(tmp_path: Path) -> list[Path]:
    """Files that are there already, one of each format, in a folder of their own."""
    paths = [tmp_path / f"{name}{SUFFIX[name]}" for name in STREAM_FORMATS]
    for path in paths:
        path.write_bytes(b"old")
    return paths


def child(what: str, paths: list[Path]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, what, *map(str, paths)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error(olds: list[Path], tmp_path: Path) -> None:
    """Played by a limit on the size of a file."""
    said, errors = child("full", olds).communicate(timeout=60)
    assert errors == ""
    for line, path in zip(said.splitlines(), olds, strict=True):
        assert line.startswith(f"cannot write {str(path)!r}: ")
        assert path.read_bytes() == b"old"
    assert names(tmp_path) == sorted(path.name for path in olds)


@pytest.mark.slow
def test_what_a_killed_writer_left_is_written_over(olds: list[Path], tmp_path: Path) -> None:
    process = child("kill", olds)
    assert process.stdout is not None
    assert process.stdout.readline() == "rows\n"
    for path in olds:
        with pytest.raises(ExportError, match="another process is writing it"), opened(path):
            pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    for path in olds:
        assert path.with_name(f".{path.name}.partial").exists()
        assert path.read_bytes() == b"old"
        stream(path, picture(30, 20, False), file_format=path.stem, options=OPTIONS)
        again = path.with_name(f"again{path.suffix}")
        export(again, *picture(30, 20, False), file_format=path.stem, options=OPTIONS)
        SAME[path.stem](again, path)
        again.unlink()
    assert names(tmp_path) == sorted(path.name for path in olds)
