"""`luxscaler models` and what `upscale` makes of a fetched model, with a server of our own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from luxscaler.cli.main import app
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from tests.support.model_index import IndexServer, index_server
from tests.support.picture_files import noise, pillow


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """An index with two models, and an empty weights folder."""
    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    torch.manual_seed(1)
    torch.save(build_network(SRVGGConfig(features=4, convs=1, scale=2)).state_dict(), tmp_path / "model.pth")
    data = (tmp_path / "model.pth").read_bytes()
    with index_server() as served:
        monkeypatch.setenv("LUXSCALER_MODEL_INDEX", served.index_url)
        served.add("2x-Free", data, scale=2, architecture="compact")
        served.add("2x-Bound", data, scale=2, architecture="compact", license="CC-BY-NC-4.0")
        served.add("4x-Hand", data, resource={"urls": ["https://mega.nz/x"]})
        yield served


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="luxscaler")


def test_search_and_info(server: IndexServer) -> None:
    found = run("models", "search", "bound")
    assert found.exit_code == 0, found.output
    assert "2x-Bound" in found.stdout
    assert "CC-BY-NC-4.0" in found.stdout
    assert "1 model\n" in found.stdout
    assert "by hand" in run("models", "search", "--scale", "4").stdout
    assert "0 models" in run("models", "search", "nothing").stdout
    told = run("models", "info", "2x-Bound").stdout
    for word in (
        "somebody",
        "CC-BY-NC-4.0 (no commercial use)",
        "×2",
        "compact",
        "as it is",
        "SHA-256",
        server.base,
    ):
        assert word in told
    assert "(in a browser only)" in run("models", "info", "4x-hand").stdout


def test_fetch_shows_the_licence_first(server: IndexServer) -> None:
    refused = run("models", "fetch", "2x-Bound")
    assert refused.exit_code == 1
    assert "2x-Bound by somebody; licence: CC-BY-NC-4.0 (no commercial use)" in refused.stdout
    assert "give --accept-licence" in refused.stderr
    assert "/2x-Bound.pth" not in server.asked
    assert run("models", "fetch", "2x-Bound", "--accept-licence").exit_code == 0
    assert "open https://mega.nz/x in a browser" in run("models", "fetch", "4x-Hand").stderr
    assert "no model called 'x'" in run("models", "fetch", "x").stderr


def test_a_fetched_model_upscales_by_its_own_scale(server: IndexServer, tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(pillow(noise(12, 16), "PNG"))
    assert run("models", "fetch", "2x-Free").exit_code == 0
    out = tmp_path / "out.png"
    done = run("upscale", str(source), str(out), "--model", "2x-Free", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert Image.open(out).size == (32, 24)
    assert "resampled" not in done.stderr
    other = run(
        "upscale",
        str(source),
        str(out),
        "--model",
        "2x-Free",
        "--device",
        "cpu",
        "--scale",
        "3",
        "--overwrite",
    )
    assert "note: the model's own scale is 2: its result is resampled to 3" in other.stderr
    assert Image.open(out).size == (48, 36)
