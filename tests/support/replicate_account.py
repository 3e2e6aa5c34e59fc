"""A stand-in for one account at Replicate on 127.0.0.1: predictions and trainings that a test brings on.

    with replicate_account() as account:
        account.url                          # REPLICATE_BASE_URL; account.token is accepted
        run = account.runs[-1]               # whatever was created, paid or not
        account.tell(run, "processing", logs="…")
        account.finish(run, seconds=12.5)    # output: a file that account serves
        account.webhook(run)                 # (body, headers): signed, as Replicate sends it

`account.fault` is asked before each call for its kind (account, secret, upload, create, get, list, cancel,
versions, output) and number: "drop" carries out the call and closes the connection without an answer,
"refuse" closes it before, a number is that status. tests/support/gateway_server.py is the other server with
Replicate's API, which runs predictions on Cog.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from luxscaler.clock import Clock, iso
from luxscaler.replicate.signing import new_id, webhook_headers

TOKEN = "r8_canary0123456789"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
MODEL = "josfer/luxscaler-v32"
OUTPUT = b"the weights of a training"
Json = dict[str, Any]


@dataclass
class Run:
    """A prediction or a training."""

    id: str
    kind: str
    body: Json
    created_at: float
    status: str = "starting"
    logs: str = ""
    output: Any = None
    error: str | None = None
    predict_time: float | None = None
    started_at: float | None = None


@dataclass
class Account:
    """What the server holds and was asked."""

    url: str = ""
    token: str = TOKEN
    secret: str = SECRET
    clock: Clock = field(default_factory=Clock)
    runs: list[Run] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    fault: Callable[[str, int], str | None] = lambda _call, _number: None
    output: bytes = OUTPUT
    version_pages: int = 1
    lock: threading.RLock = field(default_factory=threading.RLock)

    def tell(self, run: Run, status: str, *, logs: str = "", seconds: float | None = None) -> None:
        """Change a run."""
        with self.lock:
            run.status = status
            run.logs += logs
            run.predict_time = seconds if seconds is not None else run.predict_time
            if status == "processing" and run.started_at is None:
                run.started_at = self.clock.now()

    def finish(
        self, run: Run, *, seconds: float = 10.0, version: str = f"x/y:{VERSION}", error: str = ""
    ) -> None:
        """It has succeeded; with an error, it has failed after its output was there. All of it at once: the
        console may ask at any moment. version: that a training has made."""
        file = f"{self.url}/output/{run.id}"
        with self.lock:
            is_training = run.kind == "trainings"
            run.output = {"version": version, "weights": f"{file}.tar"} if is_training else f"{file}.exr"
            run.error = error or run.error
            self.tell(run, "failed" if error else "succeeded", seconds=seconds)

    def webhook(self, run: Run, webhook_id: str = "") -> tuple[bytes, dict[str, str]]:
        """(body, headers) as they would be sent now."""
        body = json.dumps(self.document(run)).encode()
        return body, webhook_headers(
            self.secret, webhook_id or f"msg_{new_id()}", int(self.clock.now()), body
        )

    def document(self, run: Run) -> Json:
        """A run as the API's JSON, at one moment."""
        with self.lock:
            return self._document(run)

    def _document(self, run: Run) -> Json:
        return {
            "id": run.id,
            "model": MODEL,
            "version": VERSION,
            "input": run.body["input"],
            "output": run.output,
            "logs": run.logs,
            "error": run.error,
            "status": run.status,
            "created_at": iso(run.created_at),
            "started_at": iso(run.started_at),
            "metrics": {} if run.predict_time is None else {"predict_time": run.predict_time},
            **({"webhook": run.body["webhook"]} if "webhook" in run.body else {}),
            "urls": {"get": f"{self.url}/v1/{run.kind}/{run.id}"},
        }


