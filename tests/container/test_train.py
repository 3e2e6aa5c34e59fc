"""The training on Cog's real server: inputs, logs, weights, and the version that is made of them."""

import ast
import base64
import io
import json
import re
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from replicate.client import Client
from replicate.training import Training

from luxscaler.publishing.package import packaged
from luxscaler.training.settings import TrainingSettings
from luxscaler.weights.bundle import load_bundle
from tests.conftest import ROOT
from tests.support.cog_server import cog_server
from tests.support.gateway_server import gateway_server
from tests.support.training_files import picture

UNSET = {"learning_rate": ("lr", None), "batch": ("batch", None)}
OF_THE_CONTAINER = {"pictures", "steps", "every", "max_minutes"}
"""Inputs whose defaults are the container's own."""


def _inputs() -> dict[str, dict[str, Any]]:
    tree = ast.parse((ROOT / "train.py").read_text("utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    found = {}
    for argument, default in zip(function.args.args, function.args.defaults, strict=True):
        assert isinstance(default, ast.Call)
        found[argument.arg] = {str(word.arg): ast.literal_eval(word.value) for word in default.keywords}
    return found


def test_the_inputs_are_literals_with_the_settings_defaults() -> None:
    settings = TrainingSettings()
    for name, words in _inputs().items():
        assert words.pop("description")
        if name not in OF_THE_CONTAINER:
            field, expected = UNSET.get(name, (name, words["default"]))
            assert getattr(settings, field) == expected, name


def test_cog_yaml_names_the_training() -> None:
    assert 'train: "train.py:train"' in (ROOT / "cog.yaml").read_text("utf-8").splitlines()


def _archive() -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for seed in range(6):
            data = io.BytesIO()
            picture(seed, 96).save(data, "PNG")
            archive.writestr(f"p{seed}.png", data.getvalue())
    file.seek(0)
    file.name = "pictures.zip"
    return file


def _post(url: str, inputs: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"input": inputs}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=250) as answer:
        reply = json.load(answer)
    assert isinstance(reply, dict)
    return reply


PROGRESS = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*(\d+)/(\d+)", re.MULTILINE)
"""As the official clients read it from logs."""


def _watched(training: Training, until: Callable[[Training], bool]) -> Training:
    deadline = time.monotonic() + 240
    while not until(training):
        assert time.monotonic() < deadline, training
        time.sleep(0.1)
        training.reload()
    return training


@pytest.mark.slow
def test_a_training_and_the_version_made_of_it(real_weights: Path, tmp_path: Path) -> None:
    """Cog's own server behind the gateway; the official client creates, watches, cancels and fetches."""
    for name in ("train", "predict"):
        (tmp_path / name).mkdir()
    environment = {
        "COG_TRAIN_TYPE_STUB": "train.py:train",
        "LUXSCALER_WEIGHTS": str(real_weights),
        "LUXSCALER_FETCH_ALLOW": "127.0.0.0/8",
    }
    inputs = {
        **{"base": "fast", "method": "full", "degradation": "clean"},
        **{"steps": 12, "every": 6, "batch": 2, "crop": 16, "learning_rate": 5e-4},
    }
    weights = tmp_path / "trained.tar"
    with (
        cog_server(tmp_path / "train", "--x-mode", "train", **environment) as server,
        gateway_server(tmp_path, trainers=(server.url,)) as gateway,
    ):
        failed = _post(f"{server.url}/trainings", {**inputs, "base": "none", "pictures": "data:,"})
        assert failed["status"] == "failed"
        trainings = Client(api_token=gateway.token, base_url=gateway.url).trainings
        version = f"{gateway.model}:{gateway.version}"
        endless = {**inputs, "steps": 100_000, "pictures": _archive()}
        canceled = trainings.create(version, endless, gateway.model)
        _watched(canceled, lambda now: bool(PROGRESS.search(now.logs or "")))
        canceled.cancel()
        assert canceled.status == "canceled"
        done = trainings.create(version, {**inputs, "pictures": _archive()}, gateway.model)
        _watched(done, lambda now: now.status in ("succeeded", "failed"))
        assert done.status == "succeeded", done.error
        assert PROGRESS.search(done.logs or "")
        assert isinstance(done.output, dict)
        weights.write_bytes(gateway.plain.get(done.output["weights"]).raise_for_status().content)
    with packaged(weights) as package:
        assert {"model.safetensors", "README.md", "report.html", "metrics.jsonl"} < set(package.files)
    assert load_bundle(str(weights)).scale == 4
    tile = io.BytesIO()
    picture(3, 24).save(tile, "PNG")
    url = "data:image/png;base64," + base64.b64encode(tile.getvalue()).decode()
    with cog_server(
        tmp_path / "predict", LUXSCALER_WEIGHTS=str(real_weights), COG_WEIGHTS=str(weights)
    ) as server:
        assert server.is_ready()
        trained, fast = (server.file(tile_input=url, model=name) for name in ("trained", "fast"))
    assert trained != fast
