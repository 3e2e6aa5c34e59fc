"""The inputs of a master: one list, the container's, at every place and on the page."""

import ast
import signal
from pathlib import Path
from typing import Any

import OpenEXR
import pytest
from PIL import Image

from luxscaler.console.local import upscaling
from luxscaler.console.master_inputs import FORMATS, MASTER_INPUTS, offered
from luxscaler.io.options import EXR_COMPRESSIONS, EXR_TYPES
from luxscaler.io.write import FORMATS as WRITTEN
from tests.conftest import ROOT
from tests.support.console_server import ConsoleServer, console_server
from tests.support.fake_cog import fake_cog
from tests.support.replicate_account import Account

PICTURES = ("tile_input", "global_reference", "tile_box")
"""Inputs of the container that the console or a tile gives."""
EXR = {"output_format": "exr", "exr_type": "half", "exr_compression": "dwaa"}


def _container_inputs() -> dict[str, list[Any]]:
    """Names of predict.py's inputs, with their choices, if they have some."""
    tree = ast.parse((ROOT / "predict.py").read_text(encoding="utf-8"))
    predict = next(each for each in ast.walk(tree) if getattr(each, "name", "") == "predict")
    assert isinstance(predict, ast.AsyncFunctionDef)
    found = {}
    for argument, default in zip(predict.args.args[1:], predict.args.defaults, strict=True):
        assert isinstance(default, ast.Call)
        keywords = {each.arg: each.value for each in default.keywords}
        found[argument.arg] = ast.literal_eval(keywords["choices"]) if "choices" in keywords else []
    return {name: choices for name, choices in found.items() if name not in PICTURES}


def test_they_are_those_of_the_container() -> None:
    assert set(MASTER_INPUTS) == set(_container_inputs())


def test_what_is_offered_is_all_that_the_container_takes() -> None:
    container = _container_inputs()
    for name in ("output_format", "exr_type", "exr_compression", "model"):
        values = {each["value"] for each in offered()[name]}
        assert values == set(container[name]) - {"trained"}, name  # a trained one is named by its training
    assert set(FORMATS) == set(WRITTEN)
    assert {each["value"] for each in offered()["exr_type"]} == set(EXR_TYPES)
    assert {each["value"] for each in offered()["exr_compression"]} == set(EXR_COMPRESSIONS)


def test_the_page_is_told_them(console: ConsoleServer) -> None:
    assert console.get("/api/upscale/options").json() == offered()


@pytest.mark.parametrize("place", ["replicate", "here"])
def test_every_place_takes_all_of_them(
    account: Account, tmp_path: Path, picture: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luxscaler.console.local.commands._upscaling", lambda *_: ["true"])
    inputs = {**EXR, "hdr_boost": 4, "fractality": 1.2, "scale": 2, "model": "fast", "sdr": True}
    inputs |= {"profile": "ap0", "layer": "rgb", "part": 1, "wrap": "x", "width": 90}
    assert set(inputs) == set(MASTER_INPUTS) - {"height", "long_edge", "megapixels"}  # one size at most
    with console_server(tmp_path, account.url) as console:
        job = console.submit(kind="master", place=place, source=str(picture), inputs=inputs)
        assert console.job(job)["inputs"] == inputs
        for wrong in ({"exr_type": "double"}, {"exr_compression": "zstd"}, {"sdr": 1}, {"exr_tile": 64}):
            body = {"kind": "master", "place": place, "source": str(picture), "inputs": wrong}
            answer = console.post("/api/cloud/jobs/submit", json=body)
            assert answer.status_code == 422, wrong
            assert next(iter(wrong)) in answer.json()["detail"]


def test_a_file_of_this_machine_is_written_as_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target, report = (tmp_path / name for name in ("scan.png", "output.exr", "report.html"))
    Image.new("RGB", (48, 32), (200, 120, 40)).save(source)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with fake_cog() as cog:
            status = upscaling.main(source, target, report, {**EXR, "cog": cog.url, "scale": 2})
    finally:
        signal.signal(signal.SIGTERM, before)
    assert status == 0, capsys.readouterr().out
    with OpenEXR.File(str(target), separate_channels=True) as file:
        assert file.header()["compression"] == OpenEXR.DWAA_COMPRESSION
        assert {str(channel.pixels.dtype) for channel in file.channels().values()} == {"float16"}


def test_a_cog_is_no_input_at_replicate(console: ConsoleServer, picture: Path) -> None:
    body = {"kind": "master", "source": str(picture), "inputs": {"cog": "http://127.0.0.1:5000"}}
    answer = console.post("/api/cloud/jobs/submit", json=body)
    assert answer.status_code == 422
    assert "unknown 'cog'" in answer.json()["detail"]
