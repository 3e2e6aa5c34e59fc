"""kill -9 at random moments: what goes on afterwards ends in the same bytes."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

import luxscaler.pipeline.output
from luxscaler.masters.upscale import upscale_picture
from luxscaler.pipeline.request import UpscaleRequest
from tests.conftest import ROOT
from tests.support.fake_backend import FakeBackend
from tests.support.killed_runs import kill_over_and_over

KILLS = 50


def a_master(name: str, folder: str, suffix: str) -> None:
    """Upscale the folder's picture in tiles, or go on with the run of that name."""
    luxscaler.pipeline.output.WHOLE_PIXELS = 0  # rows go to disk as they come
    where = Path(folder)
    target, kind = where / f"{name}.{suffix}", {"tif": "tiff"}.get(suffix, suffix)
    request = UpscaleRequest(where / "picture.png", output_format=kind, tile=64, hdr_boost=2.0)
    upscale_picture(request, target, FakeBackend(workers=2, seconds=0.02))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [pytest.param("exr", marks=pytest.mark.long), "tif", "png"])
def test_deaths_change_no_byte(tmp_path: Path, suffix: str) -> None:
    with Image.open(ROOT / "docs" / "sample" / "tile.png") as picture:
        picture.convert("RGB").resize((180, 120)).save(tmp_path / "picture.png")
    kills = KILLS if suffix == "exr" else 12
    result = tmp_path / f"killed.{suffix}"
    kill_over_and_over(a_master, str(tmp_path), suffix, kills=kills, longest=1.1, result=result)
    whole, killed = (
        hashlib.sha256((tmp_path / f"{name}.{suffix}").read_bytes()).hexdigest()
        for name in ("whole", "killed")
    )
    assert whole == killed
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"whole.{suffix}", f"killed.{suffix}", "picture.png"]
    )
