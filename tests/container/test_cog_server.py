"""The container as a client sees it: the real Cog server, real weights, pictures by URL, other readers."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its documentation uses
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import SAMPLE
from tests.support.cog_server import CogServer, cog_server, output_file
from tests.support.file_server import Files, file_server
from tests.support.picture_files import chunk, pillow, raw_png

pytestmark = pytest.mark.slow

WIDTH, HEIGHT = 64, 48
LEFT, TOP = 192, 144
"""Where the test tile sits in the sample tile, which sits at (120, 235) in the 640 × 427 master."""
BOX = ((120 + LEFT) / 640, (235 + TOP) / 427, WIDTH / 640, HEIGHT / 427)
SETTINGS = {"hdr_boost": 1.5, "fractality": 1.2}
STAGES = {"decode", "network", "reference", "expand", "export"}


@pytest.fixture(scope="module")
def files() -> Iterator[Files]:
    with file_server() as server:
        server.add("master.jpg", (SAMPLE / "master.jpg").read_bytes())
        with Image.open(SAMPLE / "tile.png") as tile:
            server.add(
                "tile.png", pillow(tile.convert("RGB").crop((LEFT, TOP, LEFT + WIDTH, TOP + HEIGHT)), "PNG")
            )
        yield server


@pytest.fixture(scope="module")
def server(real_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    with cog_server(tmp_path_factory.mktemp("cog"), LUXSCALER_WEIGHTS=str(real_weights)) as running:
        assert running.is_ready()
        yield running


@pytest.fixture(scope="module")
def guide(server: CogServer, files: Files) -> dict[str, dict[str, Any]]:
    """The guide's payload, answered in each of the four formats."""
    payload = {
        "tile_input": files.base + "tile.png",
        "global_reference": files.base + "master.jpg",
        **SETTINGS,
    }
    return {name: server.predict(**payload, output_format=name) for name in ("exr", "tiff", "png", "webp")}


def _opened(reply: Mapping[str, Any], path: Path) -> tuple[NDArray[Any], Any]:
    """(pixels, spec) by OpenImageIO."""
    path.write_bytes(output_file(reply))
    picture = oiio.ImageInput.open(str(path))
    assert picture, oiio.geterror()
    with_spec = np.asarray(picture.read_image("unknown")), picture.spec()
    picture.close()
    return with_spec


def test_exr_of_the_guides_payload(guide: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    pixels, spec = _opened(guide["exr"], tmp_path / "a.exr")
    assert pixels.shape == (4 * HEIGHT, 4 * WIDTH, 3)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert pixels.max() == pytest.approx(guide["exr"]["metrics"]["output"]["peak"])
    named = {item.name: item.value for item in spec.extra_attribs}
    rec709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
    assert named["chromaticities"] == pytest.approx(rec709, abs=1e-6)
    assert named["whiteLuminance"] == 203.0
    assert "lin_rec709_scene" in (named.get("colorInteropID"), named.get("oiio:ColorSpace"))
    assert str(named["software"]).startswith("LuxScaler ")
    assert "estimated" in str(named["ImageDescription"])  # what OpenImageIO calls EXR's "comments"
    assert named["luxscaler:hdr_boost"] == pytest.approx(1.5)
    assert named["luxscaler:fractality"] == pytest.approx(1.2)
    assert named["luxscaler:model"] == "photo"
    assert named["luxscaler:scale"] == 4.0


def test_tiff_of_the_guides_payload_holds_the_values_of_the_exr(
    guide: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    pixels, spec = _opened(guide["tiff"], tmp_path / "a.tiff")
    assert pixels.dtype == np.float32
    assert spec.getattribute("ICCProfile") is not None
    assert json.loads(spec.getattribute("ImageDescription"))["luxscaler"]["hdr_boost"] == 1.5
    np.testing.assert_array_equal(pixels, _opened(guide["exr"], tmp_path / "a.exr")[0])


def test_png_of_the_guides_payload(guide: dict[str, dict[str, Any]]) -> None:
    file = output_file(guide["png"])
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (4 * HEIGHT, 4 * WIDTH, 3)
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels)) > 256
    assert chunk(b"cICP", b"\x01\x0d\x00\x01") in file


