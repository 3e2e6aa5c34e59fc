"""Image sequences: names, frames, and a gain that does not flicker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from luxscaler.backends.local import LocalBackend
from luxscaler.errors import InputError, StoppedError
from luxscaler.hdr.expand import expand
from luxscaler.hdr.shot import shot_statistics
from luxscaler.io.read import read_picture
from luxscaler.io.write import export
from luxscaler.masters.shot import Frame, FramePattern, described, parse_frames, shot_of, with_tones
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import LayerChoice, UpscalerOptions
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
        ("-2-1", (-2, -1, 0, 1)),
        ("-5--1x2,-9", (-9, -5, -3, -1)),
    ],
)
def test_ranges(text: str, frames: tuple[int, ...]) -> None:
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", "a", "5-1", "1-9x0", "1-2-3", "1-99999999", "1--4", "--4", "1-5x-2"])
def test_bad_ranges_are_named(text: str) -> None:
    with pytest.raises(InputError, match=f"frames is '{text}'"):
        parse_frames(text)


@pytest.mark.parametrize(
    ("name", "frame", "wanted"),
    [
        ("plate.####.exr", 7, "plate.0007.exr"),
        ("plate.%04d.exr", 12345, "plate.12345.exr"),
        ("plate.@@@@.exr", 7, "plate.0007.exr"),
        ("plate@2x.##.exr", 7, "plate@2x.07.exr"),
        ("plate.$F4.exr", 7, "plate.0007.exr"),
        ("plate.$F.exr", 7, "plate.7.exr"),
        ("plate_%d.png", 7, "plate_7.png"),
        ("#.png", 12, "12.png"),
        ("plate.%04d.exr", -8, "plate.-008.exr"),
        ("plate.#.exr", -8, "plate.-8.exr"),
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
    for name in ("in.5.png", "in.06.png"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"another number of digits than 'in\.5\.png' and 1 more$"):
        shot_of(source, target)
    (tmp_path / "in.0005.png").touch()
    (tmp_path / "in.0006.png").touch()
    assert [frame.number for frame in shot_of(source, target)] == [1, 2, 4, 5, 6]


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
    request, unread = with_tones(request, shot)
    assert not unread
    return [upscale_picture(replace(request, source=each.source), each.target, backend) for each in shot]


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


@pytest.mark.slow
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


def test_a_frame_that_cannot_be_read_is_left_out_of_the_curve(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        export(tmp_path / f"in.{number:04d}.exr", frame(number, light=0.3 * number))
    path = tmp_path / "in.0003.exr"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    shot = shot_of(tmp_path / "in.####.exr", tmp_path / "out.####.exr")
    request = UpscaleRequest(shot[0].source, output_format="exr", hdr_boost=6.0, model="own.pth")
    seen: list[int] = []
    made, unread = with_tones(request, shot, seen.append)
    assert [each.number for each in unread] == [3]
    assert seen == [1, 2, 3]
    others, _ = with_tones(request, shot[:2])
    assert made.tones is not None
    assert others.tones is not None
    assert made.tones.shares is not None
    assert others.tones.shares is not None
    assert made.tones.peak == others.tones.peak
    assert torch.equal(made.tones.shares, others.tones.shares)
    assert described(shot, "1-3", unread) == (
        "3 frames, one curve; frame 3 cannot be read: the curve is that of the others"
    )
    none, all_of_them = with_tones(replace(request, choice=LayerChoice("absent")), shot)
    assert len(all_of_them) == 3
    assert none.tones is not None  # each frame then says what is wrong with it


def test_a_stop_while_frames_are_looked_at_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise StoppedError("stopped")

    monkeypatch.setattr("luxscaler.masters.shot.laid", stopped)
    shot = (Frame(1, tmp_path / "in.1.exr", tmp_path / "out.1.exr"),)
    request = UpscaleRequest(shot[0].source, output_format="exr", model="own.pth")
    with pytest.raises(StoppedError):
        with_tones(request, shot)
