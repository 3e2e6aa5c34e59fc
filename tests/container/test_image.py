"""What the image is made of: enough to run, without a network, and nothing that it does not run."""

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.picture_files import noise, pillow

COG_WEIGHTS_BYTES = 10 * 2**20
"""Cog's --separate-weights takes folders with a file from this size, and without code, for weights."""
TILE = "data:image/png;base64," + base64.b64encode(pillow(noise(12, 16), "PNG")).decode()
ALONE = """
import sys, urllib.request, json
from pathlib import Path
from tests.support.cog_server import cog_server, output_file
with cog_server(Path(sys.argv[1]), cwd=Path(sys.argv[2]), LUXSCALER_WEIGHTS="") as server:
    assert server.is_ready()
    print(len(server.file(tile_input=sys.argv[3], model=sys.argv[4], output_format="exr")))
    error = server.error(tile_input="http://1.1.1.1/tile.png")
    print(error)
"""


@pytest.fixture(scope="module")
def container(real_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ./scripts/push builds the image from."""
    folder = tmp_path_factory.mktemp("container")
    subprocess.run([ROOT / "scripts" / "push", "--stage", folder], check=True)
    if not list((folder / "weights").glob("*.safetensors")):  # they are elsewhere in this checkout
        shutil.copytree(real_weights, folder / "weights", dirs_exist_ok=True)
    return folder


@pytest.mark.slow
def test_the_image_holds_what_the_container_runs_and_no_more(container: Path) -> None:
    assert {path.name for path in container.iterdir()} == {
        ".dockerignore",
        "LICENSE",
        "cog.yaml",
        "hdr_exporter.py",
        "luxscaler",
        "predict.py",
        "requirements.lock",
        "train.py",
        "weights",
    }
    files = [path for path in container.rglob("*") if path.is_file()]
    large = {path.parent for path in files if path.stat().st_size >= COG_WEIGHTS_BYTES}
    assert large == {container / "weights"}  # a layer of their own
    assert not list((container / "weights").rglob("*.py"))
    code = sum(path.stat().st_size for path in files if path.parent.name != "weights")
    assert code < 3 * 2**20


def test_docker_leaves_out_what_is_not_the_containers() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    tops = {path.split("/")[0] for path in tracked} or {path.name for path in ROOT.iterdir()}
    needed = {"LICENSE", "cog.yaml", "hdr_exporter.py", "luxscaler", "predict.py", "train.py"}
    needed |= {"requirements.lock", "weights", ".dockerignore"}
    left = {top for top in tops if top not in lines and not (top.endswith(".md") and "*.md" in lines)}
    assert left <= needed


def _can_be_alone() -> bool:
    command = ["unshare", "-rn", "ip", "link", "set", "lo", "up"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not _can_be_alone(), reason="no network namespace can be made here")
def test_the_image_starts_and_works_without_a_network(container: Path, tmp_path: Path) -> None:
    for model in ("photo", "fast"):
        folder = tmp_path / model
        folder.mkdir()
        script = [sys.executable, "-c", ALONE, str(folder), str(container), TILE, model]
        alone = subprocess.run(
            ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *script],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert alone.returncode == 0, alone.stderr
        size, error = alone.stdout.splitlines()
        assert int(size) > 1000
        assert "1.1.1.1 cannot be reached" in error  # the network was really gone
