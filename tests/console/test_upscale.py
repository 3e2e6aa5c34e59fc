"""The tab Upscale: uploaded pictures, what a result will be, previews, jobs with progress, compare pages."""

import io
import json
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from luxscaler.console.local import upscaling
from luxscaler.console.local.commands import _upscaling
from luxscaler.console.local.preview_process import Previews, serve
from luxscaler.console.local.upscaling import Meter
from luxscaler.console.progress import read_progress
from luxscaler.console.submissions import SubmitRequest, megapixels_of
from luxscaler.pipeline.result import Progress
from tests.support.console_server import ConsoleServer, console_server
from tests.support.fake_clock import ManualClock
from tests.support.fake_cog import fake_cog
from tests.support.fake_previews import fake_previews
from tests.support.picture_files import exr
from tests.support.replicate_account import Account
from tests.support.training_files import write_base

NOWHERE = "http://127.0.0.1:9"
PICTURES = "/api/upscale/pictures"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsoleServer]:
    """A console without a token, with previews that take no time."""
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
    with console_server(tmp_path, NOWHERE, environment_token="", folders=()) as running:
        yield running


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script of the shell in place of the upscaling; $OUT and $REPORT are what it should write."""

    def put(script: str) -> None:
        def command(_source: Path, target: Path, report: Path, _inputs: Any) -> list[str]:
            return ["sh", "-c", f"OUT={target}\nREPORT={report}\n{script}"]

        monkeypatch.setattr("luxscaler.console.local.commands._upscaling", command)

    return put


def _png(width: int = 64, height: int = 48, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), 100).save(file, "PNG")
    return file.getvalue()


def _upload(console: ConsoleServer, data: bytes | None = None, name: str = "scan.png") -> dict[str, Any]:
    answer = console.post(PICTURES, params={"name": name}, content=_png() if data is None else data)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _unpacked(answer: httpx.Response) -> tuple[list[tuple[int, int]], list[float], bytes]:
    assert answer.status_code == 200, answer.text
    data = answer.content
    count, figures = struct.unpack_from("<2I", data)
    sizes = struct.unpack_from(f"<{2 * count}I", data, 8)
    at = 8 + 8 * count
    numbers = struct.unpack_from(f"<{figures}f", data, at)
    return list(zip(sizes[::2], sizes[1::2], strict=True)), list(numbers), data[at + 4 * figures :]


def test_a_picture_is_kept_and_described(alone: ConsoleServer) -> None:
    kept = _upload(alone, name="../../etc/Ünï\n.png")
    assert kept["name"] == "../../etc/Ünï.png"
    assert (kept["width"], kept["height"], kept["bits"], kept["format"]) == (64, 48, 8, "png")
    assert kept["color_space"].startswith("sRGB")
    path = alone.data / "pictures" / kept["id"] / "picture.png"
    assert kept["source"] == str(path)
    assert path.read_bytes() == _png()
    assert alone.get(PICTURES).json()["pictures"] == [kept]
    assert alone.get(f"{PICTURES}/{kept['id']}").json() == kept


def test_the_suffix_is_of_the_content(alone: ConsoleServer) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    assert _upload(alone, file.getvalue(), "evil.sh")["source"].endswith("/picture.jpg")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"no picture", "note.png: it is not a picture"), (b"", "note.png: "), (_png()[:12], "note.png: ")],
)
def test_what_is_no_picture_is_refused_and_leaves_nothing(
    alone: ConsoleServer, data: bytes, reason: str
) -> None:
    answer = alone.post(PICTURES, params={"name": "note.png"}, content=data)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(reason)
    assert str(alone.data) not in answer.text
    assert list((alone.data / "pictures").iterdir()) == []


def test_a_format_that_jobs_cannot_be_made_from_is_named(alone: ConsoleServer) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "TGA")
    answer = alone.post(PICTURES, params={"name": "a.tga"}, content=file.getvalue())
    assert answer.status_code == 422
    assert "a.tga: a picture in the format tga; the console takes jpeg, png" in answer.json()["detail"]


def test_too_large_uploads_are_refused(tmp_path: Path) -> None:
    with console_server(tmp_path, NOWHERE, max_picture_bytes=500, max_pictures_bytes=200) as console:
        assert console.post(PICTURES, content=_png() + bytes(500)).status_code == 413
        assert list((console.data / "pictures").iterdir()) == []
        for _ in range(2):
            _upload(console)
        answer = console.post(PICTURES, content=_png())
        assert answer.status_code == 413
        assert "remove some" in answer.json()["detail"]


@pytest.mark.slow
def test_pictures_go_by_age_but_not_under_a_job(tmp_path: Path, work: Callable[[str], None]) -> None:
    work("exec sleep 600")
    clock = ManualClock(time.time())
    with console_server(
        tmp_path, NOWHERE, environment_token="", clock=clock, picture_seconds=100.0
    ) as console:
        used, unused = _upload(console), _upload(console)
        job = console.submit(kind="master", place="here", source=used["source"], max_minutes=60)
        console.until(job, "running")
        clock.advance(200)
        newest = _upload(console)
        listed = {each["id"] for each in console.get(PICTURES).json()["pictures"]}
        assert unused["id"] not in listed
        assert used["id"] in listed
        assert console.delete(f"{PICTURES}/{used['id']}").status_code == 409
        assert newest["id"] in listed | {newest["id"]}
        console.post(f"/api/cloud/jobs/{job}/cancel")
        console.until(job, "canceled")
        assert console.delete(f"{PICTURES}/{used['id']}").status_code == 204
        assert console.get(f"{PICTURES}/{used['id']}").status_code == 404


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ["a" * 26, "..", "%2e%2e%2fsecrets", "A" * 26])
def test_other_ids_are_404(alone: ConsoleServer, name: str) -> None:
    for path in ("", "/overview"):
        assert alone.get(f"{PICTURES}/{name}{path}").status_code in (404, 405)
    assert alone.post(f"{PICTURES}/{name}/part", json={}).status_code in (404, 405)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\u202egnp.exe", "gnp.exe"),
        ("צילום 😀.png", "צילום 😀.png"),
        ("<img src=x>", "<img src=x>"),
        ("\u2066", "picture"),
    ],
)
def test_a_name_turns_no_text_around_it(alone: ConsoleServer, name: str, shown: str) -> None:
    assert _upload(alone, name=name)["name"] == shown


def test_an_exr_without_a_main_layer_is_taken_and_names_its_layers(alone: ConsoleServer) -> None:
    light = np.ones((6, 9, 3), np.float32)
    kept = _upload(alone, exr({"beauty.left.RGB": light, "spec.RGB": light}), "plate.exr")
    assert (kept["layers"], kept["has_main_layer"]) == (["beauty.left.RGB", "spec.RGB"], False)
    assert (kept["width"], kept["height"]) == (9, 6)
    kept = _upload(alone, exr({"RGB": light, "spec.RGB": light}), "plate.exr")
    assert (kept["layers"], kept["has_main_layer"]) == (["spec.RGB"], True)
    broken = exr({"beauty.RGB": light, "spec.RGB": light})[:200]
    answer = alone.post(PICTURES, params={"name": "plate.exr"}, content=broken)
    assert (answer.status_code, answer.json()["detail"][:10]) == (422, "plate.exr:")
    path = f"{PICTURES}/{kept['id']}/overview"
    assert alone.get(path, params={"layer": "spec.RGB", "part": 1, "sdr": True}).status_code == 200
    asked = json.loads((alone.data / "previews" / "asked").read_text().partition(" ")[2])
    assert asked["reading"] == {"layer": "spec.RGB", "part": 1, "sdr": True}
    assert alone.get(path, params={"part": 0}).status_code == 422


EXR = {"output_format": "exr"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "inputs", "reason"),
    [
        (
            "replicate",
            {"output_format": "exr"},
            "up to 400,000,000 pixels at once, and these would be 576,000,000",
        ),
        ("here", {"output_format": "webp"}, "WebP holds at most 16383 pixels a side, got 24000 × 24000"),
        ("here", {"output_format": "avif"}, "avif is encoded in memory, up to 400,000,000"),
        ("here", {"output_format": "exr"}, ""),
        ("replicate", {"output_format": "png", "scale": 2}, ""),
    ],
)
def test_what_no_job_could_make_is_refused_before_anything_is_paid(
    account: Account, tmp_path: Path, place: str, inputs: dict[str, Any], reason: str
) -> None:
    source = tmp_path / "large.png"
    Image.new("1", (6000, 6000)).save(source)
    with console_server(tmp_path, account.url) as console:
        picture = _upload(console, source.read_bytes())
        told = console.post(f"{PICTURES}/{picture['id']}/result", json={"inputs": inputs, "place": place})
        assert (told.status_code, reason in told.text) == (422 if reason else 200, True), told.text
        if reason:
            body = {"kind": "master", "source": str(source), "place": place, "inputs": inputs}
            answer = console.post("/api/cloud/jobs/submit", json=body)
            assert (answer.status_code, reason in answer.text) == (422, True)
            assert console.get("/api/cloud/jobs").json()["total"] == 0
    assert account.runs == []


def test_what_a_result_will_be(alone: ConsoleServer) -> None:
    path = f"{PICTURES}/{_upload(alone, _png(mode='RGBA'))['id']}/result"
    told = alone.post(path, json={"inputs": {"scale": 2.5}}).json()
    assert told == {"width": 160, "height": 120, "megapixels": 0.019, "light_bytes": 160 * 120 * 16}
    told = alone.post(path, json={"inputs": {"long_edge": 100, "wrap": "x", "profile": "ap0"} | EXR}).json()
    assert (told["width"], told["height"]) == (100, 75)
    for inputs, reason in (
        ({"scale": 9}, "scale"),
        ({"size": 1}, "unknown 'size'"),
        ({"width": 1000}, "8 times is the most"),
        ({"width": 10, "height": 10}, "width and height"),
        ({"profile": "ap0", "output_format": "png"}, "profile is 'ap0'"),
    ):
        answer = alone.post(path, json={"inputs": inputs})
        assert answer.status_code == 422
        assert reason in answer.json()["detail"]


def test_what_a_result_of_a_layer_will_be(alone: ConsoleServer) -> None:
    """What is said, kept and refused is that of the layer that is read, and not of the first."""
    names = [f"beauty.left.{name}" for name in "RGB"] + [f"spec.{name}" for name in "RGBA"]
    picture = _upload(alone, exr({name: np.ones((6, 9), np.float32) for name in names}), "plate.exr")
    path, pixels = f"{PICTURES}/{picture['id']}/result", 36 * 24
    for inputs, planes in (({"layer": "left"}, 3), ({"layer": "SPEC"}, 4), ({"layer": "spec.A"}, 3)):
        assert alone.post(path, json={"inputs": inputs | EXR}).json()["light_bytes"] == pixels * planes * 4
    for name, value in (("layer", "no"), ("part", 2), ("part", 0.5)):
        answer = alone.post(path, json={"inputs": {name: value} | EXR})
        assert (answer.status_code, answer.json()["input"]) == (422, name)
    body = {"kind": "master", "place": "here", "source": picture["source"]}
    answer = alone.post("/api/cloud/jobs/submit", json=body | {"inputs": {"layer": "no"}})
    assert answer.json()["detail"] == "inputs: it has no EXR layer 'no'; it has beauty.left, spec"
    assert megapixels_of(SubmitRequest(**body, inputs={"layer": "spec"})) == 54e-6
    assert megapixels_of(SubmitRequest(**body, inputs={"layer": "no"})) is None


@pytest.mark.slow
def test_no_time_is_claimed_before_anything_has_run_here(
    alone: ConsoleServer, work: Callable[[str], None]
) -> None:
    work("sleep 0.1; echo x > $OUT")
    body = {"kind": "master", "place": "here", "source": _upload(alone)["source"]}
    assert alone.post("/api/cloud/estimate", json=body).json()["avg_duration_seconds"] is None
    alone.until(alone.submit(**body), "completed")
    told = alone.post("/api/cloud/estimate", json=body).json()
    assert told["avg_duration_seconds"] > 0
    assert (told["estimated_cost_usd"], told["basis"]) == (0, "1 job like it that ended before")


@pytest.mark.slow
def test_the_time_of_another_size_or_model_is_not_this_ones(
    alone: ConsoleServer, work: Callable[[str], None]
) -> None:
    work("sleep 0.05; echo x > $OUT")
    small, twice, large = (_upload(alone, _png(side, 50))["source"] for side in (50, 100, 500))
    body = {"kind": "master", "place": "here", "source": small, "inputs": {"model": "fast"}}
    alone.until(alone.submit(**body), "completed")

    def seconds(**more: Any) -> float | None:
        told = alone.post("/api/cloud/estimate", json={**body, **more}).json()["avg_duration_seconds"]
        return None if told is None else float(told)

    measured = seconds()
    assert measured is not None
    assert seconds(source=twice) == pytest.approx(2 * measured)
    assert seconds(source=large) is None
    assert seconds(inputs={"model": "anime"}) is None


@pytest.mark.slow
def test_jobs_under_way_are_listed_apart(alone: ConsoleServer, work: Callable[[str], None]) -> None:
    work("exec sleep 600")
    body = {"kind": "master", "place": "here", "source": _upload(alone)["source"]}
    first, second = alone.submit(**body), alone.submit(**body)
    alone.post(f"/api/cloud/jobs/{second}/cancel")
    alone.until(second, "canceled")

    def listed(status: str) -> list[str]:
        return [job["id"] for job in alone.get("/api/cloud/jobs", params={"status": status}).json()["jobs"]]

    assert (listed("open"), listed("over")) == ([first], [second])
    assert alone.get("/api/cloud/jobs", params={"status": "odd"}).status_code == 422
    alone.post(f"/api/cloud/jobs/{first}/cancel")
    alone.until(first, "canceled")


def test_an_overview_and_a_part(alone: ConsoleServer) -> None:
    picture = _upload(alone)
    sizes, _, data = _unpacked(alone.get(f"{PICTURES}/{picture['id']}/overview"))
    assert (sizes, len(data)) == ([(6, 4)], 24 * 6)
    body = {"x": 0.25, "y": 1, "inputs": {"model": "photo", "hdr_boost": 3}}
    sizes, figures, data = _unpacked(alone.post(f"{PICTURES}/{picture['id']}/part", json=body))
    assert sizes == [(8, 8), (32, 32)]
    assert figures == [0.5, 0.25, 0.0, 1.0, 1.0, 2.0, 8.0, 8.0]
    light = np.frombuffer(data, "<f2")
    assert (light[0], light[-1]) == (0.25, 1.0)
    asked = (alone.data / "previews" / "asked").read_text().splitlines()
    task = json.loads(asked[1].partition(" ")[2])
    assert task["path"] == picture["source"]
    assert (task["x"], task["y"]) == (0.25, 1)
    assert task["inputs"] == {"model": "photo", "output_format": "exr", "hdr_boost": 3}
    assert asked[0].split()[0] == asked[1].split()[0], "one process serves all"


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"x": 2}, 422, "x: "),
        ({"inputs": {"model": "fast"}}, 422, "the network is not there"),
        ({"inputs": {"model": "/etc/passwd"}}, 422, "is not inside"),
        ({"inputs": {"cog": "http://127.0.0.1:1"}}, 422, "unknown 'cog'"),
        ({"trained_by": "a" * 26}, 422, "there is no training"),
        ({"inputs": {"model": "anime"}}, 500, "The process that makes previews ended"),
    ],
)
def test_previews_that_cannot_be(
    alone: ConsoleServer, body: dict[str, Any], status: int, reason: str
) -> None:
    path = f"{PICTURES}/{_upload(alone)['id']}"
    answer = alone.post(f"{path}/part", json=body)
    assert (answer.status_code, reason in answer.json()["detail"]) == (status, True), answer.text
    assert alone.post(f"{path}/part", json={}).status_code == 200, "the next one is made"


@pytest.mark.slow
def test_the_process_of_previews_ends_when_idle_and_with_the_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
    monkeypatch.setattr("luxscaler.console.previews.IDLE_SECONDS", 0.05)
    with console_server(tmp_path, NOWHERE) as console:
        picture = _upload(console)

        def process() -> int:
            console.get(f"{PICTURES}/{picture['id']}/overview").raise_for_status()
            return int((console.data / "previews" / "asked").read_text().splitlines()[-1].split()[0])

        first = process()
        _until_gone(first)
        monkeypatch.setattr("luxscaler.console.previews.IDLE_SECONDS", 60)
        second = process()
        assert second != first
    _until_gone(second)


def _until_gone(process: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline, "it lives"
        time.sleep(0.01)


@pytest.mark.slow
def test_progress_result_and_compare_page(
    alone: ConsoleServer, work: Callable[[str], None], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    work(
        "echo 'stage: upscaling'; echo ' 40%|        | 40/100 [8 s left]'\n"
        f"while [ ! -e {go} ]; do sleep 0.02; done\n"
        "printf result > $OUT; printf '<title>compared</title>' > $REPORT"
    )
    job = alone.submit(
        kind="master", place="here", source=_upload(alone)["source"], inputs={"output_format": "png"}
    )
    found = alone.until_that(job, lambda found: found["step"] == 40)
    assert (found["stage"], found["steps"], found["eta_seconds"]) == ("upscaling", 100, 8.0)
    assert alone.get(f"/api/upscale/jobs/{job}/compare").status_code == 404
    go.touch()
    done = alone.until(job, "completed", "failed")
    assert {file["name"] for file in done["files"]} == {"output.png", "report.html"}
    assert alone.get(f"/api/cloud/jobs/{job}/files/output.png").content == b"result"
    named = alone.get(f"/api/upscale/jobs/{job}/download/output.png")
    assert named.content == b"result"
    assert 'filename="picture-upscaled.png"' in named.headers["content-disposition"]
    assert alone.get(f"/api/upscale/jobs/{job}/download/else.png").status_code == 404
    page = alone.get(f"/api/upscale/jobs/{job}/compare")
    assert page.text == "<title>compared</title>"
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy


def test_an_upload_that_breaks_off_leaves_nothing(
    alone: ConsoleServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that is loaded again in the middle: no file, and no traceback in the log."""
    address = httpx.URL(alone.url)
    host = f"Host: {address.netloc.decode()}"
    head = f"POST {PICTURES}?name=a.png HTTP/1.1\r\n{host}\r\nContent-Length: 900000\r\n\r\n"
    folder = alone.data / "pictures"
    with socket.create_connection((address.host, address.port or 80)) as half:
        half.sendall(head.encode() + bytes(1000))
        _until(lambda: bool(list(folder.glob("*/upload"))))
    _until(lambda: not list(folder.glob("*/upload")))
    _until(lambda: alone.get("/api/health/live").is_success)
    assert alone.get(PICTURES).json()["pictures"] == []
    assert not [record for record in caplog.records if record.exc_info]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_job_is_canceled_by_a_signal(alone: ConsoleServer, work: Callable[[str], None]) -> None:
    work("trap 'echo asked; exit 130' TERM; echo begun; while true; do sleep 0.02; done")
    job = alone.submit(kind="master", place="here", source=_upload(alone)["source"])
    alone.until_that(job, lambda _: "begun" in alone.get(f"/api/cloud/jobs/{job}/logs").text)
    alone.post(f"/api/cloud/jobs/{job}/cancel")
    assert alone.until(job, "canceled")["error"] == "canceled by the user"


