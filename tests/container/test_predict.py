"""The Cog entry: inputs that a static schema builder can read, one file out, nothing left behind."""

import ast
import asyncio
import inspect
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cog
import numpy as np
import pytest
import torch
from PIL import Image

import hdr_exporter
from luxscaler.cog.data_urls import data_url
from luxscaler.errors import InputError
from luxscaler.geometry import MAX_SCALE, MIN_SCALE
from luxscaler.io.options import EXR_COMPRESSIONS
from luxscaler.io.profiles import PROFILES
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.options import MAX_BOOST, MAX_FRACTALITY, MIN_BOOST, MIN_FRACTALITY
from luxscaler.pipeline.inputs import WRAPS, picture_request
from luxscaler.pipeline.remote import FetchSettings
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.upscaling.model_cache import TRAINED
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.weights.catalogue import load_catalogue
from predict import Predictor
from tests.conftest import ROOT
from tests.support.picture_files import noise, pillow

INPUTS: dict[str, dict[str, Any]] = {
    "tile_input": {},
    "global_reference": {"default": None},
    "tile_box": {"default": ""},
    "output_format": {
        "default": "webp",
        "choices": ["webp", "png", "tiff", "tiff16", "exr", "png-pq", "avif", "jxl", "jpg"],
    },
    "hdr_boost": {"default": 1.0, "ge": 1.0, "le": 49.0},
    "fractality": {"default": 1.0, "ge": 0.0, "le": 2.0},
    "scale": {"default": 4.0, "ge": 1.0, "le": 8.0},
    "model": {"default": "photo", "choices": ["photo", "anime", "fast", "trained"]},
    "sdr": {"default": False},
    "exr_type": {"default": "float", "choices": ["float", "half"]},
    "exr_compression": {"default": "auto", "choices": list(EXR_COMPRESSIONS)},
    "profile": {"default": "srgb", "choices": list(PROFILES)},
    "layer": {"default": ""},
    "part": {"default": 0, "ge": 0},
    "wrap": {"default": "none", "choices": list(WRAPS)},
    "width": {"default": 0, "ge": 0},
    "height": {"default": 0, "ge": 0},
    "long_edge": {"default": 0, "ge": 0},
    "megapixels": {"default": 0.0, "ge": 0.0},
}
"""The inputs of DESIGN.md and those that came later, without their descriptions."""
EXPORT_INPUTS = ("exr_type", "exr_compression", "profile")


def _predict_in_source() -> ast.AsyncFunctionDef:
    tree = ast.parse((ROOT / "predict.py").read_text(encoding="utf-8"))
    predictor = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Predictor"
    )
    return next(
        node for node in predictor.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "predict"
    )


def _inputs_in_source() -> dict[str, dict[str, Any]]:
    """What Cog's builder sees: literal arguments of Input by the name of the parameter."""
    arguments = _predict_in_source().args
    assert (arguments.vararg, arguments.kwarg, arguments.kwonlyargs) == (None, None, [])
    found = {}
    for parameter, default in zip(arguments.args[1:], arguments.defaults, strict=True):
        assert isinstance(default, ast.Call), parameter.arg
        assert isinstance(default.func, ast.Name), parameter.arg
        assert default.func.id == "Input"
        assert not default.args
        # literal_eval raises ValueError for anything but a literal.
        found[parameter.arg] = {str(word.arg): ast.literal_eval(word.value) for word in default.keywords}
    return found


def test_the_inputs_are_literals_and_those_of_the_design() -> None:
    found = _inputs_in_source()
    assert all(words.pop("description") for words in found.values())
    assert found == INPUTS
    assert list(found) == list(INPUTS)


def test_the_annotations_are_ones_that_the_schema_builder_knows() -> None:
    function = _predict_in_source()
    annotations = {p.arg: ast.unparse(p.annotation) for p in function.args.args[1:] if p.annotation}
    assert annotations == {
        "tile_input": "Path",
        "global_reference": "Optional[Path]",
        "tile_box": "str",
        "output_format": "str",
        "hdr_boost": "float",
        "fractality": "float",
        "scale": "float",
        "model": "str",
        "sdr": "bool",
        "exr_type": "str",
        "exr_compression": "str",
        "profile": "str",
        "layer": "str",
        "part": "int",
        "wrap": "str",
        "width": "int",
        "height": "int",
        "long_edge": "int",
        "megapixels": "float",
    }
    assert function.returns is not None
    assert ast.unparse(function.returns) == "Path"


def test_the_limits_of_the_inputs_are_those_of_the_stages() -> None:
    assert tuple(INPUTS["output_format"]["choices"]) == hdr_exporter.FORMATS
    assert (INPUTS["hdr_boost"]["ge"], INPUTS["hdr_boost"]["le"]) == (MIN_BOOST, MAX_BOOST)
    assert (INPUTS["fractality"]["ge"], INPUTS["fractality"]["le"]) == (MIN_FRACTALITY, MAX_FRACTALITY)
    assert (INPUTS["scale"]["ge"], INPUTS["scale"]["le"]) == (MIN_SCALE, MAX_SCALE)
    assert INPUTS["model"]["choices"] == [*(entry.name for entry in load_catalogue()), TRAINED]


def test_the_defaults_are_the_same_everywhere() -> None:
    loose = inspect.signature(picture_request).parameters
    request = UpscaleRequest(b"")
    for name, words in INPUTS.items():
        if name in ("tile_input", "global_reference"):
            continue
        assert loose[name].default == words["default"], name
        holder = request.export if name in EXPORT_INPUTS else request
        assert getattr(holder, name, words["default"]) == words["default"] or name == "wrap", name
    assert picture_request(b"") == request


