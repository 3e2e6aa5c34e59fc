"""The inputs of a master: one list, the container's, at every place and on the page."""

import ast
import signal
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from luxscaler.console.local import upscaling
from luxscaler.console.master_checks import check_master_inputs, master_size
from luxscaler.console.master_inputs import FORMATS, MASTER_INPUTS, offered
from luxscaler.gateway.problems import Problem
from luxscaler.io.formats import FORMATS as WRITTEN
from luxscaler.io.options import EXR_COMPRESSIONS, EXR_TYPES
from luxscaler.io.profiles import PROFILES
from luxscaler.pipeline.final_size import FinalSize
from tests.conftest import ROOT
from tests.support.console_server import ConsoleServer, console_server
from tests.support.fake_cog import fake_cog
from tests.support.picture_files import exr
from tests.support.replicate_account import Account

PICTURES = ("tile_input", "global_reference", "tile_box")
"""Inputs of the container that the console or a tile gives."""
EXR = {"output_format": "exr", "exr_type": "half", "exr_compression": "dwaa"}


def _container_inputs() -> dict[str, dict[str, Any]]:
    """Names of predict.py's inputs, with what it says of each: default, ge, le, choices."""
    tree = ast.parse((ROOT / "predict.py").read_text(encoding="utf-8"))
    predict = next(each for each in ast.walk(tree) if getattr(each, "name", "") == "predict")
    assert isinstance(predict, ast.AsyncFunctionDef)
    found = {}
    for argument, default in zip(predict.args.args[1:], predict.args.defaults, strict=True):
        assert isinstance(default, ast.Call)
        found[argument.arg] = {str(each.arg): ast.literal_eval(each.value) for each in default.keywords}
    return {name: said for name, said in found.items() if name not in PICTURES}


def _offered() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in offered()["inputs"]}


def test_they_are_those_of_the_container() -> None:
    assert set(MASTER_INPUTS) == set(_container_inputs())
    assert set(_offered()) == {*MASTER_INPUTS, "print"}


def test_choices_limits_and_defaults_are_those_of_the_container() -> None:
    for name, said in _container_inputs().items():
        mine = _offered()[name]
        choices = {each["value"] for each in mine["values"]}
        assert choices == set(said.get("choices", ())) - {"trained"}, name  # named by its training
        if name in ("output_format", "model"):
            assert mine["default"] is None  # always said: places differ, and a form may name a training
        elif mine["default"] is not None:
            assert mine["default"] == said["default"], name
            assert mine["low"] == said.get("ge"), name
            assert name == "layer" or mine["high"] == said.get("le"), name
        else:
            assert said["default"] == 0, name  # which stands for: not given
    assert set(FORMATS) == set(WRITTEN)
    assert {each["value"] for each in _offered()["exr_type"]["values"]} == set(EXR_TYPES)
    assert {each["value"] for each in _offered()["exr_compression"]["values"]} == set(EXR_COMPRESSIONS)
    assert {each["value"] for each in _offered()["profile"]["values"]} == set(PROFILES)


def _limits() -> list[tuple[str, Any, Any]]:
    """Of each limit: the last value that is taken, and the first that is not."""
    found: list[tuple[str, Any, Any]] = []
    for name, each in _offered().items():
        if each["kind"] == "text":
            if each["high"] is None:
                continue
            found.append((name, each["high"] * "x", (each["high"] + 1) * "x"))
            continue
        if each["low"] is not None:
            # 0 counts as not given where a size or a part may be.
            found.append((name, each["low"], each["low"] - 1 if each["default"] is not None else -1))
        if each["above"] is not None:
            found.append((name, each["above"] + 1e-9, each["above"] - 1))
        if each["high"] is not None and name != "scale":  # of which 16 is taken too, for some models
            found.append((name, each["high"], each["high"] + 1))
    return found


@pytest.mark.parametrize(("name", "last", "beyond"), _limits())
def test_limits_are_those_that_are_checked(name: str, last: Any, beyond: Any) -> None:
    check_master_inputs({name: last})
    with pytest.raises(Problem) as caught:
        check_master_inputs({name: beyond})
    assert caught.value.body["input"] == name


def test_every_profile_that_a_format_takes_is_taken() -> None:
    allowed = offered()["profiles"]
    assert set(allowed) == set(FORMATS)
    for form, names in allowed.items():
        for name in PROFILES:
            inputs = {"output_format": form, "profile": name}
            if name in names:
                check_master_inputs(inputs)
            else:
                with pytest.raises(Problem, match=f"inputs: profile is '{name}'"):
                    check_master_inputs(inputs)


def test_a_wrong_size_for_a_picture_names_the_input() -> None:
    with pytest.raises(Problem, match=r"104\.17 times") as caught:
        master_size({"long_edge": 5000}, 48, 32)
    assert caught.value.body["input"] == "long_edge"


def test_a_print_is_the_size_that_the_command_makes_of_it() -> None:
    """On this machine; a container has no such input, so it is refused before anything is paid."""
    inputs = {"print": "10 x 15 cm@ 254"}
    sheet = FinalSize.of(print_size=inputs["print"])
    assert sheet is not None
    assert master_size(inputs, 1500, 1000, "here") == sheet.of_picture(1500, 1000) == (1500, 1000)
    for wrong, place, said in (
        (inputs, "replicate", "print is for this machine"),
        ({"print": "10x15@300"}, "here", "it must be WIDTHxHEIGHT"),
        ({"print": "10x15cm@0"}, "here", "DPI from 1 to 10000"),
        ({"print": 3}, "here", "print must be text"),
        ({"print": "500x500cm@300"}, "here", "8 times is the most"),
        ({**inputs, "width": 90}, "here", "give one of width"),
    ):
        with pytest.raises(Problem, match=said) as caught:
            master_size(wrong, 1500, 1000, place)
        assert caught.value.status == 422
        assert caught.value.body.get("input") in {"print", None}


def test_the_page_is_told_them(console: ConsoleServer) -> None:
    assert console.get("/api/upscale/options").json() == offered()


@pytest.mark.parametrize("place", ["replicate", "here"])
def test_every_place_takes_all_of_them(
    account: Account, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luxscaler.console.local.commands._upscaling", lambda *_: ["true"])
    picture = tmp_path / "plate.exr"
    picture.write_bytes(exr({f"rgb.{name}": np.ones((48, 64), np.float32) for name in "RGB"}))
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
