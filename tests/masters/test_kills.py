"""kill -9 at random moments: what goes on afterwards ends in the same bytes.

One process loads everything and forks a child for each run; the child is killed after a random time, until
a run has had its fifty deaths and may finish.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

KILLS = 50
_DRIVER = """
import json, os, random, signal, sys, time
import torch
torch.set_num_threads(1)
from pathlib import Path
from luxscaler.masters.upscale import upscale_picture
from luxscaler.pipeline.request import UpscaleRequest
from tests.support.fake_backend import FakeBackend
import luxscaler.pipeline.output
luxscaler.pipeline.output.WHOLE_PIXELS = 0  # rows go to disk as they come

folder, kills, suffix = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def work(name):
    log = (folder / f"{name}.log").open("a")
    class Backend(FakeBackend):
        def run(self, tile):
            log.write(f"{tile.index}\\n")
            log.flush()
            return super().run(tile)
    target, kind = folder / f"{name}.{suffix}", {"tif": "tiff"}.get(suffix, suffix)
    request = UpscaleRequest(folder / "picture.png", output_format=kind, tile=64, hdr_boost=2.0)
    upscale_picture(request, target, Backend(workers=2, seconds=0.02))

def forked(name, seconds):
    child = os.fork()
    if child == 0:
        try:
            work(name)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

start = time.monotonic()
assert forked("clean", None) == 0
whole = time.monotonic() - start
rng, deaths = random.Random(11), 0
for attempt in range(20 * kills):
    if deaths == kills:
        break
    status = forked("killed", rng.uniform(0, 1.1 * whole))
    assert status in (0, -signal.SIGKILL), status
    if status == 0:  # it was faster: begin anew
        (folder / f"killed.{suffix}").unlink()
    else:
        deaths += 1
assert forked("killed", None) == 0
print(json.dumps({"deaths": deaths, "seconds": whole}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["exr", "tif", "png"])
def test_fifty_deaths_change_no_byte(tmp_path: Path, suffix: str) -> None:
    from PIL import Image

    with Image.open(ROOT / "docs" / "sample" / "tile.png") as picture:
        picture.convert("RGB").resize((180, 120)).save(tmp_path / "picture.png")
    kills = KILLS if suffix == "exr" else 12
    result = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(tmp_path), str(kills), suffix],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["deaths"] == kills
    clean, killed = (
        hashlib.sha256((tmp_path / f"{name}.{suffix}").read_bytes()).hexdigest()
        for name in ("clean", "killed")
    )
    assert clean == killed
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"clean.{suffix}", "clean.log", f"killed.{suffix}", "killed.log", "picture.png"]
    )
