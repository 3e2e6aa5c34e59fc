"""`luxscaler upscale --backend …`: it reaches containers and the gateway, and says what is missing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from luxscaler.cli.main import app
from luxscaler.io.read import read_picture
from tests.support.fake_cog import fake_cog
from tests.support.gateway_server import gateway_server


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LUXSCALER_UPSCALE_PROGRESS", "none")  # what takes longer than a second would say so
    for name in ("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL", "MODEL_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Three tiles of 128 pixels."""
    rng = np.random.default_rng(2)
    small = Image.fromarray(rng.integers(0, 256, (3, 7, 3), np.uint8))
    path = tmp_path / "picture.png"
    small.resize((300, 100), Image.Resampling.BICUBIC).save(path)
    return path


def _run(picture: Path, target: Path, *options: str) -> Result:
    arguments = ["upscale", str(picture), str(target), "--tile", "128", *options]
    return CliRunner().invoke(app, arguments, prog_name="luxscaler")


def _repeated(picture: Path) -> np.ndarray:
    return read_picture(picture).rgb.repeat(4, 0).repeat(4, 1)


@pytest.mark.slow
def test_tiles_go_to_containers(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    with fake_cog() as one, fake_cog() as other:
        result = _run(picture, target, "--backend", "cog", "--cog", one.url, "--cog", other.url)
        made = len(one.predictions) + len(other.predictions)
    assert result.exit_code == 0, result.output
    assert made == 3
    assert "(3 tiles, " in result.stdout
    assert np.abs(read_picture(target).rgb - _repeated(picture)).max() < 1e-5


@pytest.mark.slow
def test_tiles_go_to_replicate(picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.exr"
    with fake_cog() as cog, gateway_server(tmp_path, cog.url) as gateway:
        monkeypatch.setenv("REPLICATE_API_TOKEN", gateway.token)
        monkeypatch.setenv("REPLICATE_BASE_URL", gateway.url)
        monkeypatch.setenv("MODEL_VERSION", gateway.version)
        result = _run(picture, target, "--backend", "replicate", "--price", "0.001", "--max-cost", "5")
        made = len(cog.predictions)
    assert result.exit_code == 0, result.output
    assert made == 3
    assert "note: 3 tiles, about " in result.stderr
    assert gateway.token not in result.output
    assert np.abs(read_picture(target).rgb - _repeated(picture)).max() < 1e-5


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "moon"], "backend is 'moon'; it must be one of local, cog, replicate, ray"),
        (["--backend", "cog"], "needs the address of a container: cog (--cog"),
        (["--backend", "cog", "--cog", "ftp://x"], "ftp://x"),
        (["--backend", "cog", "--cog", "http://127.0.0.1:9"], "no answer from 1 Cog container"),
        (["--backend", "replicate"], "set REPLICATE_API_TOKEN"),
        (["--backend", "cog", "--cog", "http://127.0.0.1:9", "--reference", "{picture}"], "one tile on this"),
        (
            ["--backend", "cog", "--cog", "http://127.0.0.1:9", "--no-self-reference"],
            "use the backend local or ray",
        ),
        (["--no-self-reference"], "that is for a checkpoint of your own, and 'photo' is none"),
        (["--reference", "{picture}", "--report", "page.html"], "the compare page is for a whole picture"),
    ],
)
def test_what_is_missing_is_one_line(picture: Path, tmp_path: Path, options: list[str], words: str) -> None:
    result = _run(picture, tmp_path / "out.exr", *(text.format(picture=picture) for text in options))
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert words in lines[0]


def test_a_version_is_needed(picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_canary")
    result = _run(picture, tmp_path / "out.exr", "--backend", "replicate")
    assert "give --model-version or set MODEL_VERSION" in result.stderr
    assert "r8_canary" not in result.output


def test_a_limit_of_cost_that_no_tile_fits_in_is_said_at_once(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_canary")
    version = "--model-version", "a" * 64
    result = _run(picture, tmp_path / "out.exr", "--backend", "replicate", *version, "--max-cost", "0.01")
    assert "error: one tile can cost $" in result.stderr
