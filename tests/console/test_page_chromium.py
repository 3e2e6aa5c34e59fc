"""The page in headless Chromium: every tab at two widths, and the way of a newcomer; its types by tsc."""

import base64
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from luxscaler.console.master_inputs import MASTER_INPUTS
from luxscaler.weights.bundle import load_bundle
from tests.conftest import ROOT
from tests.support.cog_server import cog_server
from tests.support.console_server import ConsoleServer, console_server
from tests.support.fake_previews import fake_previews
from tests.support.gateway_npm import npm_packages
from tests.support.gateway_server import gateway_server
from tests.support.page_walk import begin_walk, end_walk, needs_chromium, told_by
from tests.support.picture_files import exr
from tests.support.replicate_account import OUTPUT, TOKEN, Account
from tests.support.training_files import write_pictures

NOWHERE = "http://127.0.0.1:9"
PAGE = ROOT / "luxscaler" / "console" / "page"
LOGS = "stage: fit\n 40%|████      | 40/100 [00:20<00:30,  2.00it/s]\nloss 0.0312\n"
pytestmark = pytest.mark.slow


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    path = tmp_path / "shots"
    path.mkdir()
    return path


@needs_chromium
def test_every_tab_at_two_widths_light_and_dark(
    account: Account,
    console: ConsoleServer,
    picture: Path,
    folder: Path,
    shots: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
    for name in ("scan.png", "A name that is rather long " * 6):
        console.post("/api/upscale/pictures", params={"name": name}, content=picture.read_bytes())
    console.set(cost_limit_enabled=True, cost_limit_amount=10, max_minutes=10)
    done, failed = (console.submit(kind="master", source=str(picture)) for _ in range(2))
    job = console.submit(kind="training", source=str(folder), destination="ada/mine", name="second try " * 9)
    for name in (done, failed, job):
        console.until(name, "queued")
    by_id = {console.job(name)["remote_id"]: name for name in (done, failed, job)}
    runs = {by_id[run.id]: run for run in account.runs}
    account.finish(runs[done], seconds=80.0)
    runs[failed].error = "E1001: the model ran out of memory"
    account.tell(runs[failed], "failed", seconds=12.0)
    account.tell(runs[job], "processing", logs=LOGS)
    console.until_that(job, lambda found: found["step"] == 40)
    found = end_walk(
        begin_walk(
            console,
            tabs=["cloud", "upscale", "jobs", "train", "masters", "spending", f"jobs/{job}"],
            shots=str(shots),
        )
    )
    assert found["said"] == []
    assert len(found["result"]) == 28
    for view in found["result"]:
        assert view["violations"] == [], view
        assert view["overflow"] == 0, view
    assert len(list(shots.iterdir())) == 28


@needs_chromium
def test_the_accessibility_tree_of_every_tab(
    account: Account, console: ConsoleServer, picture: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
    console.post("/api/upscale/pictures", params={"name": "😀 صورة.png"}, content=picture.read_bytes())
    job = console.submit(kind="training", source=str(folder), destination="ada/mine")
    console.until(job, "queued")
    account.tell(account.runs[0], "processing", logs=LOGS)
    console.until_that(job, lambda found: found["step"] == 40)
    tabs = ["cloud", "upscale", "jobs", "train", "masters", "spending", f"jobs/{job}"]
    found = end_walk(begin_walk(console, tabs=tabs, tree=True))["result"]
    assert {name: told["wrong"] for name, told in found.items()} == {name: [] for name in (*tabs[:-1], "job")}
    least = {"cloud": 30, "upscale": 25, "jobs": 8, "train": 20, "masters": 20, "spending": 6, "job": 4}
    assert all(told["controls"] >= least[name] for name, told in found.items()), found


@needs_chromium
def test_an_impatient_user_with_several_windows(
    account: Account, console: ConsoleServer, picture: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What double clicks, keys, wrong values, a long queue and a window behind another one do."""
    monkeypatch.setattr("luxscaler.console.local.commands._upscaling", lambda *_: ["sleep", "600"])
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
    console.post("/api/upscale/pictures", params={"name": "scan.png"}, content=picture.read_bytes())
    job = console.submit(kind="master", source=str(picture))
    console.until(job, "queued")
    account.finish(account.runs[0], seconds=1.0)
    console.until(job, "completed")
    found = end_walk(begin_walk(console, rude={"picture": str(picture), "job": job}))["result"]
    assert found["skip"] == ["content", "#jobs"]
    assert found["back"] == "job"
    assert found["end"] == "tab-spending"
    assert found["double"] == 1
    assert found["model"] == "photo"
    no_object = 'It must be names and values, such as {"steps": 500}.'
    assert found["more"][:3] == [no_object] * 3
    assert found["more"][3].startswith("This is not JSON: ")
    assert found["more"][4] == ""
    assert found["settings"] == {
        "cost_limit_amount": "It must be at least 0.",
        "cost_limit_time_zone": "is no time zone, e.g. UTC or Europe/Madrid, got 'Mars'",
        "max_minutes": "It must be a whole number.",
        "webhook_url": "This is no address such as http://127.0.0.1:5000.",
        "proxy_url": "must start with http:// or https://, got 'zzz'",
        "deliver_s3": "the S3 address is 'bucket'; it must be s3://BUCKET/PREFIX",
    }
    assert found["asked"] == [
        "Cancel all 5 jobs that are under way or waiting?",
        "Delete scan.png with its results and log from the console's machine?",
    ]
    assert found["deleted"] == "search"
    closed, opened = 2, 1
    assert found["hidden"] == [closed], "six of them would hold all connections of a browser"
    assert found["seen"] == [closed, opened]


@needs_chromium
def test_a_newcomer_trains_and_downloads_the_weights(
    account: Account, tmp_path: Path, folder: Path, shots: Path
) -> None:
    with console_server(tmp_path, account.url, environment_token="") as console:
        process = begin_walk(console, shots=str(shots), journey={"token": TOKEN, "folder": str(folder)})
        told = told_by(process.stdout)
        assert next(told, "") == "submitted", process.communicate()[1]
        job = console.get("/api/cloud/jobs").json()["jobs"][0]["id"]
        console.until(job, "queued")
        run = account.runs[0]
        console.set(webhook_url=console.url)
        account.tell(run, "processing", logs=LOGS)
        assert next(told, "") == "watched", process.communicate()[1]
        account.finish(run, seconds=20.0)
        body, headers = account.webhook(run)
        assert console.http.post("/api/webhooks/replicate", content=body, headers=headers).is_success
        found = end_walk(process)
    assert found["result"]["bytes"] == OUTPUT.decode()
    assert found["result"]["spent"].startswith(f"${20 * 0.000225:.4f} spent")
    refused = [line for line in found["said"] if "422" not in line and "402" not in line]
    assert refused == []


@needs_chromium
@pytest.mark.long
def test_from_nothing_to_a_picture_upscaled_with_an_own_model(
    tmp_path: Path, shots: Path, real_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the gateway, which has Cog's own server of train.py behind it; all by the page."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    pictures = write_pictures(tmp_path / "pictures", 6, 96)
    for name in ("gateway", "cog"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "gateway" / "token").write_text(TOKEN)
    environment = {"COG_TRAIN_TYPE_STUB": "train.py:train", "LUXSCALER_WEIGHTS": str(real_weights)}
    options: dict[str, Any] = {"environment_token": "", "poll_seconds": 2.0}
    with (
        cog_server(tmp_path / "cog", "--x-mode", "train", **environment) as cog,
        gateway_server(tmp_path, trainers=(cog.url,)) as gateway,
        console_server(tmp_path, gateway.url, **options) as console,
    ):
        newcomer = {"token": TOKEN, "folder": str(pictures), "destination": gateway.model}
        newcomer["picture"] = str(pictures / "p0.png")
        found = end_walk(begin_walk(console, shots=str(shots), newcomer=newcomer), seconds=280)
        trained = console.get("/api/cloud/models").json()["models"][0]
        assert trained["version"].startswith(f"{gateway.model}:")
        runs = gateway.get("/v1/trainings").json()["results"]
        assert [run["status"] for run in runs] == ["succeeded"]
        spent = console.get("/api/cloud/cost-limit").json()["current_spend"]
        assert spent == pytest.approx(runs[0]["metrics"]["predict_time"] * 0.0001, rel=0.01)
    files = {name: base64.b64decode(data) for name, data in found["result"].items()}
    weights = tmp_path / "weights.tar"
    weights.write_bytes(files["weights"])
    assert load_bundle(str(weights)).scale == 4
    with tarfile.open(weights) as bundle:
        member = bundle.extractfile("model.safetensors")
        assert member is not None
        assert member.read() == files["model"]
    assert hashlib.sha256(files["model"]).hexdigest() == trained["sha256"]
    assert Image.open(io.BytesIO(files["upscaled"])).size == (384, 384)
    assert [line for line in found["said"] if "net::ERR_ABORTED" not in line] == []


@needs_chromium
def test_pictures_are_upscaled_compared_and_downloaded(
    tmp_path: Path, shots: Path, real_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the network `fast`, on this machine; one of the files is no picture."""
    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(real_weights))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    picture, note = tmp_path / "scan.png", tmp_path / "note.txt"
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(picture)
    note.write_text("no picture")
    with console_server(tmp_path, "http://127.0.0.1:9", environment_token="", folders=()) as console:
        upscaler = {"pictures": [str(picture), str(note)]}
        found = end_walk(begin_walk(console, shots=str(shots), upscaler=upscaler))
    result = found["result"]
    assert "note.txt: it is not a picture" in result["refused"]
    assert result["name"] == "scan-upscaled.png"
    assert result["job"] == [["output.png", "report.html", "Compare"], "scan-upscaled.png"]
    upscaled = Image.open(io.BytesIO(base64.b64decode(result["bytes"])))
    assert upscaled.size == (192, 128)
    assert abs(int(np.asarray(upscaled.convert("L"))[64, 96]) - 128) < 8
    assert result["brighter"][0] > result["normal"][0] + 20
    assert result["reached"] == "refused"
    assert "scan" in result["title"] or "picture" in result["title"]
    assert [line for line in found["said"] if "422" not in line and "connect-src" not in line] == []
    assert len(list(shots.iterdir())) == 2


@needs_chromium
def test_every_input_of_a_master_has_a_field(
    account: Account, tmp_path: Path, shots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luxscaler.console.local.commands._upscaling", lambda *_: ["true"])
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
    picture = tmp_path / "plate.exr"
    picture.write_bytes(exr({f"rgb.{name}": np.ones((32, 48), np.float32) for name in "RGB"}))
    inputs = {"output_format": "exr", "exr_type": "half", "exr_compression": "dwaa", "scale": 2}
    inputs |= {"hdr_boost": 4.5, "fractality": 1.25, "model": "fast", "profile": "ap0", "sdr": True}
    inputs |= {"width": 90, "layer": "rgb", "part": 1, "wrap": "x"}
    assert set(inputs) == set(MASTER_INPUTS) - {"height", "long_edge", "megapixels"}  # one size at most
    with console_server(tmp_path, account.url) as console:
        task = {"picture": str(picture), "upload": str(picture), "inputs": inputs}
        found = end_walk(begin_walk(console, shots=str(shots), fields=task))
        jobs = [console.job(name) for name in found["result"]["jobs"]]
        assert console.get("/api/cloud/jobs").json()["total"] == 2
    assert [(job["place"], job["inputs"]) for job in jobs] == [("here", inputs), ("replicate", inputs)]
    result = found["result"]
    _check_what_was_said(result["wrong"])
    assert result["refused"]["notice"].startswith("Nothing was sent. Width, pixels: Give one size")
    assert result["refused"]["focus"] == "master-width"
    assert result["refused"]["hash"] == "#masters"
    assert result["summary"].endswith("(6 set)")
    assert "5000 × 3333 pixels, 104.17 times the picture's" in result["server"]
    assert result["typing"] == "upscale-long_edge"
    assert [line for line in found["said"] if "422" not in line] == []


@needs_chromium
def test_by_http_from_another_machine_with_all_that_goes_wrong(
    tmp_path: Path, shots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost stream, answer and preview; a folder; a layer to choose; more jobs than are shown."""
    monkeypatch.setattr("luxscaler.console.local.commands._upscaling", lambda *_: ["sleep", "600"])
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
    folder, picture, layered = tmp_path / "holiday", tmp_path / "scan.png", tmp_path / "layers.exr"
    for path in (picture, folder / "one.png", folder / "more" / "two.png"):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (48, 32), (200, 120, 40)).save(path)
    (folder / "note.txt").write_text("no picture")
    (folder / ".DS_Store").write_text("hidden")
    light = np.ones((8, 8, 3), np.float32)
    layered.write_bytes(exr({"beauty.RGB": light, "spec.RGB": light}))
    with console_server(
        tmp_path, NOWHERE, environment_token="", allowed_hosts=("console.example",)
    ) as console:
        task = {"folder": str(folder), "picture": str(picture), "layered": str(layered)}
        url = console.url.replace("127.0.0.1", "console.example")
        found = end_walk(begin_walk(console, url=url, shots=str(shots), trouble=task))["result"]
    assert not found["secure"]
    assert found["title"] == "Upscale · LuxScaler console"
    assert found["dropped"] == ["3 of 4 uploaded.", "note.txt: it is not a picture: it looks like text"]
    assert found["parts"] == [["fast", None], ["photo", 2]], "what waits behind a failure is made, and once"
    each, _, together = found["cost"].partition(" All 3: ")
    assert float(together.split("at most $")[1][:-1]) == pytest.approx(
        3 * float(each.split("at most $")[1].split()[0].rstrip("."))
    )
    assert found["layers"].endswith("This EXR has no main layer: choose beauty.RGB, spec.RGB.")
    assert (found["focus"], found["notice"]) == ("upscale-layer", "")
    assert found["jobs"] == 4, "a submit whose answer got lost is not another job"
    assert found["kept"], "a list that changes takes no focus away"
    assert found["first"] == "running"
    assert found["closed"], "a job that is closed is not opened again by news of it"
    assert found["overflow"] == 0


def _check_what_was_said(wrong: dict[str, Any]) -> None:
    expected = {
        "scale=9": "It must be at least 1, at most 8.",
        "scale=": "This is needed.",
        "scale=4": "",
        "width=0": "It must be at least 1, at most 1,048,576.",
        "width=1.5": "It must be a whole number.",
        "width=": "",
        "megapixels=0": "It must be above 0, at most 1,099,511.628.",
        "megapixels=": "",
        "profile=acescg": "png takes sRGB, Display P3, Adobe RGB, ProPhoto RGB, Rec. 2020.",
        "profile=srgb": "",
    }
    both = wrong.pop("width and height")
    assert {name: told["text"] for name, told in wrong.items()} == expected
    assert [told["text"] for told in both] == [
        "Give one size: Height is given too.",
        "Give one size: Width is given too.",
    ]
    for told in (*wrong.values(), *both):
        assert told["described"]
        assert told["invalid"] == ("true" if told["text"] else None)


def test_its_scripts_have_types() -> None:
    modules = npm_packages("typescript@7.0.2")
    scripts = [str(path) for path in sorted(PAGE.glob("*.js"))]
    assert len(scripts) > 5
    options = ["--allowJs", "--checkJs", "--strict", "--noEmit", "--target", "es2022", "--module", "es2022"]
    command = ["node", str(modules / ".bin" / "tsc"), *options, "--lib", "es2022,dom,dom.iterable", *scripts]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