def test_webp_of_the_guides_payload_shows_the_picture(guide: dict[str, dict[str, Any]], files: Files) -> None:
    with Image.open(BytesIO(output_file(guide["webp"]))) as picture:
        assert picture.format == "WEBP"
        assert picture.size == (4 * WIDTH, 4 * HEIGHT)
        shown = picture.convert("L").resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    with Image.open(BytesIO(files.held["tile.png"])) as source:
        both = np.stack([np.asarray(shown, np.float64), np.asarray(source.convert("L"), np.float64)])
    assert np.corrcoef(both[0].ravel(), both[1].ravel()).min() > 0.98
    assert abs(both[0].mean() - both[1].mean()) < 5


@pytest.mark.parametrize("name", ["exr", "tiff", "png", "webp"])
def test_metrics_say_seconds_by_stage_and_what_came_out(guide: dict[str, dict[str, Any]], name: str) -> None:
    metrics = guide[name]["metrics"]
    assert set(metrics["timing"]) >= STAGES
    assert all(0 <= seconds <= metrics["predict_time"] for seconds in metrics["timing"].values())
    assert (metrics["output"]["width"], metrics["output"]["height"]) == (4 * WIDTH, 4 * HEIGHT)
    assert metrics["output"]["peak"] > 0


def test_the_log_says_where_the_tile_was_found(guide: dict[str, dict[str, Any]]) -> None:
    found = re.search(r"found .* tile_box ([\d.,]+)", guide["exr"]["logs"])
    assert found
    assert [float(part) for part in found[1].split(",")] == pytest.approx(BOX, abs=0.003)


@pytest.mark.parametrize(
    ("model", "scale"), [("fast", 4), ("fast", 2.5), ("anime", 4), ("fast", 1), ("fast", 8)]
)
def test_models_and_scales(server: CogServer, files: Files, model: str, scale: float) -> None:
    tile = files.base + "tile.png"
    file = server.file(tile_input=tile, model=model, scale=scale, output_format="png")
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape[:2] == (round(scale * HEIGHT), round(scale * WIDTH))


def test_a_whole_picture_gets_its_size_profile_and_wrap(server: CogServer, files: Files) -> None:
    inputs = {"profile": "display-p3", "wrap": "x", "long_edge": 100, "output_format": "png"}
    file = server.file(tile_input=files.base + "tile.png", model="fast", **inputs)
    with Image.open(BytesIO(file)) as picture:
        assert picture.size == (100, 75)
        assert "Display P3".encode("utf-16-be") in picture.info["icc_profile"]


def test_a_data_url_gives_what_the_http_url_gives(server: CogServer, files: Files) -> None:
    inputs = {"model": "fast", "output_format": "exr"}
    data = "data:image/png;base64," + base64.b64encode(files.held["tile.png"]).decode()
    by_url = server.file(tile_input=files.base + "tile.png", **inputs)
    assert server.file(tile_input=data, **inputs) == by_url


def test_the_place_of_the_tile_can_be_given(server: CogServer, files: Files) -> None:
    box = ",".join(map(str, BOX))
    reply = server.predict(
        tile_input=files.base + "tile.png",
        global_reference=files.base + "master.jpg",
        tile_box=box,
        model="fast",
    )
    assert reply["status"] == "succeeded"
    assert reply["logs"] == ""


@dataclass(frozen=True)
class Bad:
    """Inputs that must fail, beside those that would do, and the texts their error must hold."""

    inputs: dict[str, object]
    texts: tuple[str, ...]
    file: tuple[str, bytes] | None = None
    """Name of the input that is a file, and its bytes."""
    left_out: tuple[str, ...] = field(default=())


def _noise_jpeg() -> bytes:
    noise = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
    return pillow(noise, "JPEG", quality=95)


