"""A stand-in for the container's Cog server: the same HTTP, a nearest-neighbour upscaler, faults on request.

    with fake_cog() as cog:                 # listens on 127.0.0.1, READY at once
        cog.url                             # for `--cog URL`, or for a backend that talks to Cog itself
        cog.seconds = 2.0                   # predictions take this long, cancelable
        cog.fault = "cut"                   # see Fault; None ends it
        cog.predictions                     # every prediction that was accepted: id, input, status, times
        cog.calls["PUT /predictions/{id}"]  # every request, refused ones too
        cog.vanish(); cog.revive()          # the container is lost; comes back at the same address
    cog.becomes("STARTING")             # health, and its gateway has heard it

`python -m tests.support.fake_cog PORT [SECONDS]` runs one in a process of its own.

It behaves as coglet 0.23.1 was seen to: POST /predictions and PUT /predictions/{id}, waiting or with
`Prefer: respond-async`; one prediction at a time, 409 for the second; a PUT of the id that runs answers
202; a model's failure is a 200 with `status: failed`; a dropped connection cancels; cancel answers 200, or
404 for an unknown id; /trainings as /predictions, if `kind` is trainings; `webhook` and
`webhook_events_filter`, unsigned, logs at most every half second; outputs as data URLs, of EXR as
application/octet-stream. tests/support/test_fake_cog.py compares the two. Half-way it prints a line. Left
out: --upload-url, concurrency above 1, input checks.
"""

import base64
import contextlib
import json
import os
import select
import socket
import struct
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Literal

import numpy as np

from luxscaler.io.formats import suffix_of
from luxscaler.io.read import read_picture
from luxscaler.io.write import export

Json = dict[str, Any]
Fault = Literal["fail", "500", "cut", "html", "truncate", "refuse", "deaf"]
"""fail: the model fails; 500: a server's error; cut: the connection breaks when the prediction would be done;
html: no JSON; truncate: half of the reply; refuse: 409 although the health check says READY; deaf: a cancel
is acknowledged, and only a dropped connection ends the prediction."""

INPUTS: Json = {
    "tile_input": {"type": "string", "format": "uri", "x-order": 0},
    "global_reference": {"type": "string", "format": "uri", "nullable": True, "x-order": 1},
    "output_format": {"type": "string", "enum": ["webp", "png", "tiff", "exr"], "default": "webp"},
    "hdr_boost": {"type": "number", "minimum": 1.0, "maximum": 49.0, "default": 1.0},
    "fractality": {"type": "number", "minimum": 0.0, "maximum": 2.0, "default": 1.0},
    "scale": {"type": "number", "minimum": 1.0, "maximum": 8.0, "default": 4.0},
    "tile_box": {"type": "string", "default": ""},
    "model": {"type": "string", "enum": ["photo", "anime", "fast", "trained"], "default": "photo"},
    "sdr": {"type": "boolean", "default": False},
}
OPENAPI: Json = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {
        "schemas": {
            "Input": {"type": "object", "title": "Input", "required": ["tile_input"], "properties": INPUTS},
            "Output": {"type": "string", "format": "uri", "title": "Output"},
        }
    },
}


@dataclass
class FakePrediction:
    """One prediction that was accepted."""

    id: str
    input: Json
    webhook: str = ""
    events: tuple[str, ...] = ("start", "output", "logs", "completed")
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    status: str = "processing"
    output: Any = None
    error: str = ""
    logs: str = ""
    canceled: threading.Event = field(default_factory=threading.Event)

    def reply(self) -> Json:
        """What Cog would say about it now."""
        seconds = {} if self.ended is None else {"predict_time": self.ended - self.started}
        reply: Json = {"id": self.id, "logs": self.logs, "metrics": seconds, "status": self.status}
        if self.output is not None:
            reply["output"] = self.output
        return reply | ({"error": self.error} if self.error else {})


