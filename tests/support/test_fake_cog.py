"""Whether the stand-in for Cog answers as Cog does: the same calls to both, no weights needed."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from luxscaler.io.read import read_picture
from tests.gateway.test_runner import eventually, tile_url
from tests.support.cog_server import cog_server
from tests.support.fake_cog import fake_cog
from tests.support.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.slow

SECONDS = 1.5
PREDICTOR = f"""
import tempfile, time
from cog import BasePredictor, Path

class Predictor(BasePredictor):
    def sleep(self):
        end = time.monotonic() + {SECONDS} / 2
        while time.monotonic() < end:
            time.sleep(0.01)

    def predict(self, tile_input: str, output_format: str = "exr", fail: bool = False) -> Path:
        self.sleep()
        print("fake: upsampling", flush=True)
        self.sleep()
        if fail:
            raise ValueError("told to fail")
        path = tempfile.mkdtemp() + "/output.exr"
        open(path, "wb").write(b"v/1")
        return Path(path)
"""
Reply = tuple[int, Any]


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The stand-in, and Cog."""
    folder = tmp_path_factory.mktemp("cog")
    (folder / "slow_predict.py").write_text(PREDICTOR)
    stub = f"{folder}/slow_predict.py:Predictor"
    with (
        fake_cog(seconds=SECONDS, schema=None) as fake,
        cog_server(folder, COG_PREDICT_TYPE_STUB=stub) as cog,
    ):
        yield fake.url, cog.url


def client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=30, trust_env=False)


def shape(answer: httpx.Response) -> Reply:
    """Status, and the body without what differs from run to run."""
    body = answer.json()
    for name in ("metrics", "output", "error", "setup", "version"):
        if name in body:
            body[name] = name == "output" and str(body[name]).partition(",")[0]
    return answer.status_code, body


def inputs(**more: Any) -> dict[str, Any]:
    return {"input": {"tile_input": tile_url(), "output_format": "exr", **more}}


def ready(http: httpx.Client) -> None:
    eventually(lambda: http.get("/health-check").json()["status"] == "READY")


def success(http: httpx.Client) -> list[Reply]:
    return [shape(http.put("/predictions/a", json=inputs()))]


def busy(http: httpx.Client) -> list[Reply]:
    wish = inputs()
    first = http.put("/predictions/b", json=wish, headers={"Prefer": "respond-async"})
    eventually(lambda: http.get("/health-check").json()["status"] == "BUSY")
    time.sleep(0.3)
    again = http.put("/predictions/b", json=wish)
    return [
        shape(first),
        shape(again),
        shape(http.put("/predictions/c", json=wish)),
        shape(http.post("/predictions", json=wish)),
        shape(http.get("/health-check")),
    ]


def canceled(http: httpx.Client) -> list[Reply]:
    replies: list[Reply] = []

    def wait() -> None:
        with client(str(http.base_url)) as other:
            replies.append(shape(other.put("/predictions/d", json=inputs())))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.4)
    cancel = shape(http.post("/predictions/d/cancel"))
    waiting.join()
    return [cancel, *replies, shape(http.post("/predictions/d/cancel"))]


def dropped(http: httpx.Client) -> list[Reply]:
    """A connection that its client drops: the slot is free before the prediction would have been over."""
    start = time.monotonic()
    with client(str(http.base_url)) as other, pytest.raises(httpx.ReadTimeout):
        other.put("/predictions/e", json=inputs(), timeout=0.3)
    ready(http)
    return [(int(time.monotonic() - start < SECONDS), None)]


def without_schema(http: httpx.Client) -> list[Reply]:
    return [(http.get("/openapi.json").status_code, None)]


def webhooks(http: httpx.Client) -> list[Reply]:
    with webhook_receiver() as receiver:
        body = inputs() | {"webhook": receiver.url, "webhook_events_filter": ["start", "logs"]}
        http.put("/predictions/f", json=body)
        received = [json.loads(delivery.body) for delivery in receiver.wait(2)]
    return [(0, {**found, "metrics": 0}) for found in received]


@pytest.mark.parametrize("calls", [success, busy, canceled, dropped, without_schema, webhooks])
def test_the_stand_in_answers_as_cog_does(
    urls: tuple[str, str], calls: Callable[[httpx.Client], list[Reply]]
) -> None:
    replies = []
    for url in urls:
        with client(url) as http:
            ready(http)
            replies.append(calls(http))
            ready(http)
    assert replies[0] == replies[1]


def test_a_failure_is_a_200(urls: tuple[str, str]) -> None:
    wrong = ({"input": {"tile_input": "data:,x"}}, inputs(fail=True))
    for url, body in zip(urls, wrong, strict=True):
        with client(url) as http:
            ready(http)
            status, reply = shape(http.put("/predictions/g", json=body))
            assert (status, reply["status"], set(reply)) == (
                200,
                "failed",
                {"id", "logs", "metrics", "status", "error"},
            )


def test_the_stand_in_repeats_each_pixel() -> None:
    with fake_cog() as cog, client(cog.url) as http:
        for scale, width in ((1, 6), (2.5, 15), (4, 24)):
            body = inputs(scale=scale)
            output = http.put("/predictions/a", json=body).json()["output"]
            picture = read_picture(base64.b64decode(output.partition(",")[2]))
            assert (picture.width, picture.height) == (width, round(4 * scale))
