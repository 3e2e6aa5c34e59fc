"""A master from file to file, with a backend that repeats pixels: right, resumable, never wrong."""

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from PIL import Image

import hdr_exporter
from luxscaler.backends.base import Tile, TileOutput
from luxscaler.backends.local import LocalBackend
from luxscaler.errors import BackendError, ExportError, InputError, JobError, StoppedError, TileError
from luxscaler.geometry import Wrap
from luxscaler.io.read import read_picture
from luxscaler.masters.job import folder_of
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.options import LayerChoice, UpscalerOptions
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Progress, Result
from luxscaler.upscaling.code_values import encode
from luxscaler.upscaling.model_cache import Models
from tests.conftest import SAMPLE
from tests.support.fake_backend import FakeBackend
from tests.support.gain_map_files import iso, joined_jpeg, jpeg

TILES = 12
"""Of the picture below at --tile 64."""
SCALE = 2
"""The size of the results, where nothing else is said: the larger, the longer each test."""


@pytest.fixture(autouse=True)
def _decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pixels as by another process, which tests/isolation hold, sooner."""
    monkeypatch.setattr("luxscaler.isolation.pool.IS_AVAILABLE", False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """200 × 150, smooth colours with some grain."""
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (7, 9, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((200, 150), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-3, 4, smooth.shape)
    path = tmp_path / "picture.png"
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(path)
    return path


def request_of(picture: Path, target: Path, **changes: Any) -> UpscaleRequest:
    output_format = hdr_exporter.SUFFIXES[target.suffix]
    request = UpscaleRequest(
        picture, output_format=output_format, scale=SCALE, tile=64, overlap=16, decode_limits=None
    )
    return replace(request, **changes)


def make(picture: Path, target: Path, backend: FakeBackend | None = None, **changes: Any) -> Result:
    run = {name: changes.pop(name) for name in ("jobs", "attempts", "report", "restart") if name in changes}
    request = request_of(picture, target, **changes)
    return upscale_picture(request, target, backend or FakeBackend(), RunOptions(**run))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def enlarged(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(SCALE, 0).repeat(SCALE, 1)


def repeated(picture: Path) -> np.ndarray:
    return enlarged(read_picture(picture).rgb)


@pytest.mark.parametrize("suffix", [".exr", ".tiff"])
def test_the_tiles_are_put_together_where_they_belong(picture: Path, tmp_path: Path, suffix: str) -> None:
    result = make(picture, tmp_path / f"out{suffix}")
    assert result.progress.done == result.progress.total == TILES
    assert np.abs(read_picture(result.path).rgb - repeated(picture)).max() < 1e-6
    assert not folder_of(result.path).exists()


@pytest.mark.slow
def test_a_gain_map_is_read_for_masters_too(picture: Path, tmp_path: Path) -> None:
    codes = np.asarray(Image.open(picture))
    file = tmp_path / "picture.jpg"
    file.write_bytes(joined_jpeg(jpeg(codes), jpeg(codes[::2, ::2, 0].copy()), iso_data=iso()))
    result = make(file, tmp_path / "out.exr")
    assert np.abs(read_picture(result.path).rgb - repeated(file)).max() < 1e-5
    assert result.peak > 2
    assert any("read as the HDR picture" in notice for notice in result.notices)
    sdr = make(file, tmp_path / "sdr.exr", sdr=True)
    expected = enlarged(read_picture(file, sdr=True).rgb)
    assert np.abs(read_picture(sdr.path).rgb - expected).max() < 1e-6
    assert sdr.notices == ()


def test_an_independent_reader_sees_the_picture(picture: Path, tmp_path: Path) -> None:
    make(picture, tmp_path / "out.png")
    seen = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    before = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
    assert seen is not None
    assert before is not None
    wanted = enlarged(before).astype(np.int64) * 257
    assert np.abs(seen.astype(np.int64) - wanted).max() <= 1


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize("suffix", [".webp", ".avif", ".jxl", ".jpg"])
def test_formats_that_are_encoded_as_a_whole(picture: Path, tmp_path: Path, suffix: str) -> None:
    result = make(picture, tmp_path / f"out{suffix}", hdr_boost=2.0)
    assert (result.width, result.height) == (400, 300)
    assert read_picture(result.path).rgb.shape == (300, 400, 3)


@pytest.mark.slow
def test_a_mask_goes_along_with_any_backend(picture: Path, tmp_path: Path) -> None:
    Image.new("L", (8, 8), 0).save(tmp_path / "black.png")
    make(picture, tmp_path / "plain.exr")
    make(picture, tmp_path / "black.exr", hdr_boost=4.0, boost_mask=tmp_path / "black.png")
    plain, black = (read_picture(tmp_path / f"{name}.exr").rgb for name in ("plain", "black"))
    np.testing.assert_array_equal(plain, black)


def test_what_is_no_mask_is_said_before_any_tile(picture: Path, tmp_path: Path) -> None:
    backend = FakeBackend()
    with pytest.raises(InputError, match="boost_mask is coloured"):
        make(picture, tmp_path / "out.exr", backend, hdr_boost=4.0, boost_mask=picture)
    assert backend.calls == []
    assert not (tmp_path / "out.exr").exists()


@pytest.mark.sample(1)
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.25, 8.0])
def test_any_scale_gives_the_exact_size(picture: Path, tmp_path: Path, scale: float) -> None:
    result = make(picture, tmp_path / "out.exr", scale=scale, tile=160, overlap=8)
    assert (result.width, result.height) == (round(200 * scale), round(150 * scale))
    assert read_picture(result.path).rgb.shape == (result.height, result.width, 3)


def test_alpha_comes_along(picture: Path, tmp_path: Path) -> None:
    rgba = np.asarray(Image.open(picture).convert("RGBA")).copy()
    rgba[..., 3] = np.linspace(0, 255, rgba.shape[1], dtype=np.uint8)
    Image.fromarray(rgba).save(picture)
    make(picture, tmp_path / "out.tiff")
    alpha = read_picture(tmp_path / "out.tiff").alpha
    assert alpha is not None
    assert np.abs(alpha - enlarged(rgba[..., 3] / np.float32(255))).max() < 1e-6


@pytest.mark.slow
def test_a_large_master_is_streamed_to_the_same_pixels(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(picture, tmp_path / "whole.exr", hdr_boost=3.0)
    monkeypatch.setattr("luxscaler.pipeline.output.WHOLE_PIXELS", 1000)
    monkeypatch.setattr("luxscaler.tiling.expansion.STRIP_BYTES", 1 << 18)
    make(picture, tmp_path / "streamed.exr", hdr_boost=3.0)
    whole, streamed = (read_picture(tmp_path / f"{name}.exr").rgb for name in ("whole", "streamed"))
    assert np.abs(whole - streamed).max() <= 1e-5


@pytest.mark.slow
def test_tiles_of_a_real_network_meet(tmp_path: Path, real_weights: Path) -> None:
    models = Models(UpscalerOptions(device="cpu"), real_weights)
    for name, tile in (("tiles", 128), ("whole", 1024)):
        request = request_of(
            SAMPLE / "tile.png", tmp_path / f"{name}.exr", scale=4, tile=tile, overlap=32, model="fast"
        )
        upscale_picture(request, tmp_path / f"{name}.exr", LocalBackend(models))
    tiles, whole = (
        encode(torch.from_numpy(read_picture(tmp_path / f"{name}.exr").rgb)) for name in ("tiles", "whole")
    )
    # The network sees no farther than its context; cells of the low band agree, except at the borders.
    assert -10 * float(torch.log10(((tiles - whole) ** 2).mean())) > 50.0


def boom(_tile: Tile, _output: TileOutput) -> TileOutput:
    raise BackendError("the power is out")


def test_a_run_that_failed_goes_on_where_it_was(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    first = FakeBackend(workers=1, mishaps={(7, 1): boom})
    with pytest.raises(BackendError, match="the power is out"):
        make(picture, target, first)
    assert not target.exists()
    second = FakeBackend()
    result = make(picture, target, second)
    assert result.progress.kept == 7
    assert sorted(number for number, _ in second.calls) == list(range(7, TILES))
    make(picture, tmp_path / "again.exr")
    assert digest(target) == digest(tmp_path / "again.exr")


def test_a_run_that_did_nothing_leaves_no_job_behind(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    with pytest.raises(BackendError):
        make(picture, target, FakeBackend(workers=1, mishaps={(0, 1): boom}))
    assert list(tmp_path.iterdir()) == [picture]
    make(picture, target, scale=3.0)


@pytest.mark.slow
def test_a_damaged_tile_is_made_again(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    with pytest.raises(BackendError):
        make(picture, target, FakeBackend(workers=1, mishaps={(7, 1): boom}))
    stored = folder_of(target) / "tiles" / "000003"
    data = bytearray(stored.read_bytes())
    data[100] ^= 1
    stored.write_bytes(data)
    backend = FakeBackend()
    make(picture, target, backend)
    assert 3 in {number for number, _ in backend.calls}
    make(picture, tmp_path / "again.exr")
    assert digest(target) == digest(tmp_path / "again.exr")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 3.0}, "another scale"),
        ({"fractality": 1.5}, "another fractality"),
        ({"model": "anime"}, "another model"),
        ({"tile": 128}, "another tile"),
        ({"overlap": 8}, "another overlap"),
        ({"sdr": True}, "another sdr"),
        ({"wrap": Wrap(x=True)}, r"another wrap \(none, now x\)"),
    ],
)
def test_a_changed_option_is_noticed(
    picture: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    target = tmp_path / "out.exr"
    with pytest.raises(BackendError):
        make(picture, target, FakeBackend(mishaps={(7, 1): boom}))
    with pytest.raises(JobError, match=words):
        make(picture, target, **change)
    make(picture, target, restart=True, **change)
    assert target.exists()


@pytest.mark.parametrize("begun_with", [{"wrap": Wrap(x=True)}, {"choice": LayerChoice("diffuse")}])
def test_a_choice_that_is_no_longer_made_is_noticed(
    begun_with: dict[str, Any], picture: Path, tmp_path: Path
) -> None:
    layers = np.random.default_rng(3).random((2, 150, 200, 3), np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    channels = {"RGB": layers[0], **{f"diffuse.{name}": layers[1, ..., n] for n, name in enumerate("RGB")}}
    OpenEXR.File(header, channels).write(str(source := tmp_path / "layers.exr"))
    target = tmp_path / "out.exr"
    for first, second in ((begun_with, {}), ({}, begun_with)):
        with pytest.raises(BackendError):
            make(source, target, FakeBackend(mishaps={(7, 1): boom}), restart=True, **first)
        with pytest.raises(JobError, match=r"another (wrap|layer) \("):
            make(source, target, **second)


def test_a_checkpoint_that_was_trained_further_is_noticed(picture: Path, tmp_path: Path) -> None:
    target, model = tmp_path / "out.exr", tmp_path / "mine.safetensors"
    model.write_bytes(b"as it was")
    with pytest.raises(BackendError):
        make(picture, target, FakeBackend(mishaps={(7, 1): boom}), model=str(model))
    model.write_bytes(b"as it is")
    with pytest.raises(JobError, match="another weights"):
        make(picture, target, model=str(model))


def test_a_changed_picture_is_noticed(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    with pytest.raises(BackendError):
        make(picture, target, FakeBackend(mishaps={(7, 1): boom}))
    pixels = np.asarray(Image.open(picture)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(picture)
    with pytest.raises(JobError, match="another picture"):
        make(picture, target)


@pytest.mark.slow
def test_the_range_may_change_without_running_a_tile_again(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    with pytest.raises(BackendError):
        make(picture, target, FakeBackend(workers=1, mishaps={(TILES - 1, 1): boom}), hdr_boost=2.0)
    backend = FakeBackend()
    make(picture, target, backend, hdr_boost=4.0)
    assert len(backend.calls) == 1
    make(picture, tmp_path / "again.exr", hdr_boost=4.0)
    assert digest(target) == digest(tmp_path / "again.exr")


def spoilt(how: str) -> object:
    """What comes back on a bad day."""

    def change(tile: Tile, output: TileOutput) -> TileOutput:
        rgb = output.rgb
        if how == "size":
            return TileOutput(rgb[:-4])
        if how == "black":
            return TileOutput(np.zeros_like(rgb))
        if how == "nan":
            rgb[5, 5, 1] = np.nan
            return TileOutput(rgb)
        if how == "half":
            rgb[rgb.shape[0] // 2 :] = 0.5
            return TileOutput(rgb)
        if how == "other":
            return TileOutput(np.ascontiguousarray(rgb[:, ::-1]))
        raise TileError("lost on the way", delay=0.01)

    return change


@pytest.mark.sample(2)
@pytest.mark.parametrize("how", ["size", "black", "nan", "half", "other", "lost"])
def test_a_wrong_tile_is_rejected_and_asked_for_again(picture: Path, tmp_path: Path, how: str) -> None:
    backend = FakeBackend(mishaps={(4, 1): spoilt(how), (4, 2): spoilt(how)})  # type: ignore[dict-item]
    result = make(picture, tmp_path / "out.exr", backend)
    assert result.progress.retries == 2
    assert np.abs(read_picture(result.path).rgb - repeated(picture)).max() < 1e-6


def test_the_budget_of_a_tile_is_limited(picture: Path, tmp_path: Path) -> None:
    mishaps = {(4, attempt): spoilt("black") for attempt in range(1, 9)}
    backend = FakeBackend(mishaps=mishaps)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=r"tile 4 failed 3 times; the last: tile 4 came back black"):
        make(picture, tmp_path / "out.exr", backend)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".exr"] == []
    assert backend.closed == 1


def test_stopping_keeps_what_is_done(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    stop = threading.Event()

    def halt(tile: Tile, output: TileOutput) -> TileOutput:
        stop.set()
        return output

    backend = FakeBackend(workers=1, mishaps={(5, 1): halt})
    with pytest.raises(StoppedError, match=r"^stopped: 6 tiles kept in '.*out.exr.job'; the same command"):
        upscale_picture(request_of(picture, target), target, backend, stop=stop)
    assert not target.exists()
    assert len(backend.calls) == 6
    assert make(picture, target).progress.kept == 6


def test_a_full_disk_is_known_before_the_work(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    backend = FakeBackend()
    with pytest.raises(JobError, match=r"may need 0\.0 GB .* has 0\.0 GB free"):
        make(picture, tmp_path / "out.exr", backend)
    assert backend.calls == []


def test_rows_that_cannot_be_written_end_the_work(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ExportError("cannot write: No space left on device")

    monkeypatch.setattr("luxscaler.pipeline.sinks.WholeSink.write", full)
    monkeypatch.setattr("luxscaler.tiling.expansion.STRIP_BYTES", 1 << 18)
    with pytest.raises(ExportError, match="No space left"):
        make(picture, tmp_path / "out.exr", FakeBackend(workers=1, seconds=0.05))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"scale": 3.14159, "max_output_pixels": 10**5},
            "scale is 3.14159; a picture of several tiles of 64 pixels needs",
        ),
        ({"overlap": 30}, "overlap is 30; it must be from 0 to a quarter of the tile, 16"),
        ({"tile": 9000}, "tile is 9000"),
        ({"jobs": 0}, "jobs is 0"),
        ({"attempts": 0}, "attempts is 0"),
        ({"hdr_boost": 60.0}, "hdr_boost is 60"),
        ({"output_format": "bmp"}, "output_format is 'bmp'"),
        ({"max_pixels": 1000}, "30,000 pixels .* the limit is 1,000"),
    ],
)
def test_bad_wishes_are_one_line(picture: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make(picture, tmp_path / "out.exr", **change)


@pytest.mark.slow
def test_the_page_has_the_figures(picture: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = make(picture, tmp_path / "out.exr", report=page, hdr_boost=3.0)
    text = page.read_text("utf-8")
    assert "picture.png → out.exr" in text.replace("\u2068", "").replace("\u2069", "")
    assert "12 (4 × 3) of up to 64 px" in text
    assert result.seams is not None
    assert f"{result.seams.ratio:.2f} of what the picture changes there" in text


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        (ExportError("no room"), ExportError, "out.exr' is written, its report is not: no room$"),
        (
            KeyboardInterrupt(),
            StoppedError,
            "^stopped: '.*out.exr' is written, its report is not; its tiles are kept in ",
        ),
    ],
)
def test_a_report_that_is_not_written_does_not_hide_the_result(
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    error: type[Exception],
    words: str,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("luxscaler.masters.run.write_report", fail)
    target = tmp_path / "out.exr"
    with pytest.raises(error, match=words):
        make(picture, target, report=tmp_path / "page.html")
    assert target.is_file()
    monkeypatch.undo()
    backend = FakeBackend()
    make(picture, target, backend, report=tmp_path / "page.html")
    assert backend.calls == []  # the tiles were kept for it


def test_progress_counts_and_estimates(picture: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    target = tmp_path / "out.exr"
    upscale_picture(request_of(picture, target), target, FakeBackend(workers=1), progress=seen.append)
    assert [step.done for step in seen] == list(range(TILES + 1))
    assert seen[0].seconds_left is None
    assert seen[-1].seconds_left == 0.0
    assert torch.get_num_threads() == 1  # or the timings of other tests suffer


def test_what_a_format_cannot_hold_is_known_before_the_work(picture: Path, tmp_path: Path) -> None:
    rgba = np.asarray(Image.open(picture).convert("RGBA")).copy()
    rgba[-1, -1, 3] = 254
    Image.fromarray(rgba).save(picture)
    backend = FakeBackend()
    with pytest.raises(ExportError, match="JPEG holds no transparency"):
        make(picture, tmp_path / "out.jpg", backend)
    with pytest.raises(ExportError, match="the folder does not exist"):
        make(picture, tmp_path / "out.exr", backend, report=tmp_path / "absent" / "page.html")
    assert backend.calls == []


def test_light_that_half_floats_clip_is_told_of_masters_too(tmp_path: Path) -> None:
    light = np.full((100, 100, 3), 0.5, np.float32)
    light[70, 70] = 90_000.0
    hdr_exporter.export(tmp_path / "in.exr", light)
    for kind, said in (("half", True), ("float", False)):
        options = hdr_exporter.ExportOptions(exr_type=kind)
        result = make(tmp_path / "in.exr", tmp_path / f"{kind}.exr", export=options)
        assert result.progress.total > 1
        assert any("clipped: the brightest is 90,000" in notice for notice in result.notices) == said
