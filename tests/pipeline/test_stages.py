"""The whole way of a tile, bytes to file, around a tiny network: laws that no single stage can hold alone."""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its documentation uses
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

import hdr_exporter
from luxscaler.color import encode_pq, encode_srgb
from luxscaler.errors import ExportError, InputError, LuxScalerError, PictureError, PictureTooLargeError
from luxscaler.geometry import WHOLE, TileBox
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.io.formats import FLOAT_FORMATS, suffix_of
from luxscaler.io.options import ExportOptions
from luxscaler.io.read import read_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.networks.srvgg import SRVGGConfig, SRVGGNetCompact
from luxscaler.options import DecodeLimits, UpscalerOptions
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.pipeline.stages import process
from luxscaler.upscaling.upscaler import Upscaler
from tests.conftest import SAMPLE
from tests.support.gain_map_files import iso, joined_jpeg, jpeg
from tests.support.picture_files import exr, noise, pillow, png, raw_png

STAGES = {"decode", "network", "detail", "reference", "expand", "transfer", "export"}
CPU = UpscalerOptions(device="cpu")


@pytest.fixture
def tiny(tiny_network: RRDBNet) -> Callable[[str], Upscaler]:
    """A random network, whatever the model's name."""
    upscaler = Upscaler(tiny_network, CPU)
    return lambda _: upscaler


@pytest.fixture
def faithful() -> Callable[[str], Upscaler]:
    """A network that only repeats pixels: SRVGGNetCompact without its learned residual."""
    network = build_network(SRVGGConfig(features=4, convs=1))
    assert isinstance(network, SRVGGNetCompact)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    upscaler = Upscaler(network, CPU)
    return lambda _: upscaler


def _pixels(path: Path) -> NDArray[Any]:
    """What a reader that did not write the file sees; colour and alpha as stored."""
    if path.suffix == ".png":
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        return np.asarray(pixels)[..., [2, 1, 0, 3][: pixels.shape[2]]]
    if path.suffix in (".webp", ".jpg"):
        with Image.open(path) as picture:
            return np.asarray(picture)
    if path.suffix == ".avif":
        return np.asarray(imagecodecs.avif_decode(path.read_bytes()))
    as_stored = oiio.ImageSpec()
    as_stored.attribute("oiio:UnassociatedAlpha", 1)  # or OpenImageIO premultiplies
    reader = oiio.ImageInput.open(str(path), as_stored)
    assert reader, oiio.geterror()
    pixels = np.asarray(reader.read_image("unknown"))
    reader.close()
    return pixels