@dataclass
class FakeCog:
    """A running stand-in; its public fields may be changed at any time."""

    seconds: float = 0.0
    kind: str = "predictions"
    """Or trainings: a server in train mode, whose output is an object with weights."""
    fault: Fault | None = None
    health: str = "READY"
    output: Any = None
    """Instead of an upscaled picture: bytes (sent as a data URL) or any JSON."""
    schema: Json | None = field(default_factory=lambda: OPENAPI)
    webhook_interval: float = 0.5
    """Seconds: Cog drops the webhooks of logs that come sooner after another one."""
    predictions: list[FakePrediction] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: FakePrediction | None = None
    port: int = 0
    _server: "_Server | None" = None

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def revive(self) -> None:
        """Listen: at first, or again at the same port."""
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.cog = self
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def vanish(self) -> None:
        """Stop listening and reset every open connection, as a killed container does."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):
            _reset(connection)
        if self.running is not None:
            self.running.canceled.set()

    def becomes(self, health: str) -> None:
        """Say so from now on; return when its one gateway has heard it, which may act on an earlier READY."""
        self.health, told, deadline = health, f"health {health}", time.monotonic() + 10.0
        heard = self.calls[told]
        while self.calls[told] == heard:
            assert time.monotonic() < deadline, "nobody asks for the health of this container"
            time.sleep(0.005)

    def reset(self) -> None:
        """As it was at first: what runs is canceled, what was seen is forgotten."""
        self.seconds, self.fault, self.health, self.output = 0.0, None, "READY", None
        while (running := self.running) is not None:
            running.canceled.set()
            time.sleep(0.001)
        self.predictions.clear()
        self.calls.clear()

    def take(self, prediction: FakePrediction) -> bool:
        """Whether the one slot was free; it is taken then."""
        with self.lock:
            if self.running is not None or self.health != "READY" or self.fault == "refuse":
                return False
            self.running = prediction
            self.predictions.append(prediction)
            return True

    def work(self, prediction: FakePrediction, connection: socket.socket | None) -> None:
        """Run it to its end; a connection that its client dropped cancels it."""
        try:
            _notify(prediction, "start")
            self._sleep(prediction, connection)
            if not prediction.canceled.is_set():
                prediction.logs += "fake: upsampling\n"
                if self.seconds / 2 >= self.webhook_interval:
                    _notify(prediction, "logs")
                self._sleep(prediction, connection)
            if prediction.canceled.is_set():
                prediction.status = "canceled"
            elif self.fault == "fail":
                prediction.status, prediction.error = "failed", "Prediction failed: ValueError: told to fail"
            elif self.kind == "trainings":
                prediction.output = {"weights": _output(self.output or b"weights", {}, "application/x-tar")}
                prediction.status = "succeeded"
            else:
                prediction.output = _output(self.output, prediction.input)
                prediction.status = "succeeded"
        except Exception as error:  # as Cog does with a predictor's error
            prediction.status, prediction.error = "failed", f"Prediction failed: {error}"
        finally:
            prediction.ended = time.monotonic()
            with self.lock:
                self.running = None
        _notify(prediction, "completed")

    def _sleep(self, prediction: FakePrediction, connection: socket.socket | None) -> None:
        """Half of its time, or until it is canceled."""
        end = time.monotonic() + self.seconds / 2
        while (left := end - time.monotonic()) > 0 and not prediction.canceled.wait(min(left, 0.02)):
            if connection is not None and _dropped(connection):
                prediction.canceled.set()


@contextmanager
def fake_cog(**fields: Any) -> Iterator[FakeCog]:
    """A stand-in for the time of the block; fields are FakeCog's, e.g. seconds=1.0."""
    cog = FakeCog(**fields)
    cog.revive()
    try:
        yield cog
    finally:
        cog.vanish()


def _output(told: Any, inputs: Json, content_type: str = "application/octet-stream") -> Any:
    if isinstance(told, bytes):
        return f"data:{content_type};base64,{base64.b64encode(told).decode()}"
    return told if told is not None else _upsampled(inputs)


def _upsampled(inputs: Json) -> str:
    """The tile, each pixel repeated, in the format asked for, as a data URL."""
    picture = read_picture(_fetch(str(inputs["tile_input"])))
    scale, file_format = float(inputs.get("scale", 4.0)), str(inputs.get("output_format", "webp"))
    rows, columns = (
        np.minimum((np.arange(round(side * scale)) / scale).astype(int), side - 1)
        for side in (picture.height, picture.width)
    )
    alpha = None if picture.alpha is None else picture.alpha[rows][:, columns]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"output{suffix_of(file_format)}"
        export(path, np.ascontiguousarray(picture.rgb[rows][:, columns]), alpha, file_format=file_format)
        data = base64.b64encode(path.read_bytes()).decode()
    kind = None if path.suffix == ".exr" else guess_type(path.name)[0]
    return f"data:{kind or 'application/octet-stream'};base64,{data}"


