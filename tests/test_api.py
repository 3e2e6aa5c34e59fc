"""The Python API: the names are pinned, importing costs nothing, bad values are one clear line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its documentation uses
import pytest
import torch
from PIL import Image

import luxscaler
from luxscaler import errors
from tests.conftest import ROOT
from tests.support.gain_map_files import iso, joined_jpeg, jpeg


def test_the_public_names() -> None:
    assert sorted(luxscaler.__all__) == [
        "BackendOptions",
        "DecodeLimits",
        "ExportOptions",
        "Model",
        "Outcome",
        "Picture",
        "Preview",
        "Progress",
        "Result",
        "TileBox",
        "UpscalerOptions",
        "__version__",
        "errors",
        "expand",
        "load_model",
        "preview",
        "read",
        "upscale",
        "upscale_many",
        "write",
    ]
    assert dir(luxscaler) == sorted(luxscaler.__all__)
    assert all(getattr(luxscaler, name) is not None for name in luxscaler.__all__)
    assert (ROOT / "luxscaler" / "py.typed").is_file()


def test_an_unknown_name_is_the_usual_error() -> None:
    with pytest.raises(AttributeError, match="module 'luxscaler' has no attribute 'upscael'"):
        getattr(luxscaler, "upscael")  # noqa: B009 - the attribute does not exist for the type checker


def test_importing_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, luxscaler; assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_read_gives_the_hdr_or_the_sdr_picture_of_a_gain_map(tmp_path: Path) -> None:
    white = np.full((16, 16, 3), 255, np.uint8)
    data = joined_jpeg(jpeg(white), jpeg(white), iso_data=iso())
    assert luxscaler.read(data).rgb.max() == pytest.approx(4.047, abs=1e-3)
    assert luxscaler.read(data, sdr=True).rgb.max() == pytest.approx(1.0)


def _ramp() -> luxscaler.Picture:
    grey = np.linspace(0.0, 1.0, 64, dtype=np.float32)
    return luxscaler.Picture(np.repeat(np.tile(grey, (32, 1))[..., None], 3, axis=2))


def test_expand_lifts_the_highlights_and_nothing_else() -> None:
    before = _ramp()
    after = luxscaler.expand(before, boost=4.0)
    assert 1.05 < after.rgb.max() <= 4.0
    np.testing.assert_array_equal(after.rgb[before.rgb < 0.05], before.rgb[before.rgb < 0.05])
    assert (np.diff(after.rgb[0, :, 0]) >= 0).all()
    assert after.source.estimated_range
    same = luxscaler.expand(before, boost=1.0)
    np.testing.assert_array_equal(same.rgb, before.rgb)
    assert not same.source.estimated_range


def test_what_was_expanded_says_so_in_its_file(tmp_path: Path) -> None:
    for boost, words in ((4.0, True), (1.0, False)):
        luxscaler.write(tmp_path / "a.exr", luxscaler.expand(_ramp(), boost=boost))
        pixels = oiio.ImageBuf(str(tmp_path / "a.exr"))
        assert ("estimated" in str(pixels.spec().getattribute("ImageDescription"))) == words


def test_read_gives_what_write_wrote(tmp_path: Path) -> None:
    picture = _ramp()
    luxscaler.write(tmp_path / "a.exr", picture)
    again = luxscaler.read(tmp_path / "a.exr")
    np.testing.assert_array_equal(again.rgb, picture.rgb)
    assert again.source.format == "exr"


def test_pictures_come_from_arrays_and_pillow_and_go_back() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    picture = luxscaler.Picture.from_array(codes)
    assert (picture.width, picture.height, picture.has_alpha) == (7, 5, True)
    np.testing.assert_array_equal(np.asarray(picture.to_pil()), codes)
    again = luxscaler.Picture.from_pil(Image.fromarray(codes))
    np.testing.assert_array_equal(again.rgb, picture.rgb)
    with pytest.raises(errors.PictureError, match="finite"):
        luxscaler.Picture.from_array(np.full((2, 2), np.nan))


def test_bad_values_are_one_line_of_ours(tmp_path: Path) -> None:
    for call, words in (
        (lambda: luxscaler.read(tmp_path / "absent.png"), "absent.png does not exist"),
        (lambda: luxscaler.write(tmp_path / "a.bmp", _ramp()), "no suffix of a known format"),
        (lambda: luxscaler.expand(_ramp(), boost=50.0), "hdr_boost is 50.0"),
        (lambda: luxscaler.load_model("nope"), "no weights called 'nope'"),
        (lambda: luxscaler.upscale(b"", tmp_path / "a.exr", scale=9.0), "scale is 9.0"),
        (lambda: luxscaler.upscale(b"", tmp_path / "a.exr", backend="cloud"), "backend is 'cloud'"),
        (lambda: luxscaler.upscale(b"", tmp_path / "a.exr", jobs=0), "jobs is 0"),
        (
            lambda: luxscaler.upscale(_ramp(), tmp_path / "a.exr", self_reference=False),
            "'photo' is none",
        ),
    ):
        with pytest.raises(errors.LuxScalerError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_model_says_what_it_is_and_upscales(real_weights: Path) -> None:
    model = luxscaler.load_model("fast", device="cpu")
    assert (model.name, model.scale, model.device.type, model.dtype) == ("fast", 4, "cpu", torch.float32)
    seen: list[tuple[int, int]] = []
    big = model.upscale(_ramp(), scale=2.5, progress=lambda done, total: seen.append((done, total)))
    assert (big.width, big.height) == (160, 80)
    assert seen[-1][0] == seen[-1][1]
    assert np.abs(big.rgb.mean() - _ramp().rgb.mean()) < 0.01