HUGE_PNG = raw_png(100_000, 100_000, 8, 2, b"")
HTML = b"<!DOCTYPE html><html><body>Not found</body></html>"
BAD = {
    "empty file": Bad({}, ("tile_input", "empty"), ("tile_input", b"")),
    "HTML": Bad({}, ("tile_input", "HTML"), ("tile_input", HTML)),
    "truncated JPEG": Bad({}, ("tile_input",), ("tile_input", _noise_jpeg()[:1500])),
    "truncated PNG": Bad({}, ("tile_input",), ("tile_input", raw_png(64, 48, 8, 2, bytes(48 * 193))[:60])),
    "PNG that claims 100,000²": Bad(
        {}, ("tile_input", "10,000,000,000", "150,000,000"), ("tile_input", HUGE_PNG)
    ),
    "reference no picture": Bad({}, ("global_reference", "HTML"), ("global_reference", HTML)),
    "reference too large": Bad({}, ("global_reference", "10,000,000,000"), ("global_reference", HUGE_PNG)),
    "WebP too wide": Bad(
        {"scale": 8},
        ("16800", "16383", "png, tiff or exr"),
        ("tile_input", raw_png(2100, 1, 8, 0, bytes(2101))),
    ),
    "no tile": Bad({}, ("tile_input is missing",), left_out=("tile_input",)),
    "null tile": Bad({"tile_input": None}, ("tile_input is missing",)),
    "number as tile": Bad({"tile_input": 5}, ("tile_input is 5",)),
    "absent path": Bad({"tile_input": "/nowhere/x.png"}, ("tile_input: '/nowhere/x.png' is no http",)),
    "path": Bad({"tile_input": "/etc/passwd"}, ("tile_input: '/etc/passwd' is no http",)),
    "process": Bad({"tile_input": "/proc/self/environ"}, ("tile_input: '/proc/self/environ' is no http",)),
    "file URL": Bad({"tile_input": "file:///etc/passwd"}, ("tile_input: 'file:///etc/passwd' is no http",)),
    "home": Bad({"tile_input": "~/.profile"}, ("tile_input: '~/.profile' is no http",)),
    "relative path": Bad({"tile_input": "predict.py"}, ("tile_input: 'predict.py' is no http",)),
    "reference path": Bad({"global_reference": "/etc/passwd"}, ("global_reference: '/etc/passwd' is no",)),
    "reference file URL": Bad({"global_reference": "file:///etc/passwd"}, ("global_reference: 'file:",)),
    "endless device": Bad({"tile_input": "/dev/zero"}, ("tile_input: '/dev/zero' is no http",)),
    "private address": Bad(
        {"tile_input": "http://10.0.0.1/x"}, ("tile_input: http://10.0.0.1/x leads to a",)
    ),
    "private reference": Bad(
        {"global_reference": "http://169.254.169.254/latest/"}, ("global_reference: http://169", "link-local")
    ),
    "unknown format": Bad({"output_format": "bmp"}, ("output_format", "'bmp'", "webp, png, tiff, tiff16")),
    "format of a path": Bad({"output_format": "../../x"}, ("output_format", "'../../x'")),
    "hdr_boost 0": Bad({"hdr_boost": 0}, ("hdr_boost is 0", "49")),
    "hdr_boost 1000": Bad({"hdr_boost": 1000}, ("hdr_boost is 1000", "49")),
    "hdr_boost NaN": Bad({"hdr_boost": "NaN"}, ("hdr_boost is 'NaN'",)),
    "hdr_boost text": Bad({"hdr_boost": "abc"}, ("hdr_boost is 'abc'", "number")),
    "hdr_boost null": Bad({"hdr_boost": None}, ("hdr_boost is None", "number")),
    "fractality 3": Bad({"fractality": 3}, ("fractality is 3", "0", "2")),
    "scale 0.5": Bad({"scale": 0.5}, ("scale is 0.5", "1 to 8")),
    "scale 9": Bad({"scale": 9}, ("scale is 9", "1 to 8")),
    "unknown model": Bad({"model": "nope"}, ("model is 'nope'", "photo, anime, fast")),
    "path as model": Bad(
        {"model": "weights/realesr-animevideov3.safetensors"}, ("model is", "photo, anime, fast")
    ),
    "short tile_box": Bad({"tile_box": "0,0,1"}, ("tile_box is '0,0,1'", "x,y,width,height")),
    "words as tile_box": Bad({"tile_box": "a,b,c,d"}, ("tile_box is 'a,b,c,d'",)),
    "NaN in tile_box": Bad({"tile_box": "0,0,nan,1"}, ("tile_box is 0,0,nan,1",)),
    "tile_box outside": Bad({"tile_box": "0.5,0,0.6,1"}, ("tile_box is 0.5,0,0.6,1", "inside")),
    "empty tile_box area": Bad({"tile_box": "0,0,0,1"}, ("tile_box is 0,0,0,1", "sizes above 0")),
    "list as tile_box": Bad({"tile_box": [0, 0, 1, 1]}, ("tile_box is [0, 0, 1, 1]", "text")),
    "profile of floats": Bad({"profile": "ap0", "output_format": "png"}, ("profile is 'ap0'", "exr or tiff")),
    "two sizes": Bad({"width": 90, "megapixels": 1}, ("width and megapixels",)),
    "layer of a PNG": Bad({"layer": "beauty"}, ("layer", "EXR")),
    "tile_box without reference": Bad({"tile_box": "0,0,1,1"}, ("tile_box", "global_reference")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_fails_with_its_own_line_and_the_server_goes_on(
    server: CogServer, files: Files, name: str
) -> None:
    bad = BAD[name]
    inputs: dict[str, object] = {"tile_input": files.base + "tile.png", "model": "fast", **bad.inputs}
    if bad.file is not None:
        inputs[bad.file[0]] = files.add("bad", bad.file[1])
    for absent in bad.left_out:
        del inputs[absent]
    error = server.error(**inputs)
    assert "\n" not in error
    assert "Traceback" not in error
    assert len(error) < 400
    for text in bad.texts:
        assert text in error
    assert server.is_ready()


def test_a_prediction_works_after_bad_ones(server: CogServer, files: Files) -> None:
    tile = files.base + "tile.png"
    before = server.file(tile_input=tile, model="fast", output_format="exr")
    server.error(tile_input=files.add("bad", b""), model="fast")
    server.error(tile_input=files.base + "absent.png", model="fast")
    server.error(tile_input=tile, model="fast", surprise=1)
    assert server.file(tile_input=tile, model="fast", output_format="exr") == before


def test_files_do_not_pile_up(server: CogServer, files: Files) -> None:
    for name in ("exr", "png", "webp"):
        server.file(tile_input=files.base + "tile.png", model="fast", output_format=name)
    assert [path.name for path in server.temporary.glob("luxscaler-*/*")] == ["luxscaler.webp"]


def test_an_upload_url_gets_the_file(real_weights: Path, files: Files, tmp_path: Path) -> None:
    address = files.base + "uploads/"
    with cog_server(tmp_path, "--upload-url", address, LUXSCALER_WEIGHTS=str(real_weights)) as server:
        reply = server.predict(tile_input=files.base + "tile.png", model="fast", output_format="png")
    assert reply["status"] == "succeeded"
    assert reply["output"].startswith(files.base)
    name = reply["output"].removeprefix(files.base)
    with Image.open(BytesIO(files.held[name])) as picture:
        assert picture.size == (4 * WIDTH, 4 * HEIGHT)


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_damaged_weights_of_the_default_model_fail_the_setup(private_weights: Path, tmp_path: Path) -> None:
    _damage(private_weights / "RealESRGAN_x4plus.safetensors")
    with cog_server(tmp_path, LUXSCALER_WEIGHTS=str(private_weights)) as server:
        health = server.get("/health-check")
    assert health["status"] == "SETUP_FAILED"
    assert "RealESRGAN_x4plus.safetensors is not what the catalogue pins: SHA-256" in health["setup"]["logs"]


def test_damaged_weights_of_another_model_fail_only_its_predictions(
    private_weights: Path, files: Files, tmp_path: Path
) -> None:
    _damage(private_weights / "realesr-animevideov3.safetensors")
    tile = files.base + "tile.png"
    with cog_server(tmp_path, LUXSCALER_WEIGHTS=str(private_weights)) as server:
        error = server.error(tile_input=tile, model="fast")
        assert "realesr-animevideov3.safetensors is not what the catalogue pins" in error
        assert "luxscaler weights fetch --force fast" in error
        assert server.is_ready()
        assert server.file(tile_input=tile, model="photo")[8:12] == b"WEBP"