def test_the_password_of_a_container_is_on_no_command_line(tmp_path: Path) -> None:
    inputs = {"cog": "http://me:hush@127.0.0.1:5000", "output_format": "exr"}
    command = _upscaling(tmp_path / "a.png", tmp_path / "output.exr", tmp_path / "report.html", inputs)
    assert "hush" not in " ".join(command)
    given = Path(command[-1])
    assert json.loads(given.read_text()) == inputs
    assert stat.S_IMODE(given.stat().st_mode) == 0o600


@pytest.mark.sample(2)
@pytest.mark.parametrize("cog", ["ftp://host", "nothing", "http://", 7])
def test_a_container_has_an_address(alone: ConsoleServer, cog: object) -> None:
    body = {"kind": "master", "source": _upload(alone)["source"], "inputs": {"cog": cog}}
    answer = alone.post("/api/cloud/jobs/submit", json={**body, "place": "here"})
    assert answer.status_code == 422
    assert "cog must be the address of a container" in answer.json()["detail"]


def test_an_uploaded_picture_goes_to_replicate(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, account.url, folders=()) as console:
        job = console.submit(kind="master", source=_upload(console)["source"], name="scan.png")
        console.until(job, "queued")
        assert console.job(job)["upload_bytes"] == len(_png())


def test_a_password_keeps_pictures_too(tmp_path: Path) -> None:
    with console_server(tmp_path, NOWHERE, password="correct horse") as console:
        assert console.post(PICTURES, content=_png()).status_code == 401
        assert console.get(PICTURES).status_code == 401
        assert list((console.data / "pictures").iterdir()) == []