def test_cog_yaml_names_the_predictor_and_pins_the_sdk() -> None:
    lines = [line.strip() for line in (ROOT / "cog.yaml").read_text(encoding="utf-8").splitlines()]
    assert 'predict: "predict.py:Predictor"' in lines
    assert 'image: "r8.im/josfer/luxscaler-v32"' in lines
    assert "python_requirements: requirements.lock" in lines
    pinned = next(line for line in lines if line.startswith("sdk_version:")).split('"')[1]
    assert f"cog=={pinned}" in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


@pytest.fixture
def predictor(tiny_network: RRDBNet, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """A predictor around the tiny network, set up as setup() does it; it knows any model."""
    upscaler = Upscaler(tiny_network)
    monkeypatch.setattr("predict.Models", lambda **_: lambda name: upscaler)
    monkeypatch.delenv("COG_MAX_CONCURRENCY", raising=False)
    made = Predictor()
    made.setup()
    return made


@pytest.fixture(scope="module")
def tile() -> str:
    return data_url("image/png", pillow(noise(12, 16), "PNG"))


def _predict(predictor: Predictor, tile: object, **others: object) -> Path:
    """predict() with its defaults, as Cog fills them in."""
    inputs: dict[str, Any] = {
        name: words["default"] for name, words in INPUTS.items() if name != "tile_input"
    }
    return Path(asyncio.run(predictor.predict(**{**inputs, "tile_input": tile, **others})))


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", hdr_exporter.FORMATS)
def test_the_file_has_the_suffix_of_its_format(predictor: Predictor, tile: str, name: str) -> None:
    path = _predict(predictor, tile, output_format=name)
    assert path.is_file()
    assert path.name == f"luxscaler.{name.removesuffix('-pq').removesuffix('16')}"


def test_the_file_of_the_prediction_before_is_removed(predictor: Predictor, tile: str) -> None:
    first = _predict(predictor, tile)
    second = _predict(predictor, tile, output_format="exr")
    assert second.is_file()
    assert not first.exists()
    assert not first.parent.exists()


def test_a_failed_prediction_leaves_no_file_and_the_next_one_works(
    predictor: Predictor, tile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(InputError, match="hdr_boost is 0"):
        _predict(predictor, tile, hdr_boost=0)
    with pytest.raises(InputError, match=r"tile_input is Path\(.*must be an http, https or data URL"):
        _predict(predictor, cog.Path(tmp_path / "absent.png"))
    with pytest.raises(InputError, match="global_reference: the file is not a picture"):
        _predict(predictor, tile, global_reference="data:,x")
    assert list((tmp_path / "temporary").iterdir()) == []
    assert _predict(predictor, tile).is_file()


def test_metrics_and_notices(
    predictor: Predictor, tile: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics: dict[str, object] = {}
    monkeypatch.setattr(predictor, "record_metric", metrics.__setitem__)
    flat = data_url("image/png", pillow(np.full((32, 32, 3), 128, np.uint8), "PNG"))
    _predict(predictor, tile, global_reference=flat, scale=3)
    stages = ("wait", "fetch", "decode", "network", "detail", "reference", "expand", "transfer", "export")
    assert set(metrics) == {f"timing.{stage}" for stage in stages} | {
        "output.width",
        "output.height",
        "output.peak",
    }
    assert (metrics["output.width"], metrics["output.height"]) == (48, 36)
    assert "ambiguous" in capsys.readouterr().out


def test_a_whole_picture_has_a_size_and_a_profile_of_its_own(predictor: Predictor, tile: str) -> None:
    path = _predict(predictor, tile, output_format="png", width=40, profile="display-p3", wrap="x")
    with Image.open(path) as picture:
        assert picture.size == (40, 30)
        assert "Display P3".encode("utf-16-be") in picture.info["icc_profile"]


def test_setup_loads_the_default_model(monkeypatch: pytest.MonkeyPatch, tiny_network: RRDBNet) -> None:
    loaded: list[str] = []
    upscaler = Upscaler(tiny_network)

    def models(name: str) -> Upscaler:
        loaded.append(name)
        return upscaler

    monkeypatch.setattr("predict.Models", lambda **_: models)
    Predictor().setup()
    assert loaded == ["photo"]


@pytest.mark.parametrize(("device", "overlaps"), [("cpu", False), ("cuda", True)])
def test_tiles_overlap_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch, device: str, overlaps: bool) -> None:
    made: dict[str, object] = {}
    upscaler = SimpleNamespace(device=torch.device(device))
    monkeypatch.setattr("predict.Models", lambda **_: lambda name: upscaler)
    monkeypatch.setattr("predict.TileServer", lambda _models, **words: made.update(words))
    monkeypatch.setenv("COG_MAX_CONCURRENCY", "2")
    monkeypatch.setenv("PORT", "5123")
    Predictor().setup()
    assert made.pop("closing").port == 5123  # type: ignore[attr-defined]
    assert made == {"overlap": overlaps, "slots": 2, "fetching": FetchSettings()}


def test_a_running_server_sees_text_where_the_builder_sees_files() -> None:
    annotations = Predictor.predict.__annotations__
    assert annotations["tile_input"] is str
    assert annotations["global_reference"] == str | None
    assert annotations["return"] is cog.Path


def test_the_environment_says_where_pictures_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predict.Models", lambda: lambda name: SimpleNamespace(device=torch.device("cpu")))
    monkeypatch.setenv("LUXSCALER_FETCH_ALLOW", "here")
    with pytest.raises(InputError, match="LUXSCALER_FETCH_ALLOW is 'here'; it must be networks"):
        Predictor().setup()
