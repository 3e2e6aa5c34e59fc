"""Light in is light out, grey is grey, clear is clear, opaque is opaque: for every format, network and way.

Checked by OpenImageIO, tifffile and Pillow, not by our own reader.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

import luxscaler
from luxscaler.backends.local import LocalBackend
from luxscaler.geometry import TileBox
from luxscaler.io.formats import FORMATS, suffix_of
from luxscaler.io.options import ExportOptions
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.foreign import ForeignConfig, ForeignNetwork
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.upscaling.upscaler import Upscaler
from tests.support.notices import told
from tests.support.picture_files import exr, pillow, tiff

HEIGHT, WIDTH, SCALE = 40, 88, 2
RNG = np.random.default_rng(5)
SMOOTH = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (6, 7), np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
)
WITH_ALPHA = tuple(name for name in FORMATS if name != "jpg")
NETWORKS: dict[str, RRDBNetConfig | SRVGGConfig] = {
    "rrdb": RRDBNetConfig(features=4, blocks=1, growth=3),
    "srvgg": SRVGGConfig(features=4, convs=1),
    "grey": SRVGGConfig(1, 1, features=4, convs=1, scale=2),
}


def slow(*values: object) -> Any:
    """Parameters of a test that is left out of the inner loop."""
    return pytest.param(*values, marks=pytest.mark.slow)


@cache
def an_upscaler(name: str) -> Upscaler:
    """A network that changes colours and rings; "foreign": one of another library, which does so in place."""
    torch.manual_seed(3)
    if name == "foreign":
        mixing = torch.nn.Conv2d(3, 12, 3, padding=1)
        foreign = ForeignNetwork(ForeignConfig("Mixing", scale=2), mixing, _mixed)
        return Upscaler(foreign, UpscalerOptions(device="cpu"))
    network = build_network(NETWORKS[name])
    for parameter in network.parameters():
        parameter.data *= 0.7
    return Upscaler(network, UpscalerOptions(device="cpu"))


def _mixed(mixing: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The picture enlarged, with rings and a tint."""
    added = torch.nn.functional.pixel_shuffle(mixing(x), 2)
    return x.mul_(0.9).repeat_interleave(2, 2).repeat_interleave(2, 3).add_(added, alpha=0.1)


def upscaled(data: bytes, path: Path, network: str = "srvgg", *, tile: int = 1024, **options: Any) -> Result:
    """By the one way, or, with a small tile, as a master in a job."""
    request = UpscaleRequest(data, output_format=options.pop("name"), scale=SCALE, tile=tile, **options)
    return upscale_picture(request, path, LocalBackend(lambda _: an_upscaler(network)), RunOptions())


def seen(path: Path) -> NDArray[Any]:
    """(height, width, channels) as stored, by a reader of the format that is not ours."""
    data = path.read_bytes()
    if path.suffix == ".avif":
        return np.asarray(imagecodecs.avif_decode(data))
    if path.suffix == ".jxl":
        return np.asarray(imagecodecs.jpegxl_decode(data))
    if path.suffix == ".tiff":
        samples = tifffile.imread(path)
        return samples[..., None] if samples.ndim == 2 else samples
    if path.suffix in (".webp", ".jpg"):  # of a JPEG the SDR picture
        return np.asarray(Image.open(path))
    config = oiio.ImageSpec()
    config["oiio:UnassociatedAlpha"] = 1
    config["oiio:RawColor"] = 1
    file = oiio.ImageInput.open(str(path), config)
    assert file is not None
    return np.asarray(file.read_image(file.spec().format))


def cutout() -> NDArray[np.uint8]:
    """Colour with clear, opaque and translucent areas and soft edges."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(y - HEIGHT / 2, x - 30)
    alpha = np.clip((16 - distance) / 4, 0, 1) * 255
    alpha[:6, :6] = 128
    return np.dstack([SMOOTH, SMOOTH[::-1], SMOOTH[:, ::-1], np.rint(alpha)]).astype(np.uint8)


def flat(alpha: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Pixels of the result whose source and all its neighbours have that alpha."""
    padded = np.pad(alpha, 1, mode="edge")
    views = [padded[i : i + HEIGHT, j : j + WIDTH] == value for i in range(3) for j in range(3)]
    return np.asarray(np.logical_and.reduce(views).repeat(SCALE, 0).repeat(SCALE, 1))