def test_the_meter_never_falls(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luxscaler.console.local.upscaling._EVERY_SECONDS", 0.0)
    meter = Meter()
    for share in (0.0, 0.5, 0.2, 1.0):
        meter.within(0, share)
    meter.advance(Progress(1, 2))
    meter.within(1, 0.5)
    meter.advance(Progress(2, 2))
    lines = capsys.readouterr().out.splitlines()
    shown = [read_progress(line) for line in lines]
    assert [each.step for each in shown] == [0, 50, 75, 100]
    assert [each.steps for each in shown] == [100] * 4
    assert shown[2].eta_seconds is not None


@pytest.mark.slow
def test_a_part_is_what_the_whole_result_has_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small network of random weights: preview and run, the same pixels but for the context's edge."""
    from luxscaler import api

    monkeypatch.setattr("luxscaler.console.local.preview_process.SIDES", {"cpu": 24})
    base = write_base(tmp_path / "base.safetensors")
    noise = np.random.default_rng(3).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    source = tmp_path / "noise.png"
    Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(source)
    inputs = {"model": str(base), "output_format": "exr", "width": 4 * 96, "hdr_boost": 4, "wrap": "none"}
    previews = Previews(tmp_path)
    task = {"kind": "part", "path": str(source), "x": 0.3, "y": 1.0, "inputs": inputs}
    told, data = previews.answer(task)
    again, _ = previews.answer(task)
    api.upscale(source, tmp_path / "out.exr", scale=4, model=base, hdr_boost=4)
    left, top, width, height = told["box"]
    whole = api.read(tmp_path / "out.exr").rgb[4 * top : 4 * (top + height), 4 * left : 4 * (left + width)]
    assert (told["before"], told["after"]) == ([width, height], [4 * width, 4 * height])
    assert (told["first"], again["first"]) == (True, False)
    light = np.frombuffer(data, "<f2").astype(np.float32)
    after = light[3 * width * height :].reshape(whole.shape)
    assert np.abs(after - whole).max() < 0.02 * max(whole.max(), 1.0)
    overview, small = previews.answer({"kind": "overview", "path": str(source)})
    assert len(small) == 6 * overview["overview"][0] * overview["overview"][1]


def test_what_is_wrong_with_a_preview_is_its_answer(tmp_path: Path) -> None:
    asked = json.dumps({"kind": "overview", "path": str(tmp_path / "absent.png")}).encode()
    answers = io.BytesIO()
    serve(tmp_path, io.BytesIO(asked + b"\n"), answers)
    told = json.loads(answers.getvalue())
    assert "absent.png" in told["error"]
    assert told["bytes"] == 0


def test_a_running_container_does_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target, report = (tmp_path / name for name in ("scan.png", "output.png", "report.html"))
    source.write_bytes(_png(48, 32))
    before = signal.getsignal(signal.SIGTERM)
    try:
        with fake_cog() as cog:
            inputs = {"cog": cog.url, "model": "fast", "output_format": "png", "scale": 2}
            inputs |= {"width": 90, "wrap": "x", "profile": "display-p3", "title": "dusk.jpg, larger"}
            status = upscaling.main(source, target, report, inputs)
            asked = [set(each.input) for each in cog.predictions]
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr().out
    assert status == 0, said
    # What belongs to the whole picture is done here, not asked of the container too.
    sent = {"tile_input", "global_reference", "tile_box", "output_format", "fractality", "scale", "model"}
    assert asked == [sent]
    assert Image.open(target).size == (90, 60)
    assert "<title>dusk.jpg, larger" in report.read_text()
    assert read_progress(said).step == 100
    assert said.endswith("output.png: 90 × 60, peak 0.127\n")


def test_an_error_of_the_work_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    source, target, report = (tmp_path / name for name in ("absent.png", "output.png", "report.html"))
    inputs = {"output_format": "png", "model": str(tmp_path / "no.pth")}
    try:
        assert upscaling.main(source, target, report, inputs) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().out.splitlines()[-1].startswith("error: ")


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), [("tiff16", "output.tiff"), ("png-pq", "output.png")])
def test_results_have_suffixes_that_programs_know(
    alone: ConsoleServer, work: Callable[[str], None], form: str, name: str
) -> None:
    work("echo x > $OUT")
    inputs = {"output_format": form}
    job = alone.submit(kind="master", place="here", source=_upload(alone)["source"], inputs=inputs)
    assert [file["name"] for file in alone.until(job, "completed")["files"]] == [name]
