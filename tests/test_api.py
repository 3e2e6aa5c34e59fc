"""The Python API: the names are pinned, importing costs nothing, bad values are one clear line."""

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its documentation uses
import pytest
import torch
from PIL import Image

import luxscaler
from luxscaler import errors
from tests.conftest import ROOT
from tests.support.gain_map_files import iso, joined_jpeg, jpeg

_PICTURE = luxscaler.Picture(np.zeros((3, 5, 3), np.float32))


def test_the_public_names() -> None:
    assert sorted(luxscaler.__all__) == [
        "BackendOptions",
        "DecodeLimits",
        "ExportOptions",
        "FinalSize",
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


_ARRAY = np.zeros((4, 4, 3))
_NAN = luxscaler.Picture(np.full((3, 5, 3), np.nan, np.float32))
_BAD: dict[str, tuple[Callable[[Any], object], str]] = {
    "array": (lambda api: api.upscale(_ARRAY, "a.png"), "source is of the type numpy.ndarray.*from_array"),
    "image": (lambda api: api.upscale(Image.new("RGB", (4, 4)), "a.png"), "PIL.Image.*Picture.from_pil"),
    "tensor": (lambda api: api.preview(torch.zeros(3, 4, 4), 4), "torch.Tensor.*height × width × channels"),
    "nothing": (
        lambda api: api.upscale(None, "a.png"),
        "NoneType; it must be a path, the bytes of a f",
    ),
    "file": (lambda api: api.read(io.BytesIO(b"")), r"_io.BytesIO; .*: give its bytes, file.read\(\)"),
    "read": (lambda api: api.read(_PICTURE), "a Picture, which needs no reading"),
    "pixels": (lambda api: api.read("a.png", max_pixels="9"), "max_pixels is '9'; it must be a whole number"),
    "limits": (lambda api: api.read("a.png", limits=3), "limits is 3; it must be a DecodeLimits or None"),
    "seconds": (lambda api: api.DecodeLimits(seconds=None), "seconds is None; it must be a number"),
    "written": (
        lambda api: api.write("a.png", _PICTURE.rgb),
        "numpy.ndarray; it must be a Picture: give",
    ),
    "target": (lambda api: api.write(None, _PICTURE), "target is None; it must be text or a path"),
    "bytes": (lambda api: api.upscale(_PICTURE, b"a.png"), "target is b'a.png'; it must be text or a path"),
    "expand": (lambda api: api.expand("a.png", 4), r"str; it must be a Picture: give luxscaler.read\(file\)"),
    "like": (lambda api: api.expand(_PICTURE, 4, like=_ARRAY), "like is of the type numpy.ndarray"),
    "mask": (lambda api: api.expand(_PICTURE, 4, boost_mask="m.png"), "boost_mask is of the type str"),
    "nan": (lambda api: api.preview(_NAN, 4), "source has NaN or infinite values"),
    "nan expanded": (lambda api: api.expand(_NAN, 4), "picture has NaN or infinite values"),
    "alpha": (
        lambda api: api.upscale(api.Picture(_PICTURE.rgb, np.full((3, 5), 2, np.float32)), "a.png"),
        "source has alpha from 2 to 2; it must be 0 to 1",
    ),
    "list": (lambda api: api.Picture([[[1.0]]]), "rgb must be a NumPy array, got list: Picture.from_array"),
    "box": (
        lambda api: api.preview(_PICTURE, 4, reference=_PICTURE, tile_box=(0, 0, 1, 1)),
        r"tile_box is \(0, 0, 1, 1\); it must be a TileBox",
    ),
    "size": (
        lambda api: api.upscale(_PICTURE, "a.png", size={"width": 9}),
        "size is .*; it must be a Final",
    ),
    "width": (lambda api: api.FinalSize(width="9"), "width is '9'; it must be a whole number"),
    "scale": (lambda api: api.upscale(_PICTURE, "a.png", scale="4"), "scale is '4'; it must be a number"),
    "bool": (lambda api: api.upscale(_PICTURE, "a.png", scale=True), "scale is True; it must be a number"),
    "boost": (lambda api: api.expand(_PICTURE, None), "hdr_boost is None; it must be a number"),
    "tile": (
        lambda api: api.upscale(_PICTURE, "a.png", tile=64.5),
        "tile is 64.5; it must be a whole",
    ),
    "part": (lambda api: api.read("a.exr", part="1"), "part is '1'; it must be a whole number or None"),
    "model": (lambda api: api.load_model(None), "name is None; it must be text or a path"),
    "export": (
        lambda api: api.write("a.png", _PICTURE, export_options={}),
        "is {}; it must be an Export",
    ),
    "backend": (lambda api: api.upscale(_PICTURE, "a.png", backend=3), "backend is of the type int"),
    "addresses": (lambda api: api.BackendOptions("cog", cog_urls="http://a"), "must be a tuple or a list"),
    "attempts": (lambda api: api.upscale(_PICTURE, "a.png", model="fast", attempts="3"), "attempts is '3'"),
    "stop": (
        lambda api: api.upscale(_PICTURE, "a.png", model="fast", stop=True),
        "stop is True; it must",
    ),
    "progress": (lambda api: api.upscale(_PICTURE, "a.png", model="fast", progress=None), "be a function"),
    "many": (
        lambda api: api.upscale_many([_PICTURE], "{stem}.png"),
        "a source is Picture.*must be text",
    ),
    "ragged": (
        lambda api: api.Picture.from_array([[1], [1, 2]]),
        "of the type list, which NumPy cannot read",
    ),
    "bf16": (
        lambda api: api.Picture.from_array(torch.zeros(4, 5, 3, dtype=torch.bfloat16)),
        "of the type torch.Tensor, which NumPy cannot read: .*BFloat16",
    ),
    "no image": (lambda api: api.Picture.from_pil("a.png"), "type str; it must be a Pillow image"),
}


@pytest.mark.parametrize(("call", "words"), _BAD.values(), ids=_BAD.keys())
def test_a_value_of_another_type_is_one_line_that_says_what_to_give(
    call: Callable[[Any], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.InputError, match=words) as caught:
        call(luxscaler)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_options_of_a_file_of_another_type_are_an_export_error() -> None:
    with pytest.raises(errors.ExportError, match="webp_quality is '9'; it must be a whole number"):
        luxscaler.ExportOptions(webp_quality="9")  # type: ignore[arg-type]
    with pytest.raises(errors.ExportError, match="NaN or infinite"):
        _NAN.to_pil()


def test_flipped_reversed_and_read_only_arrays_are_pictures_like_others() -> None:
    rgb = np.random.default_rng(1).uniform(0, 2, (6, 9, 3)).astype(np.float32)
    want = luxscaler.expand(luxscaler.Picture(rgb[::-1, ::-1].copy()), 4).rgb
    assert np.array_equal(luxscaler.expand(luxscaler.Picture(rgb[::-1, ::-1]), 4).rgb, want)
    apart = np.asfortranarray(rgb[::-1, ::-1])
    apart.flags.writeable = False
    assert np.array_equal(luxscaler.expand(luxscaler.Picture(apart), 4).rgb, want)
    lists = rgb.tolist()
    assert np.array_equal(luxscaler.Picture.from_array(np.array(lists)).rgb, rgb)
    assert np.array_equal(luxscaler.Picture.from_array(lists).rgb, rgb)


def test_one_name_is_one_picture_and_not_its_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("absent.png", Path("absent.png")):
        outcomes = luxscaler.upscale_many(name, "{stem}_x{scale}.png", model="fast")
        assert [str(outcome.error) for outcome in outcomes] == ["absent.png does not exist"]


def test_a_misspelt_option_of_many_pictures_is_told_before_any_work() -> None:
    with pytest.raises(TypeError, match=r"upscale_many\(\) got an unexpected keyword argument 'fractalty'"):
        luxscaler.upscale_many("a.png", "{stem}.png", fractalty=1.2)


def test_a_picture_is_shown_in_a_line() -> None:
    assert repr(_PICTURE) == "Picture(5 × 3, array, linear Rec.709)"


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


def test_write_says_what_a_format_cannot_hold(tmp_path: Path) -> None:
    lamp = luxscaler.Picture(np.full((4, 4, 3), 6, np.float32), None, replace(_ramp().source, exif=b"Exif"))
    (light,) = luxscaler.write(tmp_path / "a.png", replace(lamp, source=_ramp().source))
    assert light.startswith("png shows SDR: light above white, up to 6, is rolled off; ")
    assert "exr" in light
    assert luxscaler.write(tmp_path / "a.exr", replace(lamp, source=_ramp().source)) == ()
    assert any("EXIF is left out" in said for said in luxscaler.write(tmp_path / "b.exr", lamp))


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
