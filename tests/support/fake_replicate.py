"""A stand-in for Replicate's API in memory: a transport for httpx, and a clock that runs while one waits.

    replicate = FakeReplicate()
    ReplicateBackend(TOKEN, VERSION, transport=replicate, clock=replicate.clock)
    replicate.fault = lambda call, number: "500" if call == "create" and number == 3 else None

A fault is decided before each call by its kind (upload, create, get, cancel, list, output) and number (from
1, by kind). Before the call is carried out: "429", "500", "refuse" (no connection), "reset", "401" and other
numbers. After it was carried out: "late 500", "late reset", "late timeout", "html". Of an output: "truncate",
"short" (without a length), "slow", "garbage", "other" (another tile's), "nan", "redirect". Of a prediction,
decided at its create: "model fails", "no output", "stuck".

Every request's Authorization header is checked: the token belongs to the API's host and to no other.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

import hdr_exporter
from luxscaler.backends import exr_transport
from luxscaler.clock import iso
from luxscaler.geometry import TileBox
from luxscaler.io.read import read_picture
from tests.support.fake_clock import JumpingClock

TOKEN = "r8_canary0123456789"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
API = "https://api.replicate.com"
DELIVERY = "https://replicate.delivery"
HOUR = 3600.0
PAGE = 4
"""Predictions on a page of the list."""
Json = dict[str, Any]


@dataclass
class Made:
    """A prediction that was created: it is paid for."""

    id: str
    created_at: float
    input: Json
    fault: str | None
    canceled_at: float | None = None


@dataclass
class FakeReplicate(httpx.BaseTransport):
    """What the server holds and was asked."""

    clock: JumpingClock = field(default_factory=JumpingClock)
    fault: Callable[[str, int], str | None] = lambda _call, _number: None
    seconds: float = 3.0
    """A prediction takes so long."""
    listed_after: float = 0.0
    """A prediction is listed only so long after its creation."""
    creates_per_minute: int = 600
    made: list[Made] = field(default_factory=list)
    files: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    bodies: list[Json] = field(default_factory=list)
    has_version: bool = True
    """Whether the model has a version."""
    refused: int = 0
    """Creates beyond the limit."""
    _times: list[float] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self._check_token(request)
        call = _kind(request)
        with self._lock:
            self.calls[call] += 1
            fault = self.fault(call, self.calls[call])
            early = self._early(call, fault) or self._model(call)
            if early is not None:
                return early
            answer = self._carry_out(call, request, fault)
        if fault == "late 500":
            return httpx.Response(500, text="Internal Server Error")
        if fault == "late reset":
            raise httpx.ReadError("connection reset by peer", request=request)
        if fault == "late timeout":
            self.clock.sleep(30.0)
            raise httpx.ReadTimeout("timed out", request=request)
        return httpx.Response(200, html="<html>hello</html>") if fault == "html" else answer

    def prediction(self, made: Made) -> Json:
        """What the API says about it now."""
        now = self.clock.now()
        end = made.created_at + self.seconds
        status, error = (
            "succeeded",
            None if made.fault != "model fails" else "E1001: the model ran out of memory",
        )
        output: str | None = f"{DELIVERY}/{made.id}.exr"
        if made.fault == "model fails":
            status, output = "failed", None
        elif made.fault == "no output":
            output = None
        if made.canceled_at is not None and made.canceled_at < end:
            status, output, end = "canceled", None, made.canceled_at
        elif now < end or made.fault == "stuck":
            status, output = "processing", None
        removed = status != "processing" and now > end + HOUR
        over = status != "processing"
        return {
            "id": made.id,
            "model": "josfer/luxscaler-v32",
            "version": VERSION,
            "input": {} if removed else made.input,
            "output": None if removed else output,
            "data_removed": removed,
            "error": error,
            "logs": "",
            "status": status,
            "created_at": iso(made.created_at),
            "metrics": {"predict_time": end - made.created_at} if over else {},
            "urls": {"get": f"{API}/v1/predictions/{made.id}"},
        }

    def _early(self, call: str, fault: str | None) -> httpx.Response | None:
        if fault == "refuse":
            raise httpx.ConnectError("connection refused")
        if fault == "reset":
            raise httpx.ReadError("connection reset by peer")
        if fault == "429":
            return httpx.Response(429, json={"detail": "throttled", "status": 429, "retry_after": 7})
        if fault is not None and fault.isdigit():
            return httpx.Response(int(fault), json={"title": "No", "detail": f"told to {fault} {TOKEN}"})
        if call == "create":
            now = self.clock.now()
            self._times = [moment for moment in self._times if moment > now - 60]
            if len(self._times) >= self.creates_per_minute:
                self.refused += 1
                wait = max(1, round(self._times[0] + 60 - now))
                return httpx.Response(429, json={"detail": "throttled", "retry_after": wait})
            self._times.append(now)
        return None

    def _model(self, call: str) -> httpx.Response | None:
        newest = {"id": VERSION} if self.has_version else None
        return httpx.Response(200, json={"latest_version": newest}) if call == "model" else None

    def _carry_out(self, call: str, request: httpx.Request, fault: str | None) -> httpx.Response:
        path = request.url.path
        if call == "upload":
            name = f"file{len(self.files):04d}"
            self.files[name] = (self.clock.now(), _content(request))
            return httpx.Response(201, json={"id": name, "urls": {"get": f"{API}/v1/files/{name}"}})
        if call == "create":
            return self._create(request, fault)
        if call == "list":
            return self._page(int(request.url.params.get("cursor", "0")))
        if call == "output":
            return self._output(path.strip("/").removesuffix(".exr"), fault)
        found = next((made for made in self.made if made.id == path.split("/")[3]), None)
        if found is None:
            return httpx.Response(404, json={"title": "Not found"})
        if call == "cancel" and found.canceled_at is None:
            found.canceled_at = self.clock.now()
        return httpx.Response(200, json=self.prediction(found))

    def _create(self, request: httpx.Request, fault: str | None) -> httpx.Response:
        body = json.loads(request.content)
        assert body["version"] == VERSION
        assert request.headers["cancel-after"].endswith("s")
        self.bodies.append(body)
        made = Made(f"prediction{len(self.made):04d}", self.clock.now(), body["input"], fault)
        self.made.append(made)
        return httpx.Response(201, json=self.prediction(made) | {"status": "starting"})

    def _page(self, cursor: int) -> httpx.Response:
        until = self.clock.now() - self.listed_after
        newest = [made for made in reversed(self.made) if made.created_at <= until]
        page = [self.prediction(made) for made in newest[cursor : cursor + PAGE]]
        more = cursor + PAGE < len(newest)
        following = f"https://elsewhere.example/v1/predictions?cursor={cursor + PAGE}" if more else None
        return httpx.Response(200, json={"previous": None, "next": following, "results": page})

    def _output(self, name: str, fault: str | None) -> httpx.Response:
        made = next((made for made in self.made if made.id == name), None)
        if made is None or self.prediction(made)["output"] is None:
            return httpx.Response(404)
        if fault == "redirect":
            return httpx.Response(302, headers={"location": f"https://cdn.example/{name}.exr"})
        if fault == "other":
            made = self.made[(self.made.index(made) + 1) % len(self.made)]
        data = self._upscaled(made)
        if fault == "garbage" or made.fault == "garbage":
            data = b"no picture"
        if fault in ("truncate", "slow"):
            length = {"content-length": str(len(data))}
            return httpx.Response(200, headers=length, stream=_Pieces(data, fault, self.clock))
        if fault == "short":
            data = data[: len(data) // 2]
        return httpx.Response(200, content=data)

    def _upscaled(self, made: Made) -> bytes:
        """Every pixel repeated, and where the tile sits, as a container writes it."""
        moment, file = self.files[made.input["tile_input"].rsplit("/", 1)[1]]
        assert made.created_at - moment < 24 * HOUR
        reference = made.input.get("global_reference")
        if reference is not None:
            assert made.created_at - self.files[reference.rsplit("/", 1)[1]][0] < 24 * HOUR
        picture, scale = read_picture(file), int(made.input["scale"])
        box = made.input.get("tile_box")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "a.exr"
            rgb = np.ascontiguousarray(picture.rgb.repeat(scale, 0).repeat(scale, 1))
            metadata = {"tile_box": str(TileBox.parse(box))} if box else {}
            hdr_exporter.export(path, rgb, metadata=metadata)
            return path.read_bytes()

    @staticmethod
    def _check_token(request: httpx.Request) -> None:
        header = request.headers.get("authorization")
        expected = f"Bearer {TOKEN}" if str(request.url).startswith(API) else None
        assert header == expected, f"{request.method} {request.url} has {header!r}"
        assert TOKEN not in str(request.url)


@dataclass
class _Pieces(httpx.SyncByteStream):
    data: bytes
    fault: str
    clock: JumpingClock

    def __iter__(self) -> Iterator[bytes]:
        step = max(1, len(self.data) // 4)
        for start in range(0, len(self.data), step):
            if self.fault == "truncate" and start >= len(self.data) // 2:
                raise httpx.RemoteProtocolError("peer closed connection without sending complete body")
            self.clock.sleep(200.0 if self.fault == "slow" else 0.0)
            yield self.data[start : start + step]


def _kind(request: httpx.Request) -> str:
    method, path = request.method, request.url.path
    if not str(request.url).startswith(API):
        return "output"
    if (method, path) == ("POST", "/v1/files"):
        return "upload"
    if path == "/v1/predictions":
        return "create" if method == "POST" else "list"
    if path.startswith("/v1/models/"):
        return "model"
    return "cancel" if path.endswith("/cancel") else "get"


def _content(request: httpx.Request) -> bytes:
    """The file in a multipart body."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    part = request.content.split(b"--" + boundary)[1]
    head, _, data = part.partition(b"\r\n\r\n")
    assert b'name="content"' in head
    assert exr_transport.CONTENT_TYPE.encode() in head
    return data.removesuffix(b"\r\n")