@contextmanager
def replicate_account(**values: Any) -> Iterator[Account]:
    """A server for the time of the block."""
    account = Account(**values)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.account = account
        account.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield account
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    account: Account


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Tests need no log."""

    def _answer(self, method: str) -> None:
        account, path = self.server.account, self.path.partition("?")[0]
        body = self._body()
        call = _kind(method, path)
        with account.lock:
            account.calls[call] += 1
            fault = account.fault(call, account.calls[call])
            if fault == "refuse":
                self.close_connection = True
                return
            if fault is not None and fault.isdigit():
                self._send(int(fault), {"title": "No", "detail": f"told to {fault}"})
                return
            if call == "output":
                assert "authorization" not in self.headers, "the token went to a file's address"
                self._send_bytes(200, account.output)
                return
            if self.headers.get("authorization") != f"Bearer {account.token}":
                self._send(401, {"title": "Unauthenticated", "detail": f"no token {account.token}"})
                return
            status, reply = self._carry_out(account, call, path, body)
        if fault == "drop":
            self.close_connection = True
            return
        self._send(status, reply)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _carry_out(self, account: Account, call: str, path: str, body: bytes) -> tuple[int, Json]:
        if call in ("account", "secret", "versions", "upload"):
            return self._of_account(account, call, body)
        parts = path.strip("/").split("/")
        kind = "trainings" if "trainings" in parts else "predictions"
        if call == "create":
            run = Run(new_id(), kind, json.loads(body), account.clock.now())
            account.runs.append(run)
            return 201, account.document(run)
        if call == "list":
            found = [account.document(run) for run in reversed(account.runs) if run.kind == kind]
            return 200, {"next": None, "previous": None, "results": found}
        run_or_none = next((run for run in account.runs if run.id == parts[2]), None)
        if run_or_none is None:
            return 404, {"title": "Not found"}
        if call == "cancel" and run_or_none.status in ("starting", "processing"):
            run_or_none.status = "canceled"
        return 200, account.document(run_or_none)

    def _of_account(self, account: Account, call: str, body: bytes) -> tuple[int, Json]:
        if call == "upload":
            name = f"file{len(account.uploads):04d}"
            account.uploads[name] = _content(body)
            return 201, {"id": name, "urls": {"get": f"{account.url}/v1/files/{name}"}}
        if call == "versions":
            return 200, self._versions(account)
        if call == "secret":
            return 200, {"key": account.secret}
        names = {"type": "user", "username": "ada", "name": "Ada"}
        return 200, {**names, "github_url": "https://github.com/ada"}

    def _versions(self, account: Account) -> Json:
        page = int(re.search(r"cursor=(\d+)", self.path)[1]) if "cursor=" in self.path else 0  # type: ignore[index]
        name = VERSION if page == 0 else f"{page:064x}"
        following = f"{account.url}{self.path.partition('?')[0]}?cursor={page + 1}"
        results = [{"id": name, "created_at": iso(account.clock.now()), "cog_version": "0.23.1"}]
        return {"next": following if page + 1 < account.version_pages else None, "results": results}

    def _send(self, status: int, reply: Json) -> None:
        self._send_bytes(status, json.dumps(reply).encode(), "application/json")

    def _send_bytes(self, status: int, body: bytes, kind: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _kind(method: str, path: str) -> str:
    if path.startswith("/output/"):
        return "output"
    known = {"/v1/account": "account", "/v1/webhooks/default/secret": "secret", "/v1/files": "upload"}
    if path in known:
        return known[path]
    if path.endswith("/versions"):
        return "versions"
    if path.endswith("/cancel"):
        return "cancel"
    if method == "POST":
        return "create"
    return "list" if path in ("/v1/predictions", "/v1/trainings") else "get"


def _content(body: bytes) -> bytes:
    """The file in a multipart body."""
    boundary = body.partition(b"\r\n")[0]
    part = body.split(boundary)[1]
    head, _, data = part.partition(b"\r\n\r\n")
    assert b'name="content"' in head
    return data.removesuffix(b"\r\n")