def _fetch(source: str) -> bytes:
    """Bytes of a data URL, an http URL, or, as with Cog, a local path."""
    if source.startswith("data:"):
        return base64.b64decode(source.partition(",")[2])
    if source.startswith(("http:", "https:")):
        with urllib.request.urlopen(source, timeout=10) as answer:
            return bytes(answer.read())
    return Path(source).read_bytes()


def _notify(prediction: FakePrediction, event: str) -> None:
    if not prediction.webhook or event not in prediction.events:
        return
    body = json.dumps(prediction.reply()).encode()
    request = urllib.request.Request(prediction.webhook, body, {"Content-Type": "application/json"})
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:
        answer.read()


def _dropped(connection: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):  # ValueError: closed on this side
        return True


def _reset(connection: socket.socket) -> None:
    """RST instead of FIN: the peer's read fails at once."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())  # close() would wait for the handler's files


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    cog: FakeCog

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tests break connections on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        cog = self.server.cog
        cog.calls[f"GET {self.path}"] += 1
        if self.path == "/health-check":
            busy = cog.health == "READY" and cog.running is not None
            health = "BUSY" if busy else cog.health
            cog.calls[f"health {health}"] += 1
            self._send(
                200,
                {
                    "status": health,
                    "setup": {"status": "succeeded"},
                    "version": {"coglet": "0.23.1"},
                },
            )
        elif self.path == "/openapi.json" and cog.schema is not None:
            self._send(200, cog.schema)
        elif self.path == "/openapi.json":
            self._send(503, {"error": "OpenAPI schema not available"})
        else:
            self._send(404, {"detail": "Not found"})

    def do_POST(self) -> None:
        cog = self.server.cog
        parts = self.path.strip("/").split("/")
        if parts[-1] == "cancel":
            cog.calls[f"POST /{parts[0]}/{{id}}/cancel"] += 1
            running = cog.running if parts[0] == cog.kind else None
            found = running is not None and running.id == urllib.parse.unquote(parts[1])
            if running is not None and found and cog.fault != "deaf":
                running.canceled.set()
            self._body()
            self._send(200 if found else 404, {})
        else:
            cog.calls["POST /predictions"] += 1
            self._predict("")

    def do_PUT(self) -> None:
        kind, name = self.path.strip("/").split("/")
        self.server.cog.calls[f"PUT /{kind}/{{id}}"] += 1
        if kind == self.server.cog.kind:
            self._predict(urllib.parse.unquote(name))
        else:
            self._body()
            self._send(404, {"detail": "Not found"})

    def _predict(self, name: str) -> None:
        cog, body = self.server.cog, json.loads(self._body())
        running = cog.running
        if running is not None and name and running.id == name:
            self._send(202, running.reply() | {"input": running.input})
            return
        if cog.fault == "500":
            self._send(500, {"error": "told to be broken"})
            return
        prediction = FakePrediction(name or body.get("id") or f"fake{time.monotonic_ns()}", body["input"])
        prediction.webhook = body.get("webhook") or ""
        prediction.events = tuple(body.get("webhook_events_filter") or prediction.events)
        if not cog.take(prediction):
            self._send(409, {"error": "At capacity - all prediction slots busy", "status": "failed"})
        elif "respond-async" in self.headers.get("Prefer", ""):
            threading.Thread(target=cog.work, args=(prediction, None), daemon=True).start()
            self._send(202, {"id": prediction.id, "status": "starting"})
        else:
            cog.work(prediction, self.connection)
            self._answer(prediction)

    def _answer(self, prediction: FakePrediction) -> None:
        """The reply of a prediction that was waited for, or what a fault makes of it."""
        fault, reply = self.server.cog.fault, prediction.reply()
        if fault == "cut":
            _reset(self.connection)
        elif fault == "html":
            self._send(200, None, b"<html>gateway</html>")
        elif fault == "truncate":
            self._send(200, None, json.dumps(reply).encode(), keep=0.5)
        else:
            self._send(200, reply)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, reply: Json | None, raw: bytes = b"", keep: float = 1.0) -> None:
        data = raw if reply is None else json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if reply is not None else "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: int(len(data) * keep)])
        self.close_connection = self.close_connection or keep < 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Tests need no log."""


def main() -> None:
    """Serve until killed: python -m tests.support.fake_cog PORT [SECONDS]."""
    cog = FakeCog(port=int(sys.argv[1]), seconds=float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
    cog.revive()
    threading.Event().wait()


if __name__ == "__main__":
    main()