def _smooth(height: int = 96, width: int = 128, seed: int = 5) -> NDArray[np.uint8]:
    """Blobs in colour, without repetition, so that every part of it has one place."""
    coarse = noise(height // 8, width // 8, seed=seed)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


SDR_FORMATS = ("webp", "png", "tiff16")


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", hdr_exporter.FORMATS)
def test_every_format_has_the_size_type_and_result(
    tiny: Callable[[str], Upscaler], tmp_path: Path, name: str
) -> None:
    path = tmp_path / f"a{suffix_of(name)}"
    request = UpscaleRequest(pillow(noise(), "PNG"), output_format=name, hdr_boost=2.0, fractality=1.2)
    result = process(request, tiny, path)
    pixels = _pixels(path)
    dtype: dict[str, type] = {"webp": np.uint8, "jpg": np.uint8}
    dtype |= dict.fromkeys(("png", "png-pq", "avif", "tiff16"), np.uint16)
    assert pixels.shape == (96, 128, 3)
    assert pixels.dtype == dtype.get(name, np.float32)
    assert np.isfinite(pixels).all()
    assert (result.path, result.width, result.height) == (path, 128, 96)
    assert set(result.timings) == STAGES
    assert all(seconds >= 0 for seconds in result.timings.values())
    no_effect = f"hdr_boost 2 changes nothing: {name} shows the SDR rendering"
    assert [notice.split(";")[0] for notice in result.notices] == ([no_effect] if name in SDR_FORMATS else [])
    if name in FLOAT_FORMATS:
        assert result.peak == pytest.approx(float(pixels.max()), rel=1e-6)


@pytest.mark.parametrize(
    ("profile", "is_said"),
    [("srgb", False), ("display-p3", False), ("adobe-rgb", True), ("prophoto", True), ("rec2020", True)],
)
def test_a_gain_map_jpeg_in_a_profile_that_some_readers_misread_says_so(profile: str, is_said: bool) -> None:
    options = ExportOptions(profile=profile)
    said = UpscaleRequest(b"", output_format="jpg", export=options).notices
    assert [notice for notice in said if "libultrahdr" in notice and profile in notice] == list(said)
    assert bool(said) == is_said
    assert UpscaleRequest(b"", output_format="png", export=options).notices == ()


@pytest.mark.parametrize("name", ["exr", "tiff"])
def test_hdr_boost_raises_the_peak_to_the_boost_at_most_and_leaves_the_dark(
    faithful: Callable[[str], Upscaler], tmp_path: Path, name: str
) -> None:
    tile = pillow(np.linspace(0, 255, 16 * 24 * 3).astype(np.uint8).reshape(16, 24, 3), "PNG")
    process(UpscaleRequest(tile, output_format=name), faithful, tmp_path / f"plain.{name}")
    request = UpscaleRequest(tile, output_format=name, hdr_boost=6.0)
    result = process(request, faithful, tmp_path / f"boosted.{name}")
    plain, boosted = _pixels(tmp_path / f"plain.{name}"), _pixels(tmp_path / f"boosted.{name}")
    assert plain.max() == pytest.approx(1.0, abs=1e-6)
    assert 1.2 < result.peak <= 6.0
    assert result.peak == pytest.approx(float(boosted.max()), rel=1e-5)
    dark = plain.max(axis=2) < 0.05
    assert dark.any()
    np.testing.assert_array_equal(boosted[dark], plain[dark])
    assert (boosted >= plain).all()


@pytest.mark.parametrize("limits", [None, DecodeLimits()])
def test_a_gain_map_is_read_of_the_picture_and_of_its_reference(
    faithful: Callable[[str], Upscaler], tmp_path: Path, limits: DecodeLimits | None
) -> None:
    ramp = np.linspace(0, 255, 32 * 48 * 3).astype(np.uint8).reshape(32, 48, 3)
    data = joined_jpeg(jpeg(ramp), jpeg(ramp), iso_data=iso())
    plain = UpscaleRequest(data, reference=data, box=WHOLE, output_format="exr", decode_limits=limits)
    whole = read_picture(data)
    assert whole.rgb.max() == pytest.approx(4.05, abs=0.01)
    result = process(plain, faithful, tmp_path / "hdr.exr")
    assert result.peak == pytest.approx(whole.rgb.max(), rel=0.01)
    assert "read as the HDR picture" in result.notices[0]
    boosted = process(dataclasses.replace(plain, hdr_boost=2.0), faithful, tmp_path / "boosted.exr")
    assert 1.2 < boosted.peak / result.peak <= 2.0  # as of any HDR picture
    sdr = process(dataclasses.replace(plain, sdr=True), faithful, tmp_path / "sdr.exr")
    assert sdr.peak == pytest.approx(1.0, abs=0.01)
    assert sdr.notices == ()


@pytest.mark.parametrize("name", ["png", "webp"])
def test_hdr_boost_does_not_change_an_sdr_picture(
    tiny: Callable[[str], Upscaler], tmp_path: Path, name: str
) -> None:
    pictures = []
    for boost in (1.0, 3.0, 49.0):
        path = tmp_path / f"{boost}.{name}"
        process(UpscaleRequest(pillow(noise(), "PNG"), output_format=name, hdr_boost=boost), tiny, path)
        pictures.append(_pixels(path))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])