def full(samples: NDArray[Any]) -> float:
    return 1.0 if samples.dtype.kind == "f" else {1: 255, 2: 65535}[samples.dtype.itemsize]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "network", "tile"),
    [
        *((name, "srvgg", 1024) for name in WITH_ALPHA),
        *((name, "srvgg", 64) for name in ("png", "tiff")),
        *((name, network, 64) for name in ("png", "exr") for network in ("grey", "foreign")),
        ("exr", "rrdb", 64),
    ],
)
def test_clear_stays_clear_and_opaque_opaque(name: str, network: str, tile: int, tmp_path: Path) -> None:
    picture, path = cutout(), tmp_path / f"out{suffix_of(name)}"
    upscaled(pillow(picture, "PNG"), path, network, tile=tile, name=name, hdr_boost=3.0, fractality=1.3)
    alpha = seen(path)[..., 3]
    top = 1023 if name == "avif" else full(alpha)
    clear, opaque = flat(picture[..., 3], 0), flat(picture[..., 3], 255)
    assert clear.sum() > 500
    assert opaque.sum() > 500
    assert (alpha[clear] == 0).all()
    assert (alpha[opaque] == top).all()


GREYS: dict[str, Callable[[], bytes]] = {
    "png": lambda: pillow(SMOOTH, "PNG"),
    "jpeg": lambda: pillow(SMOOTH, "JPEG"),
    "tiff": lambda: tiff(SMOOTH.astype(np.float32) / 200),
    "exr": lambda: exr({"Y": (SMOOTH / 60).astype(np.float32)}),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("source", "name", "tile"),
    [
        *(slow("png", name, 1024) for name in FORMATS if name != "png"),
        *(slow("png", "png", 64), slow("jpeg", "webp", 1024)),
        *(("png", "png", 1024), ("tiff", "exr", 64), ("exr", "tiff", 64)),
    ],
)
def test_grey_stays_grey(source: str, name: str, tile: int, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix_of(name)}"
    upscaled(GREYS[source](), path, tile=tile, name=name, hdr_boost=4.0, fractality=1.4)
    pixels = seen(path)
    channels = pixels.shape[2]
    assert channels == (1 if name in ("png", "png-pq", "tiff", "tiff16", "exr") else 3)
    assert (pixels == pixels[..., :1]).all()
    assert np.ptp(pixels.astype(np.float64)) > 0.2 * (1023 if name == "avif" else full(pixels))
    if name == "exr":
        assert oiio.ImageBuf(str(path)).spec().channelnames == ("Y",)


@pytest.mark.parametrize("name", ["png", *(slow(name) for name in ("tiff", "exr", "webp"))])
def test_grey_with_alpha_stays_grey(name: str, tmp_path: Path) -> None:
    alpha, path = cutout()[..., 3], tmp_path / f"out.{name}"
    upscaled(pillow(np.dstack([SMOOTH, alpha]), "PNG"), path, name=name)
    pixels = seen(path)
    assert pixels.shape[2] == (4 if name == "webp" else 2)
    if name == "webp":
        assert (pixels[..., :3] == pixels[..., :1])[pixels[..., 3] > 0].all()


@pytest.mark.parametrize(
    ("network", "tile"),
    [
        *(("srvgg", 1024), slow("srvgg", 64), slow("rrdb", 1024), slow("rrdb", 64)),
        *(slow(network, tile) for network in ("grey", "foreign") for tile in (64, 1024)),
    ],
)
def test_equal_channels_stay_equal(network: str, tile: int, tmp_path: Path) -> None:
    """RGB stays RGB, and the network adds no colour: in a tile and in a master, with a mask."""
    picture = pillow(np.dstack([SMOOTH] * 3), "PNG")
    mask = pillow(SMOOTH, "PNG")
    path = tmp_path / "out.exr"
    upscaled(picture, path, network, tile=tile, name="exr", hdr_boost=6.0, boost_mask=mask, fractality=0.7)
    pixels = seen(path)
    assert pixels.shape[2] == 3
    assert (pixels == pixels[..., :1]).all()


