"""The same file from the real container, command, API and backends, with the real weights."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT, SAMPLE
from tests.support.cog_server import CogServer, cog_server
from tests.support.gateway_server import gateway_server

pytestmark = pytest.mark.slow

OPTIONS = {"hdr_boost": 3.0, "fractality": 1.2}
_API = """
import sys, luxscaler
source, target, model = sys.argv[1:]
luxscaler.upscale(source, target, model=model, hdr_boost=3.0, fractality=1.2)
"""


@pytest.fixture(scope="module")
def server(real_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    folder = tmp_path_factory.mktemp("cog")
    with cog_server(folder, LUXSCALER_WEIGHTS=str(real_weights)) as running:
        assert running.is_ready()
        yield running


def _crop(path: Path, box: tuple[int, int, int, int]) -> Path:
    with Image.open(SAMPLE / "tile.png") as tile:
        tile.convert("RGB").crop(box).save(path)
    return path


def _run(arguments: list[str], weights: Path, **environ: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "LUXSCALER_WEIGHTS": str(weights), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _command(source: Path, target: Path, model: str, weights: Path, *more: str, **environ: str) -> bytes:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    arguments = ["-m", "luxscaler.cli.main", "upscale", str(source), str(target), "--model", model]
    _run([*arguments, *options, *more], weights, **environ)
    return target.read_bytes()


def _in_container(server: CogServer, source: Path, model: str, output_format: str) -> bytes:
    address = "data:image/png;base64," + base64.b64encode(source.read_bytes()).decode()
    return server.file(tile_input=address, model=model, output_format=output_format, **OPTIONS)


@pytest.mark.parametrize("model", ["photo", "fast"])
@pytest.mark.parametrize("suffix", ["exr", "tiff", "png", "webp"])
def test_container_command_and_api(
    server: CogServer, real_weights: Path, tmp_path: Path, suffix: str, model: str
) -> None:
    source = _crop(tmp_path / "in.png", (200, 150, 260, 195))
    made = {
        "container": _in_container(server, source, model, suffix),
        "command": _command(source, tmp_path / f"command.{suffix}", model, real_weights),
    }
    _run(["-c", _API, str(source), str(tmp_path / f"api.{suffix}"), model], real_weights)
    made["api"] = (tmp_path / f"api.{suffix}").read_bytes()
    assert {name for name, data in made.items() if data != made["command"]} == set()


def test_a_picture_of_several_tiles(server: CogServer, real_weights: Path, tmp_path: Path) -> None:
    source = tmp_path / "wide.png"
    _crop(source, (100, 100, 420, 130)).write_bytes(source.read_bytes())
    with Image.open(source) as picture:
        picture.resize((1300, 120), Image.Resampling.BICUBIC).save(source)
    command = _command(source, tmp_path / "command.exr", "fast", real_weights)
    assert _in_container(server, source, "fast", "exr") == command


@pytest.mark.parametrize("model", ["photo", "fast"])
def test_backends(server: CogServer, real_weights: Path, tmp_path: Path, model: str) -> None:
    source = _crop(tmp_path / "in.png", (200, 150, 260, 195))
    here = _command(source, tmp_path / "here.exr", model, real_weights)
    cog = ["--backend", "cog", "--cog", server.url]
    assert _command(source, tmp_path / "cog.exr", model, real_weights, *cog) == here
    with gateway_server(tmp_path, server.url) as gateway:
        environ = {
            "REPLICATE_API_TOKEN": gateway.token,
            "REPLICATE_BASE_URL": gateway.url,
            "MODEL_VERSION": gateway.version,
        }
        paid = ["--backend", "replicate", "--price", "0.001", "--max-cost", "5"]
        made = _command(source, tmp_path / "paid.exr", model, real_weights, *paid, **environ)
    assert made == here


def test_ray(real_weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    source = _crop(tmp_path / "in.png", (200, 150, 260, 195))
    here = _command(source, tmp_path / "here.exr", "fast", real_weights)
    assert _command(source, tmp_path / "ray.exr", "fast", real_weights, "--backend", "ray") == here
