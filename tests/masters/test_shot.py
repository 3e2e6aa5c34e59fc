"""Image sequences: names, frames, and a gain that does not flicker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from luxscaler.backends.local import LocalBackend
from luxscaler.errors import InputError, LuxScalerError
from luxscaler.hdr.expand import expand
from luxscaler.hdr.shot import shot_statistics
from luxscaler.io.read import read_picture
from luxscaler.io.write import export
from luxscaler.masters.shot import Frame, FramePattern, described, parse_frames, shot_of, upscale_shot
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.picture import FloatArray
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.upscaling.upscaler import Upscaler


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", (7,)),
        ("1-4", (1, 2, 3, 4)),
        ("1-10x4", (1, 5, 9)),
        ("9-10, 3,1-2", (1, 2, 3, 9, 10)),
        ("0001-0003", (1, 2, 3)),
    ],
)
def test_ranges(text: str, frames: tuple[int, ...]) -> None:
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", "a", "5-1", "1-9x0", "1-2-3", "1-99999999", "-4"])
def test_bad_ranges_are_named(text: str) -> None:
    with pytest.raises(InputError, match=f"frames is '{text}'"):
        parse_frames(text)


@pytest.mark.parametrize(
    ("name", "frame", "wanted"),
    [
        ("plate.####.exr", 7, "plate.0007.exr"),
        ("plate.%04d.exr", 12345, "plate.12345.exr"),
        ("plate_%d.png", 7, "plate_7.png"),
        ("#.png", 12, "12.png"),
    ],
)
def test_patterns(name: str, frame: int, wanted: str, tmp_path: Path) -> None:
    pattern = FramePattern.parse(tmp_path / name)
    assert pattern is not None
    assert pattern.path(frame) == tmp_path / wanted
    for number in (3, frame, 11):
        pattern.path(number).touch()
    (tmp_path / "plate.x.exr").touch()
    assert pattern.found() == tuple(sorted({3, frame, 11}))


def test_a_single_file_is_no_sequence(tmp_path: Path) -> None:
    assert FramePattern.parse(tmp_path / "a.png") is None
    (tmp_path / "take #2.png").touch()
    assert FramePattern.parse(tmp_path / "take #2.png") is None
    assert shot_of(tmp_path / "a.png", tmp_path / "b.png") == ()
    with pytest.raises(InputError, match="is one picture"):
        shot_of(tmp_path / "a.png", tmp_path / "b.png", "1-3")
    with pytest.raises(InputError, match="2 places"):
        FramePattern.parse(tmp_path / "##_##.png")


def test_what_is_wrong_with_names_is_said_before_the_work(tmp_path: Path) -> None:
    for number in (1, 2, 4):
        (tmp_path / f"in.{number:04d}.png").touch()
    source, target = tmp_path / "in.####.png", tmp_path / "out.####.exr"
    assert [frame.number for frame in shot_of(source, target)] == [1, 2, 4]
    with pytest.raises(InputError, match=r"frames are missing: '.*in\.0003\.png'$"):
        shot_of(source, target, "1-4")
    with pytest.raises(InputError, match="and 94 more"):
        shot_of(source, target, "1-102")
    with pytest.raises(InputError, match="has no place for a frame's number"):
        shot_of(source, tmp_path / "out.exr")
    with pytest.raises(InputError, match="no frames of that name"):
        shot_of(tmp_path / "other.####.png", target)
    with pytest.raises(InputError, match="would replace frames of IN"):
        shot_of(source, tmp_path / "in.%04d.png", "1-2")


@pytest.mark.parametrize(
    ("numbers", "gap"),
    [
        ((1,), None),
        ((7, 8, 9), None),
        ((1, 3, 5), None),
        ((1, 2, 4, 5), "absent between 1 and 5: frame 3"),
        ((10, 20, 50), "absent between 10 and 50: frames 30, 40"),
        ((1, 2, 1000), "absent between 1 and 1000: frames 3, 4, 5, 6, 7 and 992 more"),
    ],
)
def test_gaps_are_told(numbers: tuple[int, ...], gap: str | None) -> None:
    shot = [Frame(number, Path("a"), Path("b")) for number in numbers]
    _, _, told = described(shot).partition("one curve; ")
    assert (told or None) == gap
    assert described(shot, "1-1000").endswith("one curve")


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    torch.manual_seed(7)
    network = build_network(SRVGGConfig(features=8, convs=2))
    for parameter in network.parameters():
        parameter.data *= 0.3
    return Upscaler(network, UpscalerOptions(device="cpu"))


def frame(seed: int, *, light: float = 1.0) -> FloatArray:
    """48 × 64: noise of another seed each time, and four still squares that are far from it."""
    rgb = np.random.default_rng(seed).uniform(0.0, 1.0, (48, 64, 3)).astype(np.float32) ** 3 * light
    rgb[:24] = 0.5
    for number, value in enumerate((0.3, 0.6, 0.85, 1.0)):
        rgb[4:20, 4 + 15 * number : 16 + 15 * number] = value
    return rgb


def run(folder: Path, upscaler: Upscaler, count: int, boost: float = 6.0) -> list[Result]:
    shot = shot_of(folder / "in.####.exr", folder / "out.####.exr")
    assert len(shot) == count
    request = UpscaleRequest(shot[0].source, output_format="exr", hdr_boost=boost, model="own.pth")
    backend = LocalBackend(lambda _model: upscaler)
    return upscale_shot(request, shot, lambda each, target: upscale_picture(each, target, backend))


@pytest.mark.slow
def test_a_still_scene_with_noise_does_not_flicker(tmp_path: Path, upscaler: Upscaler) -> None:
    for number in range(1, 4):
        export(tmp_path / f"in.{number:04d}.exr", frame(number, light=0.3 * number))
    run(tmp_path, upscaler, 3)
    made = [read_picture(tmp_path / f"out.{number:04d}.exr").rgb[:40] for number in range(1, 4)]
    for other in made[1:]:
        np.testing.assert_allclose(other, made[0], rtol=1e-6)  # the still half, apart from its lower edge
    assert made[0].max() > 1.2
    alone = []
    for number in (1, 3):
        path = tmp_path / f"alone{number}.exr"
        request = UpscaleRequest(
            tmp_path / f"in.{number:04d}.exr", output_format="exr", hdr_boost=6.0, model="own.pth"
        )
        upscale_picture(request, path, LocalBackend(lambda _model: upscaler))
        alone.append(read_picture(path).rgb[:40])
    assert np.abs(alone[0] / alone[1] - 1.0).max() > 1e-3  # frame by frame, it would


def test_in_a_pan_the_gain_goes_on_smoothly() -> None:
    wide = np.random.default_rng(1).uniform(0.2, 1.0, (64, 192, 3)).astype(np.float32)
    wide[:, 90:96] = 0.9
    frames = [torch.from_numpy(wide[:, start : start + 64].copy()) for start in range(0, 128, 8)]
    statistics = shot_statistics(frames, lambda tones: tones, 6.0)
    assert statistics.shares is not None
    # A stripe that crosses the picture, a pixel a frame.
    gains = []
    for left in range(2, 60):
        picture = torch.full((64, 64, 3), 0.3)
        picture[:, left - 1 : left + 2] = 0.9
        gains.append(float(expand(picture, 6.0, statistics)[32, left, 0]) / 0.9)
    steps = np.abs(np.diff(np.log2(gains)))
    regions = np.abs(np.diff(np.log2(6.0) * statistics.shares.numpy(), axis=2)).max()
    assert steps.max() <= regions / 4 + 1e-3  # a region is four pixels wide


def test_one_white_for_a_shot_of_hdr_frames() -> None:
    frames = [torch.full((16, 16, 3), value) for value in (0.0, 1.0, 3.0, 12.0)]
    asked: list[float] = []

    def tones_of(tones: torch.Tensor) -> torch.Tensor:
        asked.append(float(tones.max()))
        return tones

    statistics = shot_statistics(frames, tones_of, 4.0)
    assert statistics.peak == 12.0
    assert asked == [0.0, 1.0, 3.0, 12.0, 1.0, 3.0]
    assert shot_statistics(frames[:1], tones_of, 4.0).peak == 0.0
    assert shot_statistics(frames, tones_of, 1.0).shares is None


def test_a_frame_that_fails_is_named_and_the_ones_before_stay(tmp_path: Path, upscaler: Upscaler) -> None:
    for number in (1, 2):
        Image.new("RGB", (16, 16), (200, 100, 50)).save(tmp_path / f"in.{number:04d}.png")
    shot = shot_of(tmp_path / "in.####.png", tmp_path / "out.####.png")
    backend = LocalBackend(lambda _model: upscaler)

    def upscale(request: UpscaleRequest, target: Path) -> Result:
        if target.name == "out.0002.png":
            request = replace(request, source=tmp_path / "gone.png")
        return upscale_picture(request, target, backend)

    request = UpscaleRequest(shot[0].source, output_format="png", model="own.pth")
    with pytest.raises(LuxScalerError, match=r"^frame 2: .*gone\.png"):
        upscale_shot(request, shot, upscale)
    assert (tmp_path / "out.0001.png").is_file()
    assert not (tmp_path / "out.0002.png").exists()