def test_a_grey_tile_of_a_coloured_master_stays_grey(tmp_path: Path) -> None:
    """Averages of its neighbours' colours reach over its edge; its own pixels have none."""
    master = np.dstack([SMOOTH] * 3)
    master[:, WIDTH // 2 :, 0] = 250
    tile = np.ascontiguousarray(master[:, : WIDTH // 2])
    path = tmp_path / "out.exr"
    box = TileBox(0.0, 0.0, 0.5, 1.0)
    upscaled(pillow(tile, "PNG"), path, name="exr", reference=pillow(master, "PNG"), box=box)
    pixels = seen(path)
    assert (pixels == pixels[..., :1]).all()


def fire() -> dict[str, NDArray[np.float32]]:
    """A glow without any coverage beside an opaque square, premultiplied."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    glow = 4 * np.exp(-((y - 12) ** 2 + (x - 12) ** 2) / 50)
    solid = ((y > 24) & (x > 30)).astype(np.float32)
    color = {"R": glow + 0.5 * solid, "G": 0.5 * glow + 0.4 * solid, "B": 0.1 * glow + 0.3 * solid}
    return {**{name: plane.astype(np.float32) for name, plane in color.items()}, "A": solid}


@pytest.mark.parametrize(
    ("name", "network", "tile"),
    [
        *(("exr", "srvgg", 1024), ("exr", "srvgg", 64)),
        *(slow("tiff", "srvgg", tile) for tile in (1024, 64)),
        *(slow("exr", network, tile) for network in ("grey", "foreign") for tile in (64, 1024)),
    ],
)
def test_light_without_coverage_survives(name: str, network: str, tile: int, tmp_path: Path) -> None:
    planes, path = fire(), tmp_path / f"out.{name}"
    result = upscaled(exr(planes), path, network, tile=tile, name=name)
    pixels = seen(path) if name == "tiff" else np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT))
    light = np.dstack([planes[channel] for channel in "RGB"])
    means = pixels.reshape(HEIGHT, SCALE, WIDTH, SCALE, 4).mean((1, 3))
    np.testing.assert_allclose(means[:24, :28, :3], light[:24, :28], rtol=0.08, atol=0.02)
    assert abs(pixels[..., :3].mean() / light.mean() - 1) < 0.02
    assert (pixels[..., 3][flat(planes["A"], 0)] == 0).all()
    assert told(result) == ()
    again = luxscaler.read(path).as_light()
    np.testing.assert_allclose(again.rgb, pixels[..., :3], rtol=1e-6)


def test_light_that_a_format_cannot_hold_is_named(tmp_path: Path) -> None:
    result = upscaled(exr(fire()), tmp_path / "out.png", name="png")
    uncovered, above_white = told(result)
    assert uncovered == "png holds no light where alpha is 0: it is left out; choose tiff or exr"
    assert above_white.startswith("png shows SDR: light above white, ")
    assert (seen(tmp_path / "out.png")[..., 3][flat(fire()["A"], 0)] == 0).all()


def test_the_tile_of_a_fire_without_fire_goes_its_masters_way(tmp_path: Path) -> None:
    """A file of ours says that its colour is light, so that all tiles of a master are taken for the same."""
    picture = luxscaler.read(exr(fire()))
    part = picture.region(28, 40, 34, 48)
    luxscaler.write(tmp_path / "part.exr", part)
    again = luxscaler.read(tmp_path / "part.exr")
    assert again.source.has_light_apart
    np.testing.assert_array_equal(again.as_light().rgb, part.as_light().rgb)


def test_an_ordinary_cutout_is_straight_inside(tmp_path: Path) -> None:
    color = np.full((8, 8), 0.25, np.float32)
    alpha = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    picture = luxscaler.read(exr({**dict.fromkeys("RGB", color * alpha), "A": alpha}))
    assert not picture.source.has_light_apart
    np.testing.assert_allclose(picture.rgb[alpha > 0], 0.25, rtol=1e-5)


@pytest.mark.parametrize("name", [slow(name) for name in FORMATS])
def test_light_above_white_is_kept_where_the_format_can(name: str, tmp_path: Path) -> None:
    """A lamp of 3 × SDR white in a grey room, in every format by its own measure."""
    room = np.full((HEIGHT, WIDTH, 3), 0.18, np.float32)
    room[10:20, 10:20] = 3.0
    path = tmp_path / f"out{suffix_of(name)}"
    upscaled(
        exr(dict(zip("RGB", np.moveaxis(room, 2, 0), strict=True))), path, name=name, export=ExportOptions()
    )
    again = luxscaler.read(path).rgb
    lamp, wall = again[24:36, 24:36].mean(), again[60:, 60:].mean()
    assert wall == pytest.approx(0.18, rel=0.03)
    assert lamp == pytest.approx(3.0 if name not in ("webp", "png", "tiff16") else 1.0, rel=0.05)