def test_the_base_of_a_jpeg_is_the_picture_before_the_expansion(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    room = np.full((48, 64, 3), 40, np.uint8)
    room[20:26, 30:36] = 255  # a lamp
    tile = pillow(room, "PNG")
    for boost in (1.0, 8.0):
        request = UpscaleRequest(tile, output_format="jpg", hdr_boost=boost)
        process(request, faithful, tmp_path / f"{boost}.jpg")
    np.testing.assert_array_equal(_pixels(tmp_path / "1.0.jpg"), _pixels(tmp_path / "8.0.jpg"))
    hdr = [
        imagecodecs.ultrahdr_decode((tmp_path / f"{boost}.jpg").read_bytes())[..., :3] for boost in (1.0, 8.0)
    ]
    assert hdr[1].max() > 1.5 * hdr[0].max()


def test_only_an_expanded_master_says_that_its_range_is_estimated(
    tiny: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    said = []
    for boost in (1.0, 2.0):
        path = tmp_path / f"{boost}.exr"
        process(UpscaleRequest(pillow(noise(), "PNG"), output_format="exr", hdr_boost=boost), tiny, path)
        said.append(b"estimated" in path.read_bytes())
    assert said == [False, True]


@pytest.mark.slow
def test_the_same_request_gives_the_same_bytes(tiny: Callable[[str], Upscaler], tmp_path: Path) -> None:
    for name in hdr_exporter.FORMATS:
        request = UpscaleRequest(pillow(noise(), "PNG"), output_format=name, hdr_boost=1.5, fractality=1.2)
        digests = set()
        for count in range(2):
            process(request, tiny, tmp_path / f"{count}.{name}")
            digests.add(hashlib.sha256((tmp_path / f"{count}.{name}").read_bytes()).hexdigest())
        assert len(digests) == 1, name


def _drift(upscaler_for: Callable[[str], Upscaler], path: Path, **others: Any) -> tuple[float, Result]:
    """How far the mean of a colour-shifted tile's result is from its master's, in linear light, at most."""
    master = _smooth()
    tile = np.clip(master[32:80, 24:88] * [1.05, 1.0, 0.95], 0, 255).astype(np.uint8)
    request = UpscaleRequest(pillow(tile, "PNG"), output_format="exr", **others)
    result = process(request, upscaler_for, path)
    wanted = read_picture(pillow(master, "PNG")).rgb[32:80, 24:88]
    return float(np.abs(_pixels(path).mean((0, 1)) - wanted.mean((0, 1))).max()), result


BOX = TileBox(24 / 128, 32 / 96, 64 / 128, 48 / 96)


def test_colour_drift_vanishes_where_the_box_is_given(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    master = pillow(_smooth(), "PNG")
    before, _ = _drift(faithful, tmp_path / "a.exr")
    after, result = _drift(faithful, tmp_path / "a.exr", reference=master, box=BOX)
    assert before > 2 / 255
    assert after < 1 / 255
    assert result.notices == ()


def test_colour_drift_vanishes_where_the_box_is_found(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    after, result = _drift(faithful, tmp_path / "a.exr", reference=pillow(_smooth(), "PNG"))
    assert after < 1 / 255
    (notice,) = result.notices
    found = TileBox.parse(notice.rpartition(" ")[2])
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(BOX), abs=0.02)


def test_a_flat_tile_has_no_place_and_only_the_statistics_count(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    sky = pillow(np.full((24, 32, 3), 188, np.uint8), "PNG")
    master = _smooth()
    master[0, 0] = 255
    request = UpscaleRequest(sky, pillow(master, "PNG"), output_format="exr", hdr_boost=4.0)
    result = process(request, faithful, tmp_path / "a.exr")
    (notice,) = result.notices
    assert "ambiguous" in notice
    tones = ToneStatistics.of(torch.from_numpy(read_picture(pillow(master, "PNG")).rgb))
    expected = expand(torch.full((8, 8, 3), 0.503), 4.0, tones, None)
    assert result.peak == pytest.approx(float(expected.max()), rel=0.01)
    alone = process(dataclasses.replace(request, reference=None), faithful, tmp_path / "b.exr")
    assert alone.peak != pytest.approx(result.peak, rel=0.01)


def test_a_reference_of_another_picture_is_refused(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    dark = pillow(np.full((24, 32, 3), 20, np.uint8), "PNG")
    bright = pillow(np.full((24, 32, 3), 250, np.uint8), "PNG")
    for tile, reference in ((bright, dark), (dark, bright)):
        request = UpscaleRequest(tile, reference, TileBox(0, 0, 1, 1))
        with pytest.raises(InputError, match="tile_input and global_reference differ"):
            process(request, faithful, tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []


def test_a_tile_brighter_than_its_dim_reference_follows_it(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    grey = [pillow(np.full((32, 32, 3), code, np.uint8), "PNG") for code in (188, 192)]
    request = UpscaleRequest(grey[1], grey[0], TileBox(0, 0, 1, 1), output_format="exr")
    process(request, faithful, tmp_path / "a.exr")
    assert _pixels(tmp_path / "a.exr").mean() == pytest.approx(0.503, abs=1 / 255)


def _disc() -> tuple[bytes, NDArray[np.float32]]:
    """(PNG of an orange disc on transparent black, its linear colour)."""
    y, x = np.mgrid[:32, :32] - 15.5
    alpha = np.clip(12.5 - np.hypot(x, y), 0, 1)
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[alpha > 0, :3] = (230, 140, 40)
    rgba[..., 3] = np.rint(alpha * 255)
    return png(rgba), read_picture(pillow(np.full((1, 1, 3), (230, 140, 40), np.uint8), "PNG")).rgb[0, 0]


def test_a_disc_on_transparent_black_gets_no_dark_fringe(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    disc, colour = _disc()
    process(UpscaleRequest(disc, output_format="tiff"), faithful, tmp_path / "a.tiff")
    pixels = _pixels(tmp_path / "a.tiff")
    assert pixels.shape == (128, 128, 4)
    alpha = pixels[..., 3:]
    assert 0.0 < float((alpha == 0).mean()) < 1.0
    assert alpha.max() == 1.0
    over_white = pixels[..., :3] * alpha + 1.0 - alpha
    assert (over_white >= colour - 2e-3).all()


def test_alpha_is_straight_in_tiff_png_and_webp_and_premultiplied_in_exr(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    disc, _ = _disc()
    for name in ("tiff", "exr", "png", "webp"):
        process(
            UpscaleRequest(disc, output_format=name, export=ExportOptions(webp_quality=100)),
            faithful,
            tmp_path / f"a.{name}",
        )
    straight = tifffile.imread(tmp_path / "a.tiff")
    premultiplied = _pixels(tmp_path / "a.exr")
    np.testing.assert_allclose(premultiplied[..., :3], straight[..., :3] * straight[..., 3:], rtol=2**-12)
    np.testing.assert_array_equal(premultiplied[..., 3], straight[..., 3])
    coded = np.where(straight <= 0.0031308, straight * 12.92, 1.055 * straight ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(_pixels(tmp_path / "a.png")[..., :3] / 65535, coded[..., :3], atol=1e-4)
    np.testing.assert_allclose(_pixels(tmp_path / "a.png")[..., 3] / 65535, straight[..., 3], atol=1e-4)
    np.testing.assert_allclose(_pixels(tmp_path / "a.webp")[..., 3] / 255, straight[..., 3], atol=0.01)


@pytest.mark.parametrize(("name", "tolerance"), [("png-pq", 1e-3), ("avif", 0.05), ("jxl", 1e-4)])
def test_a_disc_on_transparent_black_has_no_fringe_in_hdr_files(
    faithful: Callable[[str], Upscaler], tmp_path: Path, name: str, tolerance: float
) -> None:
    """Straight alpha: wherever the disc shows at all it has its own colour."""
    disc, colour = _disc()
    path = tmp_path / f"a{suffix_of(name)}"
    process(UpscaleRequest(disc, output_format=name, export=ExportOptions(avif_quality=100)), faithful, path)
    picture = read_picture(path)
    assert picture.alpha is not None
    assert picture.alpha.min() == 0
    assert picture.alpha.max() == 1
    visible = picture.rgb[picture.alpha > 0.05]
    np.testing.assert_allclose(visible, np.broadcast_to(colour, visible.shape), rtol=tolerance, atol=0.002)


@pytest.mark.parametrize("box", [TileBox(0, 0, 1, 1), None])
def test_a_transparent_part_of_the_reference_darkens_nothing(
    faithful: Callable[[str], Upscaler], tmp_path: Path, box: TileBox | None
) -> None:
    disc, colour = _disc()
    process(UpscaleRequest(disc, disc, box, output_format="tiff"), faithful, tmp_path / "a.tiff")
    pixels = _pixels(tmp_path / "a.tiff")
    visible = pixels[..., 3] > 0
    np.testing.assert_allclose(pixels[visible][:, :3], np.broadcast_to(colour, (visible.sum(), 3)), rtol=0.01)


def test_a_tile_with_nothing_to_see_needs_no_place_in_the_reference(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    empty = png(np.zeros((8, 8, 4), np.uint8))
    request = UpscaleRequest(empty, _disc()[0], TileBox(0, 0, 0.25, 0.25), output_format="exr")
    process(request, faithful, tmp_path / "a.exr")
    assert not _pixels(tmp_path / "a.exr").any()


def test_hidden_colour_does_not_count_for_the_curve(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    peaks = []
    for hidden in (0, 255):
        rgba = np.full((16, 16, 4), hidden, np.uint8)
        rgba[..., 3] = 0
        rgba[4:12, 4:12] = (188, 188, 188, 255)
        request = UpscaleRequest(png(rgba), output_format="exr", hdr_boost=4.0)
        process(request, faithful, tmp_path / "a.exr")
        peaks.append(float(_pixels(tmp_path / "a.exr")[..., :3].max()))
    assert peaks[0] == pytest.approx(peaks[1], rel=1e-3)
    assert 0.5029 * 0.999 < peaks[0] <= 4 * 0.503


def test_a_picture_transparent_everywhere_comes_out_so(
    tiny: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    empty = png(np.zeros((8, 8, 4), np.uint8))
    process(UpscaleRequest(empty, output_format="exr", hdr_boost=3.0), tiny, tmp_path / "a.exr")
    assert not _pixels(tmp_path / "a.exr").any()


def _hdr_ramp() -> tuple[bytes, NDArray[np.float32]]:
    """A float EXR from −0.05 to 12, in steps of eight equal pixels."""
    steps = np.array([-0.05, 0.0, 0.18, 1.0, 3.0, 12.0], np.float32)
    plane = np.tile(np.repeat(steps, 8), (16, 1))
    return exr({"R": plane, "G": plane * 0.5, "B": plane * 0.25}), steps


def test_highlights_and_wide_gamut_of_a_float_picture_come_out(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    ramp, steps = _hdr_ramp()
    # Without the low band: at steps of several stops its smooth gains change a pixel by up to 4 %.
    request = UpscaleRequest(ramp, output_format="exr", self_reference=False)
    result = process(request, faithful, tmp_path / "a.exr")
    middles = _pixels(tmp_path / "a.exr")[32, 16::32]
    np.testing.assert_allclose(middles[:, 0], steps, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(middles[:, 2], steps / 4, rtol=1e-3, atol=1e-5)
    assert result.peak == pytest.approx(12.0, rel=1e-4)


def test_an_hdr_picture_is_rolled_off_in_sdr_files_without_clipping(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    ramp, _ = _hdr_ramp()
    process(UpscaleRequest(ramp, output_format="png"), faithful, tmp_path / "a.png")
    middles = _pixels(tmp_path / "a.png")[32, 16::32, 0].astype(int)
    assert (np.diff(middles[1:]) > 0).all()
    assert middles[-1] == 65535


def test_sixteen_bits_in_give_more_than_eight_out(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    grey = np.linspace(20000, 21000, 64).astype(np.uint16)
    tile = png(np.repeat(np.tile(grey, (8, 1))[..., None], 3, axis=2))
    process(UpscaleRequest(tile, output_format="png"), faithful, tmp_path / "a.png")
    pixels = _pixels(tmp_path / "a.png")
    assert len(np.unique(pixels)) > 60
    assert np.abs(pixels[0, 2::4, 0].astype(int) - grey).max() <= 1


@pytest.mark.sample(5)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 7), (13, 1), (3, 5), (17, 31)])
@pytest.mark.parametrize("scale", [1.0, 2.5, 4.0, 8.0])
def test_odd_sizes(
    faithful: Callable[[str], Upscaler], tmp_path: Path, width: int, height: int, scale: float
) -> None:
    tile = pillow(noise(height, width), "PNG")
    request = UpscaleRequest(tile, tile, output_format="exr", scale=scale, hdr_boost=2.0, fractality=0.5)
    result = process(request, faithful, tmp_path / "a.exr")
    assert (result.width, result.height) == (round(width * scale), round(height * scale))
    assert _pixels(tmp_path / "a.exr").shape[:2] == (result.height, result.width)


def _fails(
    request: UpscaleRequest,
    upscaler_for: Callable[[str], Upscaler],
    folder: Path,
    error: type[LuxScalerError],
) -> str:
    """The message of the error; whatever was in the folder is there and unchanged, and nothing else."""
    path = folder / "a.out"
    path.write_bytes(b"from before")
    with pytest.raises(error) as caught:
        process(request, upscaler_for, path)
    assert [file.name for file in folder.iterdir()] == ["a.out"]
    assert path.read_bytes() == b"from before"
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Untouched:
    """Stands for an upscaler that must not be asked to work."""

    device = torch.device("cpu")


def untouched(_: str) -> Any:
    return Untouched()


def test_the_limits_of_pixels_are_kept_before_the_network_runs(tmp_path: Path) -> None:
    tile = pillow(noise(24, 32), "PNG")
    message = _fails(UpscaleRequest(tile, max_pixels=767), untouched, tmp_path, PictureTooLargeError)
    assert message.startswith("the data ")
    assert "768 pixels (32 × 24), the limit is 767" in message
    small = pillow(noise(8, 8), "PNG")
    message = _fails(UpscaleRequest(small, tile, max_pixels=767), untouched, tmp_path, PictureTooLargeError)
    assert message.startswith("reference: ")
    message = _fails(UpscaleRequest(tile, max_output_pixels=12287), untouched, tmp_path, PictureTooLargeError)
    assert message == "the result would have 12,288 pixels (128 × 96), the limit is 12,287"


def test_a_result_of_just_the_limit_is_made(tiny: Callable[[str], Upscaler], tmp_path: Path) -> None:
    request = UpscaleRequest(pillow(noise(24, 32), "PNG"), max_pixels=768, max_output_pixels=12288)
    assert process(request, tiny, tmp_path / "a.webp").width == 128


def test_a_webp_too_wide_is_refused_before_the_network_runs(tmp_path: Path) -> None:
    strip = raw_png(2100, 1, 8, 0, bytes(2101))
    message = _fails(UpscaleRequest(strip, scale=8), untouched, tmp_path, ExportError)
    assert "16800 × 8" in message
    assert "16383" in message


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    html = _fails(UpscaleRequest(b"<html>"), untouched, tmp_path, PictureError)
    assert html == "the data is not a picture: it looks like HTML"
    tile = pillow(noise(), "PNG")
    assert "reference: " in _fails(UpscaleRequest(tile, b""), untouched, tmp_path, PictureError)


def test_a_network_that_gives_nan_writes_nothing(tiny_network: RRDBNet, tmp_path: Path) -> None:
    for parameter in tiny_network.parameters():
        parameter.fill_(math.nan)
    upscaler = Upscaler(tiny_network, CPU)
    message = _fails(UpscaleRequest(pillow(noise(), "PNG")), lambda _: upscaler, tmp_path, LuxScalerError)
    assert "not finite" in message


def test_a_place_that_cannot_be_written_is_an_export_error(
    tiny: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="absent"):
        process(UpscaleRequest(pillow(noise(), "PNG")), tiny, tmp_path / "absent" / "a.webp")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quality", [-1, 101])
def test_a_bad_quality_is_one_of_our_errors(quality: int) -> None:
    with pytest.raises(LuxScalerError, match="webp_quality"):
        ExportOptions(webp_quality=quality)


def test_a_request_and_its_files_stay_as_they_were(
    faithful: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(pillow(noise(), "PNG"))
    before = source.read_bytes()
    request = UpscaleRequest(source, source, output_format="exr", hdr_boost=2.0)
    copy = dataclasses.replace(request)
    process(request, faithful, tmp_path / "b.exr")
    assert request == copy
    assert source.read_bytes() == before


def test_the_tile_itself_is_never_the_target(tiny: Callable[[str], Upscaler], tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(pillow(noise(24, 32), "PNG"))
    before = path.read_bytes()
    with pytest.raises(ExportError, match="it is the same file as"):
        process(UpscaleRequest(path, output_format="png"), tiny, path)
    assert path.read_bytes() == before


def test_notices_of_the_reader_are_passed_on(tiny: Callable[[str], Upscaler], tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(8, 8, seed=seed)) for seed in (1, 2)]
    animated = pillow(frames[0], "GIF", save_all=True, append_images=frames[1:])
    result = process(UpscaleRequest(animated), tiny, tmp_path / "a.webp")
    assert result.notices == read_picture(animated).source.notices
    assert len(result.notices) == 1


def test_progress_ends_with_the_whole_picture(tiny: Callable[[str], Upscaler], tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    tile = pillow(noise(24, 32), "PNG")
    process(UpscaleRequest(tile), tiny, tmp_path / "a.webp", lambda *step: steps.append(step))
    assert steps[-1] == (768, 768)


def test_a_target_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    def no_work(_: str) -> Upscaler:
        raise AssertionError("the network was asked for")

    request = UpscaleRequest(SAMPLE / "tile.png")
    for target in (tmp_path / "missing" / "out.webp", tmp_path):
        with pytest.raises(ExportError, match="cannot write"):
            process(request, no_work, target)


def test_hdr_files_keep_the_light_of_their_pixels_and_sdr_files_may_lose_noise(
    tiny: Callable[[str], Upscaler], tmp_path: Path
) -> None:
    """The tiny network is random, so that only back-projection can bring the averages back."""
    scene = np.random.default_rng(4).uniform(0.3, 0.9, (12, 16, 3)).astype(np.float32)
    scene[4:7, 5:9] = 4.0
    drift = {}
    for name, rgb in (("hdr", scene), ("sdr", np.minimum(scene, 1.0))):
        codes = encode_pq(rgb) if name == "hdr" else encode_srgb(rgb)
        coded = np.round(codes * 65535).astype(np.uint16)
        cicp = b"\x01\x10\x00\x01" if name == "hdr" else b"\x01\x0d\x00\x01"
        path = tmp_path / f"{name}.exr"
        request = UpscaleRequest(png(coded, (b"cICP", cicp)), output_format="exr", self_reference=False)
        process(request, tiny, path)
        found = _pixels(path)[..., :3].reshape(12, 4, 16, 4, 3).mean((1, 3))
        drift[name] = float(np.abs(found - rgb).mean() / rgb.mean())
    assert drift["hdr"] < drift["sdr"] / 3


@pytest.mark.parametrize(
    ("suffix", "name", "export", "said"),
    [
        (
            ".exr",
            "exr",
            ExportOptions(exr_type="half"),
            "light above 65,504, the largest half float, is clipped",
        ),
        (".exr", "exr", ExportOptions(), None),
        (
            ".png",
            "png-pq",
            ExportOptions(),
            "light above 10,000 cd/m², the most that png-pq holds, is clipped",
        ),
    ],
)
def test_light_that_the_format_clips_is_told(
    suffix: str,
    name: str,
    export: ExportOptions,
    said: str | None,
    faithful: Callable[[str], Upscaler],
    tmp_path: Path,
) -> None:
    light = np.full((8, 8), 0.5, np.float32)
    light[4, 4] = 90_000.0
    request = UpscaleRequest(exr(dict.fromkeys("RGB", light)), output_format=name, export=export)
    notices = process(request, faithful, tmp_path / f"a{suffix}").notices
    assert [notice.partition(":")[0] for notice in notices] == ([] if said is None else [said])
